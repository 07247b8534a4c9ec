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
  /**
   * The node's availability zone. Valkey tells it from 9.1 on, where `availability-zone` is set. Of older servers it is
   * known only while a `readFrom: { zone }` is in use.
   */
  readonly zone?: string | undefined;
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

/** An entry of a server's description of the cluster that names no usable node. */
export interface LeftOutEntry {
  /** The entry's id in quotes, shortened and printable, or "an entry without an id". */
  readonly entry: string;
  /** What is wrong with the entry. */
  readonly why: string;
}

/** The result of a topology query: the nodes, and the slot ranges, each with the index of its owner in `nodes`. */
export interface TopologyDescription {
  readonly nodes: readonly Omit<TopologyNode, "address">[];
  readonly slots: readonly { readonly owner: number; readonly start: number; readonly end: number }[];
  /** Entries that name no usable node. */
  readonly leftOut?: readonly LeftOutEntry[];
}

const NONE: readonly TopologyNode[] = Object.freeze([]);
const NOTHING_LEFT_OUT: readonly LeftOutEntry[] = Object.freeze([]);

const made = new WeakMap<TopologyDescription, Topology>();

/** What follows from a list of nodes. Topologies with the same list share it. */
interface NodeIndex {
  /** The replicas by the address of their primary. */
  readonly replicas: ReadonlyMap<string, readonly TopologyNode[]>;
  /** The places in the list by address. */
  readonly places: ReadonlyMap<string, number>;
}

/**
 * A snapshot of the cluster: its nodes, and the owner of each slot. A snapshot is never changed. A change makes a new
 * snapshot, so code that holds one keeps a consistent view.
 *
 *   owners: Uint16Array(16384), one entry per slot: 1 + the owner's index in nodes, or 0 without an owner
 */
export class Topology {
  /** All nodes, including nodes without slots, sorted by address. */
  readonly nodes: readonly TopologyNode[];
  /**
   * The entries of the server's description that name no usable node, at most 100 of them. Slots of such an entry have no
   * owner.
   */
  readonly leftOut: readonly LeftOutEntry[];
  readonly #owners: Uint16Array;
  readonly #index: NodeIndex;
  #ranges: readonly SlotRange[] | undefined;
  #slotOwners: ReadonlySet<TopologyNode> | undefined;
  #ownerIndexes: readonly number[] | undefined;

  private constructor(
    nodes: readonly TopologyNode[],
    owners: Uint16Array,
    leftOut: readonly LeftOutEntry[],
    index = indexOf(nodes),
  ) {
    this.nodes = nodes;
    this.leftOut = leftOut;
    this.#owners = owners;
    this.#index = index;
    Object.freeze(this);
  }

  /** @internal The topology of a description, which several parts of the client ask for: it is made once. */
  static from(description: TopologyDescription): Topology {
    const known = made.get(description);
    if (known !== undefined) return known;
    const topology = Topology.#from(description);
    made.set(description, topology);
    return topology;
  }

