import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { Topology, TopologyNode } from "./topology.ts";

/** One node's own account of its slots, at one moment. */
export interface SlotHoldings {
  readonly id: string;
  /** The node's config epoch. It changes whenever the node gets a slot that another node had. */
  readonly epoch: string;
  /** One entry per slot: 1 if the node owns the slot. */
  readonly owned: Uint8Array;
  /** The node's own slots that are migrating, each with the id of the node that is to get the slot. */
  readonly leaving: ReadonlyMap<number, string>;
  /** Slots of other nodes that the node is importing. */
  readonly arriving: ReadonlySet<number>;
}

/**
 * Reads the line about the answering node from a reply to CLUSTER NODES. Undefined when the reply has no such line.
 *
 *   <id> <ip:port@cport> myself,master <primary> <ping> <pong> <epoch> <link> 0-99 200 [300->-<id>] [400-<-<id>]
 */
export function parseHoldings(text: string): SlotHoldings | undefined {
  const line = text.split("\n").find((each) => each.split(" ", 3)[2]?.split(",").includes("myself"));
  if (line === undefined) return undefined;
  const [id = "", , , , , , epoch = "", , ...slots] = line.trim().split(" ");
  const owned = new Uint8Array(SLOT_COUNT);
  const leaving = new Map<number, string>();
  const arriving = new Set<number>();
  for (const entry of slots) {
    const moving = /^\[(\d+)-([<>])-(\w+)\]$/.exec(entry);
    if (moving === null) {
      const [start, end = start] = entry.split("-").map(Number);
      owned.fill(1, start, (end as number) + 1);
    } else if (moving[2] === ">") leaving.set(Number(moving[1]), moving[3] as string);
    else arriving.add(Number(moving[1]));
  }
  return { id, epoch, owned, leaving, arriving };
}

/** A node's holdings as far as the topology knows them, for a node that gives no account itself. */
export function holdingsOf(topology: Topology, { id, address }: TopologyNode): SlotHoldings {
  const owned = new Uint8Array(SLOT_COUNT);
  for (const { start, end, primary } of topology.ranges) if (primary.address === address) owned.fill(1, start, end + 1);
  return { id, epoch: "", owned, leaving: new Map(), arriving: new Set() };
}
