import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Topology } from "../topology/topology.ts";

/*
 * Which nodes send a topic. Sharded channels are sent by the owner of their slot, which the directory knows.
 */

/**
 * The nodes whose keyspace events count: those that own slots. A primary without slots is none, because it may be a primary
 * no more: a demoted node becomes a replica, and replicas send an event for each command that they get from their primary.
 */
export function eventSources(
  nodes: readonly ClusterNode[],
  topology: Topology,
  before: readonly ClusterNode[],
): ClusterNode[] {
  const owned = topology.ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0);
  // Who owned a slot that has no owner now may still serve it.
  const kept = owned < SLOT_COUNT ? before : [];
  return nodes.filter(
    (node) => topology.slotOwners.has(node.info) || (kept.includes(node) && node.info.role === "primary"),
  );
}

/** Whether a node hears everything that is published, as far as the topology knows. */
export function mayBeHome({ info }: ClusterNode): boolean {
  return info.health !== "fail";
}

/**
 * A home for channels and patterns: any node that hears what is published, if possible one that is connected and online,
 * and another one than before. If none is connected, the one before is tried again.
 * @param before  The last home.
 * @param random  In [0, 1).
 */
export function chooseHome(
  nodes: readonly ClusterNode[],
  before: ClusterNode | undefined,
  random: number,
): ClusterNode | undefined {
  const fit = nodes.filter(mayBeHome);
  const ready = fit.filter(({ pool }) => pool.ready);
  const others = ready.filter((node) => node !== before);
  const best = others.filter(({ info }) => info.health === "online");
  const again = fit.filter((node) => node === before);
  const among = [best, others, ready, again, fit].find(({ length }) => length > 0) ?? [];
  return among[Math.floor(random * among.length)];
}
