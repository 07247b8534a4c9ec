import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Topology } from "../topology/topology.ts";

/*
 * Which nodes send a topic. Sharded channels are sent by the owner of their slot, which the directory knows.
 */

/** The nodes that send keyspace events, each with a slot that it owns, or owned last. */
export type EventSources = ReadonlyMap<ClusterNode, number>;

/**
 * The nodes whose keyspace events count: those that own slots. A primary without slots is none, because it may be a primary
 * no more: a demoted node becomes a replica, and replicas send an event for each command that they get from their primary.
 * A former owner whose slots nobody owns may still serve them.
 */
export function eventSources(nodes: readonly ClusterNode[], topology: Topology, before: EventSources): EventSources {
  const sources = new Map<ClusterNode, number>();
  const byInfo = new Map(nodes.map((node) => [node.info, node]));
  for (const { primary, start } of topology.ranges) {
    const node = byInfo.get(primary);
    // One MOVED can make a replica own a slot. Its primary sends its events, until nodes say that it was promoted.
    if (node?.info.role === "primary" && !sources.has(node)) sources.set(node, start);
  }
  for (const [node, slot] of before) {
    const mayServe = node.info.role === "primary" && topology.primaryOf(slot) === undefined;
    if (mayServe && nodes.includes(node) && !sources.has(node)) sources.set(node, slot);
  }
  return sources;
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
