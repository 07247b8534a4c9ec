import type { DedicatedConnections } from "../connection/dedicated-connections.ts";
import type { NodePool } from "../connection/node-pool.ts";
import type { Clock } from "../environment.ts";
import type { Refusal } from "../protocol/error-reply.ts";
import { type Call, historyOf, type ReadFrom } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { NodeDirectory } from "./node-directory.ts";

/**
 * The order in which nodes are tried for the reads of a slot. If no node of the order can serve, the owner does.
 * @param turn  The number of the try, from 0.
 * @param zone  The zone of `{ zone }`; empty for the other orders.
 * @returns     The node of that try; undefined after the last one.
 */
export type ReaderOrder = (
  slot: number,
  turn: number,
  owner: ClusterNode,
  replicas: readonly ClusterNode[],
  zone: string,
) => ClusterNode | undefined;

/** A slot is read from the same node while that node can serve. Different slots begin with different nodes. */
const READER_ORDERS: Readonly<Record<"replica" | "any" | "zone", ReaderOrder>> = {
  replica: (slot, turn, _owner, replicas) =>
    turn < replicas.length ? replicas[(slot + turn) % replicas.length] : undefined,
  any: (slot, turn, owner, replicas) => {
    if (turn > replicas.length) return undefined;
    const at = (slot + turn) % (replicas.length + 1);
    return at === 0 ? owner : replicas[at - 1];
  },
  zone: (slot, turn, owner, replicas, zone) => {
    const near = countIn(zone, owner, replicas);
    if (turn < near) return nthOf(true, (slot + turn) % near, zone, owner, replicas);
    const far = replicas.length + 1 - near;
    return turn < near + far ? nthOf(false, (slot + turn) % far, zone, owner, replicas) : undefined;
  },
};

/** How many of these nodes are in a zone. */
function countIn(zone: string, owner: ClusterNode, replicas: readonly ClusterNode[]): number {
  let count = owner.info.zone === zone ? 1 : 0;
  for (const { info } of replicas) if (info.zone === zone) count++;
  return count;
}

/** The nth of the nodes that are in a zone, or of those that are not: one loop, because a list would be made for each read. */
function nthOf(
  isIn: boolean,
  nth: number,
  zone: string,
  owner: ClusterNode,
  replicas: readonly ClusterNode[],
): ClusterNode | undefined {
  let left = nth;
  for (let index = -1; index < replicas.length; index++) {
    const node = index < 0 ? owner : replicas[index];
    if (node !== undefined && (node.info.zone === zone) === isIn && left-- === 0) return node;
  }
  return undefined;
}

/** How long a replica that said that it cannot serve is passed over. Then one read tries it. */
const REST_MS = 1000;
/** Said by a replica that may serve later: it has lost its primary, loads its data, or runs a script. */
const CANNOT_SERVE: readonly Refusal["kind"][] = ["masterdown", "loading", "clusterdown", "busy"];

/** Decides which node gets a call, and through which of its connections. It sends nothing. */
export class Placement {
  readonly #directory: NodeDirectory;
  readonly #clock: Clock;
  readonly #readerOrders: typeof READER_ORDERS;

  constructor(directory: NodeDirectory, clock: Clock, readerOrders: typeof READER_ORDERS = READER_ORDERS) {
    this.#directory = directory;
    this.#clock = clock;
    this.#readerOrders = readerOrders;
  }

  /** The node for the next attempt of a call; undefined if no node is known that may serve it. */
  nodeFor(call: Call): ClusterNode | undefined {
    const { readFrom, target, isPinned } = call.kind;
    if (target !== undefined) {
      const node = this.#directory.get(target.address);
      return isPinned === true && node !== target ? undefined : node;
    }
    const owner = call.slot < 0 ? this.#directory.anyPrimary() : this.#directory.ownerOf(call.slot);
    return readFrom === "primary" || owner === undefined ? owner : this.#readerFor(call, owner, readFrom);
  }

