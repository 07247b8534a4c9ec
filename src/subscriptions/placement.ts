import type { ClusterNode } from "../routing/cluster-node.ts";

/*
 * Which nodes send a topic. Sharded channels are sent by the owner of their slot, which the directory knows.
 */

/**
 * The nodes whose keyspace events count: those that own slots. A primary without slots is none, because it may be a primary
 * no more: a demoted node becomes a replica, and replicas send an event for each command that they get from their primary.
 */
export function eventSources(nodes: readonly ClusterNode[], ownsSlots: (node: ClusterNode) => boolean): ClusterNode[] {
  return nodes.filter(ownsSlots);
}

/** Whether a node hears everything that is published, as far as the topology knows. */
export function mayBeHome({ info }: ClusterNode): boolean {
  return info.health !== "fail";
}

/**
 * A home for channels and patterns: any node that is connected and hears what is published.
 * @param avoided  Taken only if there is no other.
 * @param random   In [0, 1).
 */
export function chooseHome(
  nodes: readonly ClusterNode[],
  avoided: ClusterNode | undefined,
  random: number,
): ClusterNode | undefined {
  const fit = nodes.filter((node) => node.pool.ready && mayBeHome(node));
  const best = fit.filter((node) => node !== avoided && node.info.health === "online");
  const others = fit.filter((node) => node !== avoided);
  const among = best.length > 0 ? best : others.length > 0 ? others : fit;
  return among[Math.floor(random * among.length)];
}
