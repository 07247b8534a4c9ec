import type { NodePool } from "../connection/node-pool.ts";
import type { Call, ReadFrom } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { NodeDirectory } from "./node-directory.ts";

/**
 * The order in which nodes are tried for the reads of a slot: the node for try `turn`, which counts from 0, and undefined
 * after the last one. The owner serves when none of them can.
 */
export type ReaderOrder = (
  slot: number,
  turn: number,
  owner: ClusterNode,
  replicas: readonly ClusterNode[],
) => ClusterNode | undefined;

/** A slot is always read from the same node while that node can serve; different slots begin with different nodes. */
export const READER_ORDERS: Readonly<Record<Exclude<ReadFrom, "primary">, ReaderOrder>> = {
  replica: (slot, turn, _owner, replicas) =>
    turn < replicas.length ? replicas[(slot + turn) % replicas.length] : undefined,
  any: (slot, turn, owner, replicas) => {
    if (turn > replicas.length) return undefined;
    const at = (slot + turn) % (replicas.length + 1);
    return at === 0 ? owner : replicas[at - 1];
  },
};

/** Decides which node is asked, and through which of its connections. It sends nothing. */
export class Placement {
  readonly #directory: NodeDirectory;
  readonly #readerOrders: typeof READER_ORDERS;

  constructor(directory: NodeDirectory, readerOrders: typeof READER_ORDERS = READER_ORDERS) {
    this.#directory = directory;
    this.#readerOrders = readerOrders;
  }

  /** The node for the next attempt of a call, as far as is known. */
  nodeFor(call: Call): ClusterNode | undefined {
    const { readFrom, target } = call.kind;
    if (target !== undefined) return this.#directory.get(target.address);
    const owner = call.slot < 0 ? this.#directory.anyPrimary() : this.#directory.ownerOf(call.slot);
    return readFrom === "primary" || owner === undefined ? owner : this.#readerFor(call, owner, readFrom);
  }

  /**
   * The node for a call that has been refused, and whether it has to go behind an ASKING: the node that an ASK named, while
   * it can be reached, and otherwise the owner of the slot by now.
   */
  nodeAgainFor(call: Call): { readonly node: ClusterNode | undefined; readonly asking: boolean } {
    const { asking, node } = call;
    if (asking && node?.pool.ready && this.#directory.get(node.address) === node) return { node, asking };
    return { node: this.nodeFor(call), asking: false };
  }

  #readerFor(call: Call, owner: ClusterNode, readFrom: Exclude<ReadFrom, "primary">): ClusterNode {
    const replicas = this.#directory.replicasOf(call.slot);
    const order = this.#readerOrders[readFrom];
    for (let turn = 0; ; turn++) {
      const reader = order(call.slot, turn, owner, replicas);
      if (reader === undefined) return owner;
      if (call.history?.avoid?.has(reader)) continue;
      if (poolFor(call, reader).isPromisingFor(call.slot)) return reader;
    }
  }

  /** Whether a call that waits for a node would be sent to another node by now. Reads and calls for one node stay. */
  isForAnother(call: Call): boolean {
    const { kind, slot, node, asking } = call;
    if (asking || kind.target !== undefined || kind.readFrom !== "primary" || slot < 0) return false;
    return node !== this.#directory.ownerOf(slot);
  }
}

/** The connections of a node that a call goes through. Reads from a replica go through READONLY connections. */
export function poolFor(call: Call, node: ClusterNode): NodePool {
  return call.kind.readFrom !== "primary" && node.info.role === "replica" ? node.openReaders() : node.pool;
}
