import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import { formatAddress } from "../protocol/node-address.ts";

/** A node as the cluster announces it. */
export interface TopologyNode {
  /** The node's id in the cluster; empty without cluster mode. */
  readonly id: string;
  /** `host:port`, before `natMap`. */
  readonly address: string;
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
  /** A primary may own no slot. */
  readonly role: "primary" | "replica";
  /** Of a replica: the address of its primary, when the cluster says which. */
  readonly primary: string | undefined;
  /** As the cluster sees it. `loading` nodes answer, but not to everything. */
  readonly health: "online" | "loading" | "fail";
}

/** Slots `start` to `end`, both included, of one primary. */
export interface SlotRange {
  /** The first slot, from 0. */
  readonly start: number;
  /** The last slot, up to 16383. */
  readonly end: number;
  /** Who owns them. */
  readonly primary: TopologyNode;
  /** Its replicas; none is possible. */
  readonly replicas: readonly TopologyNode[];
}

/** What a topology query yields: nodes, and slot ranges as pairs [start, end] by the index of their owner. */
export interface TopologyDescription {
  readonly nodes: readonly Omit<TopologyNode, "address">[];
  readonly slots: readonly { readonly owner: number; readonly start: number; readonly end: number }[];
}

const NONE: readonly TopologyNode[] = Object.freeze([]);

/**
 * Who owns which slot, at one moment. Never altered: what is learned later makes a new one, so whoever holds one
 * keeps a consistent view.
 *
 *   owners: Uint16Array(16384), 1 + index into nodes, 0 for nobody
 */
export class Topology {
  /** All nodes, those without slots included. */
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
    // Servers list nodes in an order of their own. Sorted, two views of one state are equal.
    const nodes = named.toSorted((a, b) => (a.address < b.address ? -1 : 1));
    const owners = new Uint16Array(SLOT_COUNT);
    for (const { owner, start, end } of description.slots) {
      owners.fill(nodes.indexOf(named[owner] as (typeof named)[number]) + 1, start, end + 1);
    }
    return new Topology(Object.freeze(nodes), owners);
  }

  /** The node that owns `slot` (0 to 16383), or undefined when nobody does. */
  primaryOf(slot: number): TopologyNode | undefined {
    return this.nodes[this.ownerIndexOf(slot)];
  }

  /** The replicas of the node that owns `slot`. */
  replicasOf(slot: number): readonly TopologyNode[] {
    const primary = this.primaryOf(slot);
    return (primary && this.#replicas.get(primary.address)) ?? NONE;
  }

  /** Maximal ranges of slots with one owner, in ascending order. Slots without an owner are in none. */
  get ranges(): readonly SlotRange[] {
    return rangesOf(this);
  }

  /** The index in `nodes` of the owner of `slot`, -1 when nobody owns it. */
  ownerIndexOf(slot: number): number {
    return (this.#owners[slot] ?? 0) - 1;
  }

  /** The same with one slot elsewhere. `address` must be that of a node of this topology. */
  withSlotMoved(slot: number, address: string): Topology {
    const owner = this.nodes.findIndex((node) => node.address === address);
    if (owner === -1) throw new RangeError(`${address} is no node of this topology`);
    if (this.ownerIndexOf(slot) === owner) return this;
    const owners = this.#owners.slice();
    owners[slot] = owner + 1;
    return new Topology(this.nodes, owners);
  }

  /** Whether nodes, roles and owners are the same. */
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
