import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import { formatAddress } from "../protocol/node-address.ts";

/** A node of the cluster, as the cluster announces it. */
export interface TopologyNode {
  /** The node's id in the cluster. Empty for a single server without cluster mode. */
  readonly id: string;
  /** The announced address as `host:port`, before `natMap`. */
  readonly address: string;
  /** A host name or an IP address; IPv6 without brackets. */
  readonly host: string;
  /** The TCP port, 1 to 65535. */
  readonly port: number;
  /** The node's role. A primary does not need to own a slot. */
  readonly role: "primary" | "replica";
  /** The address of a replica's primary, if the cluster names it. Undefined for a primary. */
  readonly primary: string | undefined;
  /** The node's health as the cluster sees it. A `loading` node answers only some commands. */
  readonly health: "online" | "loading" | "fail";
}

/** A range of slots that one primary owns; `start` and `end` belong to the range. */
export interface SlotRange {
  /** The first slot, from 0. */
  readonly start: number;
  /** The last slot, up to 16383. */
  readonly end: number;
  /** The node that owns these slots. */
  readonly primary: TopologyNode;
  /** The primary's replicas; can be empty. */
  readonly replicas: readonly TopologyNode[];
}

/** The result of a topology query: the nodes, and the slot ranges, each with the index of its owner in `nodes`. */
export interface TopologyDescription {
  readonly nodes: readonly Omit<TopologyNode, "address">[];
  readonly slots: readonly { readonly owner: number; readonly start: number; readonly end: number }[];
}

const NONE: readonly TopologyNode[] = Object.freeze([]);

/**
 * A snapshot of the cluster: its nodes, and the owner of each slot. A snapshot is never changed. A change makes a new
 * snapshot, so code that holds one keeps a consistent view.
 *
 *   owners: Uint16Array(16384), one entry per slot: 1 + the owner's index in nodes, or 0 without an owner
 */
export class Topology {
  /** All nodes, including nodes without slots, sorted by address. */
  readonly nodes: readonly TopologyNode[];
  readonly #owners: Uint16Array;
  readonly #replicas: ReadonlyMap<string, readonly TopologyNode[]>;

  private constructor(nodes: readonly TopologyNode[], owners: Uint16Array) {
    this.nodes = nodes;
    this.#owners = owners;
    const replicas = new Map<string, TopologyNode[]>();
    for (const node of nodes) {
      if (node.role !== "replica" || node.primary === undefined) continue;
      const siblings = replicas.get(node.primary);
      if (siblings) siblings.push(node);
      else replicas.set(node.primary, [node]);
    }
    for (const siblings of replicas.values()) Object.freeze(siblings);
    this.#replicas = replicas;
    Object.freeze(this);
  }

  /** @internal */
  static from(description: TopologyDescription): Topology {
    const named = description.nodes.map((node) => Object.freeze({ ...node, address: formatAddress(node) }));
    // Each server lists the nodes in its own order. After sorting, two views of the same state are equal.
    const nodes = named.toSorted((a, b) => (a.address < b.address ? -1 : 1));
    const owners = new Uint16Array(SLOT_COUNT);
    for (const { owner, start, end } of description.slots) {
      owners.fill(nodes.indexOf(named[owner] as (typeof named)[number]) + 1, start, end + 1);
    }
    return new Topology(Object.freeze(nodes), owners);
  }

  /** The primary that owns `slot` (0 to 16383). Undefined when the slot has no owner. */
  primaryOf(slot: number): TopologyNode | undefined {
    return this.nodes[this.ownerIndexOf(slot)];
  }

  /** The replicas of the primary that owns `slot` (0 to 16383). Empty when there are none. */
  replicasOf(slot: number): readonly TopologyNode[] {
    const primary = this.primaryOf(slot);
    return (primary && this.#replicas.get(primary.address)) ?? NONE;
  }

  /** The slot ranges in ascending order, each as long as possible. A slot without an owner is in no range. */
  get ranges(): readonly SlotRange[] {
    return rangesOf(this);
  }

  /** The index in `nodes` of the node that owns `slot`; -1 when the slot has no owner. */
  ownerIndexOf(slot: number): number {
    return (this.#owners[slot] ?? 0) - 1;
  }

  /** @internal Whether any slot has an owner. */
  get hasOwners(): boolean {
    return this.#owners.some((owner) => owner !== 0);
  }

  /**
   * A topology in which the node at `address` owns `slot`, and everything else is the same.
   * @throws {RangeError} when `address` is not the address of a node of this topology.
   */
  withSlotMoved(slot: number, address: string): Topology {
    const owner = this.nodes.findIndex((node) => node.address === address);
    if (owner === -1) throw new RangeError(`${address} is not a node of this topology`);
    if (this.ownerIndexOf(slot) === owner) return this;
    const owners = this.#owners.slice();
    owners[slot] = owner + 1;
    return new Topology(this.nodes, owners);
  }

  /** Whether both topologies have the same nodes, roles and slot owners. */
  equals(other: Topology): boolean {
    return (
      (this.nodes === other.nodes || JSON.stringify(this.nodes) === JSON.stringify(other.nodes)) &&
      Buffer.compare(new Uint8Array(this.#owners.buffer), new Uint8Array(other.#owners.buffer)) === 0
    );
  }
}

function rangesOf(topology: Topology): readonly SlotRange[] {
  const ranges: SlotRange[] = [];
  for (let start = 0; start < SLOT_COUNT; ) {
    const owner = topology.ownerIndexOf(start);
    let end = start;
    while (end + 1 < SLOT_COUNT && topology.ownerIndexOf(end + 1) === owner) end++;
    const primary = topology.nodes[owner];
    if (primary) ranges.push(Object.freeze({ start, end, primary, replicas: topology.replicasOf(start) }));
    start = end + 1;
  }
  return Object.freeze(ranges);
}