  static #from(description: TopologyDescription): Topology {
    const named = description.nodes.map((node) => Object.freeze({ ...node, address: formatAddress(node) }));
    // Each server lists the nodes in its own order. After sorting, two views of the same state are equal.
    const nodes = named.toSorted((a, b) => (a.address < b.address ? -1 : 1));
    const places = new Map(nodes.map((node, place) => [node, place]));
    const owners = new Uint16Array(SLOT_COUNT);
    for (const { owner, start, end } of description.slots) {
      const entry = (places.get(named[owner] as TopologyNode) ?? -1) + 1;
      // Most ranges of a cluster that has thousands of them are one slot: `fill` would take ten times as long.
      for (let slot = start; slot <= end; slot++) owners[slot] = entry;
    }
    const { leftOut = NOTHING_LEFT_OUT } = description;
    return new Topology(Object.freeze(nodes), owners, Object.freeze(leftOut.map((each) => Object.freeze({ ...each }))));
  }

  /** The primary that owns `slot` (0 to 16383). Undefined when the slot has no owner. */
  primaryOf(slot: number): TopologyNode | undefined {
    return this.nodes[this.ownerIndexOf(slot)];
  }

  /** The replicas of the primary that owns `slot` (0 to 16383). Empty when there are none. */
  replicasOf(slot: number): readonly TopologyNode[] {
    const primary = this.primaryOf(slot);
    return (primary && this.#index.replicas.get(primary.address)) ?? NONE;
  }

  /** The slot ranges in ascending order, each as long as possible. A slot without an owner is in no range. */
  get ranges(): readonly SlotRange[] {
    this.#ranges ??= rangesOf(this);
    return this.#ranges;
  }

  /** @internal Whether both have the same owners of slots, at the same places of the same number of nodes. */
  hasSameOwners(other: Topology): boolean {
    if (this.nodes.length !== other.nodes.length) return false;
    return Buffer.compare(new Uint8Array(this.#owners.buffer), new Uint8Array(other.#owners.buffer)) === 0;
  }

  /** @internal The nodes that own slots. */
  get slotOwners(): ReadonlySet<TopologyNode> {
    this.#slotOwners ??= new Set(this.ownerIndexes.flatMap((owner) => this.nodes[owner] ?? []));
    return this.#slotOwners;
  }

  /** @internal The owners of slots by their places in `nodes`, each once; -1 where a slot has none. */
  get ownerIndexes(): readonly number[] {
    this.#ownerIndexes ??= distinctIn(this.#owners, this.nodes.length).map((owner) => owner - 1);
    return this.#ownerIndexes;
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
    if (this.ownerIndexOf(slot) === this.#placeOf(address)) return this;
    return this.withSlotsMoved(new Map([[slot, address]]));
  }

  /** The same for some slots. */
  withSlotsMoved(moves: ReadonlyMap<number, string>): Topology {
    const owners = this.#owners.slice();
    for (const [slot, address] of moves) owners[slot] = this.#placeOf(address) + 1;
    return new Topology(this.nodes, owners, this.leftOut, this.#index);
  }

  /** @internal The same nodes in the zones that `zoneOf` gives for their ids. */
  withZones(zoneOf: (id: string) => string | undefined): Topology {
    if (this.nodes.every(({ id, zone }) => zoneOf(id) === zone)) return this;
    const nodes = this.nodes.map(({ zone: _, ...node }) => Object.freeze({ ...node, ...zoneFrom(zoneOf(node.id)) }));
    return new Topology(Object.freeze(nodes), this.#owners, this.leftOut);
  }

  #placeOf(address: string): number {
    const place = this.#index.places.get(address);
    if (place === undefined) throw new RangeError(`${address} is not a node of this topology`);
    return place;
  }

  /** Whether both topologies have the same nodes, roles, slot owners and entries that were left out. */
  equals(other: Topology): boolean {
    return (
      (this.nodes === other.nodes || areEqual(this.nodes, other.nodes, NODE_FIELDS)) &&
      areEqual(this.leftOut, other.leftOut, LEFT_OUT_FIELDS) &&
      this.hasSameOwners(other)
    );
  }
}

/** The property of a node whose zone may be unknown. */
export function zoneFrom(zone: string | undefined): { readonly zone?: string } {
  return zone === undefined ? {} : { zone };
}

const NODE_FIELDS = ["id", "address", "role", "primary", "health", "zone"] as const;
const LEFT_OUT_FIELDS = ["entry", "why"] as const;

function areEqual<T>(these: readonly T[], those: readonly T[], fields: readonly (keyof T)[]): boolean {
  if (these.length !== those.length) return false;
  return these.every((one, index) => fields.every((field) => one[field] === those[index]?.[field]));
}

function indexOf(nodes: readonly TopologyNode[]): NodeIndex {
  const replicas = new Map<string, TopologyNode[]>();
  const places = new Map<string, number>();
  for (const [place, node] of nodes.entries()) {
    places.set(node.address, place);
    if (node.role !== "replica" || node.primary === undefined) continue;
    const siblings = replicas.get(node.primary);
    if (siblings) siblings.push(node);
    else replicas.set(node.primary, [node]);
  }
  for (const siblings of replicas.values()) Object.freeze(siblings);
  return { replicas, places };
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

/** The values, each once, in the order in which they come first. Every MOVED asks, and a Set would take 0.4 ms. */
function distinctIn(values: Uint16Array, most: number): number[] {
  const isKnown = new Uint8Array(most + 1);
  const distinct: number[] = [];
  for (const value of values) {
    if (isKnown[value] === 1) continue;
    isKnown[value] = 1;
    distinct.push(value);
  }
  return distinct;
}
