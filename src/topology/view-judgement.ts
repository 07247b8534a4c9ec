import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import { Topology, type TopologyDescription, type TopologyNode } from "./topology.ts";

/*
 * Whom to believe: pure decisions on a view, which is what one server says of the cluster, beside the present topology.
 */

/** The nodes of a view, as far as they tell who they are. */
interface Nodes {
  readonly nodes: readonly Pick<TopologyDescription["nodes"][number], "id" | "host" | "port">[];
}

/**
 * Why a view cannot be of the present cluster; undefined where it can. Views without ids are compared by addresses.
 *
 * | present | view | |
 * | --- | --- | --- |
 * | a single server | anything | undefined |
 * | a cluster | a single server | no-cluster |
 * | nodes with ids | nodes with ids, none in common | other-cluster |
 * | either without ids | no address in common | other-cluster |
 */
export function isForeign(present: Nodes, view: Nodes): "no-cluster" | "other-cluster" | undefined {
  if (isSingle(present)) return undefined;
  if (isSingle(view)) return "no-cluster";
  const byId = hasIds(present) && hasIds(view);
  const nameOf = ({ id, host, port }: Nodes["nodes"][number]) => (byId ? id : `${host} ${port}`);
  const known = new Set(present.nodes.map(nameOf));
  return view.nodes.some((node) => known.has(nameOf(node))) ? undefined : "other-cluster";
}

/** Whether the view is that of a server without cluster mode. */
export function isSingle({ nodes }: Nodes): boolean {
  return nodes.length === 1 && nodes[0]?.id === "";
}

function hasIds({ nodes }: Nodes): boolean {
  return nodes.every(({ id }) => id !== "");
}

/** What one server says of the cluster. */
export interface View {
  readonly description: TopologyDescription;
  /** The address of the informant. */
  readonly from: string;
  /** The id that the informant gave. Undefined where it gave none. */
  readonly id: string | undefined;
  /** Whether the informant is a primary of the present topology. */
  readonly isPrimary: boolean;
  /** Whether the informant itself says that its cluster is down. */
  readonly isFailing: boolean;
  /** The config epochs by node id, as far as they were asked for. */
  readonly epochs: ReadonlyMap<string, number>;
}

/** Why a view is not believed before another node says the same. */
export type Doubt = "node-missing" | "owner-lost" | "owner-changed" | "owner-wanted";

/**
 * Why a view needs a second one; undefined where it can be adopted as it is.
 *
 * | the view, beside the present topology | |
 * | --- | --- |
 * | lacks a node | node-missing |
 * | has no owner for a slot that has one | owner-lost |
 * | has another owner, whose config epoch is not higher, or whose informant calls its cluster down | owner-changed |
 * | has no owner for some slot, and calls wait for one | owner-wanted |
 *
 * @param epochs  The highest config epochs that were seen, by node id.
 */
export function doubtOf(
  present: Topology,
  view: View,
  epochs: ReadonlyMap<string, number>,
  isOwnerWanted: boolean,
): Doubt | undefined {
  const { description } = view;
  if (isSingle(present)) return undefined;
  if (missingIn(description, present).length > 0) return "node-missing";
  const epochOf = (id: string) => Math.max(epochs.get(id) ?? -1, view.epochs.get(id) ?? -1);
  for (const [owner, other] of ownersOf(present, Topology.from(description))) {
    if (other === undefined) {
      if (owner !== undefined) return "owner-lost";
      if (isOwnerWanted) return "owner-wanted";
    } else if (owner !== undefined && !isSameOwner(owner, other)) {
      const isHigher = (view.epochs.get(other.id) ?? -1) > epochOf(owner.id);
      if (!isHigher || view.isFailing) return "owner-changed";
    }
  }
  return undefined;
}

