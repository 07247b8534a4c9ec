import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { Topology, TopologyNode } from "./topology.ts";

/** What one node says of its own slots, at one moment. */
export interface SlotHoldings {
  readonly id: string;
  /** Changes whenever it gets a slot that another node had. */
  readonly epoch: string;
  /** 1 for each slot that is its own. */
  readonly owned: Uint8Array;
  /** Of its own slots those whose keys are on their way to another node, by its id. */
  readonly leaving: ReadonlyMap<number, string>;
  /** Slots of others whose keys come to it. */
  readonly arriving: ReadonlySet<number>;
}

/**
 * The reply to CLUSTER NODES, as far as it is on the node that gave it; undefined when that is no such reply.
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

/** The same as far as a topology knows, for a node that does not say. */
export function holdingsOf(topology: Topology, { id, address }: TopologyNode): SlotHoldings {
  const owned = new Uint8Array(SLOT_COUNT);
  for (const { start, end, primary } of topology.ranges) if (primary.address === address) owned.fill(1, start, end + 1);
  return { id, epoch: "", owned, leaving: new Map(), arriving: new Set() };
}
