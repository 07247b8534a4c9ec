import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import { type ClientInfo, type MovedSlots, type TopologyMessage, topologyChannel } from "../telemetry/channels.ts";
import { nextSeq } from "../telemetry/sequence.ts";
import { Topology, type TopologyNode } from "./topology.ts";

/** The changes from one topology to the next. All addresses are as announced. */
export type TopologyDifference = Omit<TopologyMessage, "seq" | "client" | "reason">;

/** Publishes that the topology changed. `previous` is undefined for the first one of a client. */
export function tellTopology(
  client: ClientInfo,
  current: Topology,
  previous: Topology | undefined,
  reason: TopologyMessage["reason"],
): void {
  if (!topologyChannel.hasSubscribers) return;
  const before = previous ?? Topology.from({ nodes: [], slots: [] });
  topologyChannel.publish({ seq: nextSeq(), client, reason, ...differenceOf(current, before) });
}

export function differenceOf(current: Topology, previous: Topology): TopologyDifference {
  const before = new Map(previous.nodes.map((node) => [node.address, node]));
  const now = new Set(current.nodes.map(({ address }) => address));
  const moved = movesOf(current, previous);
  return {
    nodes: current.nodes.map(({ address, role, id, primary, health }) => ({ address, role, id, primary, health })),
    added: [...now].filter((address) => !before.has(address)),
    removed: [...before.keys()].filter((address) => !now.has(address)),
    promoted: current.nodes
      .filter(({ address, role }) => role === "primary" && before.get(address)?.role === "replica")
      .map(({ address }) => address),
    changed: current.nodes.filter((node) => isChanged(node, before.get(node.address))).map(({ address }) => address),
    moved,
    movedSlots: moved.reduce((sum, { start, end }) => sum + end - start + 1, 0),
    leftOut: current.leftOut,
  };
}

function isChanged(node: TopologyNode, before: TopologyNode | undefined): boolean {
  if (before === undefined || before === node) return false;
  return (["role", "id", "primary", "health"] as const).some((field) => node[field] !== before[field]);
}

/** The slots whose owner changed, in ranges as long as possible. */
function movesOf(current: Topology, previous: Topology): MovedSlots[] {
  const moved: { start: number; end: number; from: string | undefined; to: string | undefined }[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const from = previous.primaryOf(slot)?.address;
    const to = current.primaryOf(slot)?.address;
    if (from === to) continue;
    const last = moved.at(-1);
    if (last !== undefined && last.end === slot - 1 && last.from === from && last.to === to) last.end = slot;
    else moved.push({ start: slot, end: slot, from, to });
  }
  return moved;
}
