import type { Chance } from "./random.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimNode } from "./sim-node.ts";
import { slotOfKey } from "./sim-routing.ts";

/** How late a server tells of the keys of a slot that has left it at once. */
const LATE_MS = [0, 15, 240, 6300] as const;

/**
 * A slot goes to another shard at once, and no key is deleted in front of anybody's eyes.
 *
 * `bare`: by SETSLOT alone. The old owner learns of it as everybody does, and tells nobody of its keys.
 * `atomic`: both know at once. The old owner tells of its keys later, or never.
 */
export function relocate(
  cluster: SimCluster,
  slot: number,
  to: number,
  style: "bare" | "atomic",
  chance: Chance,
): void {
  const { truth, loop, story } = cluster;
  const owner = truth.ownerOf(slot);
  const target = cluster.node(truth.primaries[to] as number);
  if (owner === undefined || owner === target.index || cluster.isMoving(slot)) return;
  const source = cluster.node(owner);
  const isPossible = [source, target].every((node) => node.isAlive && !node.isFrozen && !node.isApart);
  if (!isPossible || source.view.lacks.has(target.index) || target.view.lacks.has(source.index)) return;
  // The move begins with what both of them know.
  if (source.view.ownerOf(slot) !== owner || !target.isPrimary) return;
  const takesKeys = style === "atomic" || chance.of(0.5);
  story.tell(() => `cluster: slot ${slot} goes from ${source.name} to ${target.name} at once (${style})`);
  cluster.moves.set(slot, (cluster.moves.get(slot) ?? 0) + 1);
  // What is written to the old owner until it knows is lost; so is what the new one was not given.
  if (style === "bare") cluster.isTorn = true;
  const keys = keysOf(source, slot);
  if (takesKeys) {
    for (const key of keys) target.set(key, source.data.get(key) as string, "restore", source.expiries.get(key));
  }
  cluster.handTo(slot, to, style === "atomic" ? [source] : []);
  for (const node of cluster.nodes) {
    if (node.shard === source.shard) loop.inWorld(cluster.shape.gossipMs + 0.01, () => drop(cluster, node, slot));
  }
  const lateMs = chance.pick(LATE_MS);
  if (style === "atomic") {
    loop.inWorld(lateMs, () => {
      for (const key of keys) source.tracking.invalidate(key);
    });
  }
}

function keysOf({ data }: SimNode, slot: number): string[] {
  return [...data.keys()].filter((key) => slotOfKey(key) === slot);
}

/** A node loses the keys of a slot that is not its own any more, as soon as it knows. */
function drop(cluster: SimCluster, node: SimNode, slot: number): void {
  if (node.view.shardOf(slot) === node.shard || cluster.truth.shardOf(slot) === node.shard) return;
  for (const key of keysOf(node, slot)) {
    node.data.delete(key);
    node.expiries.delete(key);
  }
}
