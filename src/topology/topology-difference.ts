import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { LeftOutEntry, Topology } from "./topology.ts";

/** The changes from one topology to the next. All addresses are as announced. */
export interface TopologyDifference {
  readonly nodes: readonly { readonly address: string; readonly role: "primary" | "replica" }[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Nodes that were replicas and are primaries now. */
  readonly promoted: readonly string[];
  /** The number of slots whose owner changed; losing the owner and getting a first one count too. */
  readonly movedSlots: number;
  readonly leftOut: readonly LeftOutEntry[];
}

export function differenceOf(current: Topology, previous: Topology): TopologyDifference {
  const before = new Map(previous.nodes.map(({ address, role }) => [address, role]));
  const nodes = current.nodes.map(({ address, role }) => ({ address, role }));
  const now = new Set(nodes.map(({ address }) => address));
  let movedSlots = 0;
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    if (current.primaryOf(slot)?.address !== previous.primaryOf(slot)?.address) movedSlots++;
  }
  return {
    nodes,
    added: [...now].filter((address) => !before.has(address)),
    removed: [...before.keys()].filter((address) => !now.has(address)),
    promoted: nodes
      .filter(({ address, role }) => role === "primary" && before.get(address) === "replica")
      .map(({ address }) => address),
    movedSlots,
    leftOut: current.leftOut,
  };
}