/** Whether a view has another owner for a slot: then config epochs say which of the two is newer. */
export function changesOwners(present: Topology, description: TopologyDescription): boolean {
  if (isSingle(present)) return false;
  const pairs = ownersOf(present, Topology.from(description));
  return pairs.some(([owner, other]) => owner !== undefined && other !== undefined && !isSameOwner(owner, other));
}

type Owner = TopologyNode | undefined;

/** The owners of slots in two topologies, each pair once. */
function ownersOf(present: Topology, next: Topology): (readonly [Owner, Owner])[] {
  // Most views say what is known.
  if (present.hasSameOwners(next)) {
    return present.ownerIndexes.map((owner) => [present.nodes[owner], next.nodes[owner]] as const);
  }
  const pairs = new Map<number, readonly [Owner, Owner]>();
  // Most owners are the same for all their slots, so the last pair of each owner spares the map most of the work.
  const lastOther = new Int32Array(present.nodes.length + 1).fill(-2);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const owner = present.ownerIndexOf(slot);
    const other = next.ownerIndexOf(slot);
    if (lastOther[owner + 1] === other) continue;
    lastOther[owner + 1] = other;
    pairs.set((owner + 1) * (next.nodes.length + 1) + other + 1, [present.nodes[owner], next.nodes[other]]);
  }
  return [...pairs.values()];
}

/**
 * The view that counts among several of one moment; undefined where there is none, so that the present topology stays.
 *
 * | the views | the one that counts |
 * | --- | --- |
 * | all say the same, and some informant's cluster is up | that |
 * | all say the same, every informant calls its cluster down, and more nodes can be asked | none yet |
 * | they differ, and more nodes can be asked | none yet |
 * | they differ, and all have been asked | what most primaries say, without those that call their cluster down unless all do |
 * | as many primaries say one thing as another | none |
 *
 * @param isEveryone  All nodes that can be reached have been asked.
 */
export function viewThatCounts(present: Topology, views: readonly View[], isEveryone: boolean): View | undefined {
  const [first] = views;
  if (first === undefined) return undefined;
  if (!isEveryone) {
    const isSame = views.every((view) => saysTheSame(present, view, first));
    return isSame && views.some(({ isFailing }) => !isFailing) ? first : undefined;
  }
  const primaries = views.some(({ isPrimary }) => isPrimary) ? views.filter(({ isPrimary }) => isPrimary) : views;
  const up = primaries.filter(({ isFailing }) => !isFailing);
  const groups = new Map<string, View[]>();
  for (const view of up.length > 0 ? up : primaries) {
    const said = essenceOf(present, view);
    groups.set(said, [...(groups.get(said) ?? []), view]);
  }
  const [most, next] = [...groups.values()].toSorted((a, b) => b.length - a.length);
  return most !== undefined && most.length > (next?.length ?? 0) ? most[0] : undefined;
}

/** Whether two views agree on the owners, and on which nodes of the present topology there are. */
export function saysTheSame(present: Topology, a: View, b: View): boolean {
  return essenceOf(present, a) === essenceOf(present, b);
}

function essenceOf(present: Topology, { description }: View): string {
  const ranges = Topology.from(description).ranges.map(({ start, end, primary }) => [start, end, nameOf(primary)]);
  return JSON.stringify([missingIn(description, present).toSorted(), ranges]);
}

/** The nodes of the present topology that a view lacks, by their names. */
function missingIn(description: TopologyDescription, present: Topology): string[] {
  const byId = hasIds(present) && hasIds(description);
  const nameIn = (node: TopologyDescription["nodes"][number]) => (byId ? node.id : `${node.host} ${node.port}`);
  const listed = new Set(description.nodes.map(nameIn));
  return present.nodes.map(nameIn).filter((name) => !listed.has(name));
}

function isSameOwner(a: TopologyNode, b: TopologyNode): boolean {
  return a.id !== "" && b.id !== "" ? a.id === b.id : a.address === b.address;
}

function nameOf({ id, address }: TopologyNode): string {
  return id === "" ? address : id;
}
