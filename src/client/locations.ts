import { InvalidArgumentError, UnavailableError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import type { NodeAddress } from "../protocol/node-address.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";

type Terms = Pick<ResolvedOptions, "natMap" | "seeds" | "trusts">;

/**
 * The address at which a node can be reached from here.
 * @throws {UntrustedError}       `trusts` lets nothing connect to the node.
 * @throws {InvalidArgumentError} `natMap` failed. The announced address is no substitute: who listens there, seen from
 *                                here, can be anybody.
 */
export function locationOf(node: TopologyNode, { natMap, seeds, trusts }: Terms): NodeAddress {
  // A single server is not announced: its address is the user's own, and the way there needs no map.
  const isAnnounced = node.id !== "" || !seeds.some(({ host, port }) => host === node.host && port === node.port);
  if (!isAnnounced) return node;
  trusts(node.address);
  return natMap(node.address) ?? node;
}

/**
 * Makes sure that a first topology has a node to which something may connect.
 * @throws {InvalidArgumentError} There is none, and `natMap` failed: it is the user's to mend.
 * @throws {UnavailableError}     There is none, because `trusts` says no to all.
 */
export function refuseWithoutLocation({ nodes }: Topology, terms: Terms): void {
  const causes = new Map<string, unknown>();
  for (const node of nodes) {
    try {
      locationOf(node, terms);
      return;
    } catch (cause) {
      causes.set(node.address, cause);
    }
  }
  for (const cause of causes.values()) if (cause instanceof InvalidArgumentError) throw cause;
  throw new UnavailableError("No node of the cluster may be connected to", causes);
}