  /**
   * The node for a call that is sent again. If an ASK led the call to a node that can still be reached, that node
   * again, with ASKING; otherwise the node that `nodeFor` gives now.
   */
  nodeAgainFor(call: Call): { readonly node: ClusterNode | undefined; readonly asking: boolean } {
    const { asking, node } = call;
    if (asking && node?.pool.ready && this.#directory.get(node.address) === node) return { node, asking };
    return { node: this.nodeFor(call), asking: false };
  }

  #readerFor(call: Call, owner: ClusterNode, readFrom: Exclude<ReadFrom, "primary">): ClusterNode {
    const replicas = this.#directory.replicasOf(call.slot);
    const order = this.#readerOrders[typeof readFrom === "string" ? readFrom : "zone"];
    const zone = typeof readFrom === "string" ? "" : readFrom.zone;
    for (let turn = 0; ; turn++) {
      const reader = order(call.slot, turn, owner, replicas, zone);
      if (reader === undefined) return owner;
      if (call.history?.avoid?.has(reader)) continue;
      if (!poolFor(call, reader).isPromisingFor(call.slot)) continue;
      if (reader.restsUntil === 0 || this.#mayTry(call, reader)) return reader;
    }
  }

  /**
   * Another node for a read that has no answer for long: one that its `readFrom` allows, that can be written to now, and
   * that holds the script. With `"replica"` the owner is asked where no other replica is left.
   */
  nodeForHedge(call: Call): ClusterNode | undefined {
    const { kind, slot } = call;
    const { readFrom, reads, target } = kind;
    // Nothing else may ever run twice at once.
    if (!reads || readFrom === "primary" || target !== undefined) return undefined;
    if (slot < 0) return this.#directory.primaries.find((node) => this.#mayHedgeAt(node, call));
    const owner = this.#directory.ownerOf(slot);
    if (owner === undefined) return undefined;
    const replicas = this.#directory.replicasOf(slot);
    const order = this.#readerOrders[typeof readFrom === "string" ? readFrom : "zone"];
    const zone = typeof readFrom === "string" ? "" : readFrom.zone;
    for (let turn = 0; ; turn++) {
      const reader = order(slot, turn, owner, replicas, zone);
      const node = reader ?? owner;
      if (this.#mayHedgeAt(node, call)) return node;
      if (reader === undefined) return undefined;
    }
  }

  #mayHedgeAt(node: ClusterNode, call: Call): boolean {
    if (node === call.node || node.restsUntil !== 0 || call.history?.avoid?.has(node)) return false;
    const { registered } = call.kind;
    // Libraries reach replicas by replication.
    const isReplicated = registered?.kind === "library" && node.info.role === "replica";
    if (registered !== undefined && !isReplicated && node.scripts.stateOf(registered)?.kind !== "held") return false;
    const pool = poolFor(call, node);
    const lane = pool.laneOf(call.slot);
    return lane.ready && !lane.inDoubt && !pool.isUnavailable && pool.hasRoomFor(call.frame.length);
  }

  /** Whether the rest of a replica is over. Then this read tries it, and further reads pass it over meanwhile. */
  #mayTry(call: Call, reader: ClusterNode): boolean {
    const now = this.#clock.now();
    if (now < reader.restsUntil) return false;
    reader.restsUntil = now + REST_MS;
    historyOf(call).tries = reader;
    return true;
  }

  /** A replica refused a read. If it cannot serve reads now, they pass it over for a while. */
  noteRefusal(replica: ClusterNode, refusal: Refusal["kind"]): void {
    if (CANNOT_SERVE.includes(refusal)) replica.restsUntil = this.#clock.now() + REST_MS;
  }

  /** A call was served: a replica that it tried serves reads again. */
  noteServed({ node, history }: Call): void {
    if (node !== undefined && history?.tries === node) node.restsUntil = 0;
  }

  /** Whether a call that waits for a node would go to another node now. Reads and calls for one node always stay. */
  isForAnother(call: Call): boolean {
    const { kind, slot, node, asking } = call;
    if (asking || kind.target !== undefined || kind.readFrom !== "primary" || slot < 0) return false;
    return node !== this.#directory.ownerOf(slot);
  }
}

/** The connections of a node for a call that gets one to itself. */
export function dedicatedFor({ kind: { blocking } }: Call, pool: NodePool): DedicatedConnections {
  return blocking?.endsScripts === true ? pool.urgent : pool.dedicated;
}

/** The connections of a node that a call uses. A read from a replica uses READONLY connections. */
export function poolFor(call: Call, node: ClusterNode): NodePool {
  return call.kind.readFrom !== "primary" && node.info.role === "replica" ? node.openReaders() : node.pool;
}
