import { SLOT_COUNT } from "../../src/protocol/hash-slot.ts";

/** One thing that happened to the cluster, as each node learns it sooner or later. */
export type Change = (view: View) => void;

/** The cluster as one node sees it. Shards are primaries with their replicas; a slot belongs to a shard. */
export class View {
  /** The node that is primary, by shard. */
  readonly primaries: number[];
  /** Slots that are no more in the shard they were in at first. */
  readonly moved = new Map<number, number>();
  readonly failed = new Set<number>();
  /** The config epochs, by shard: a primary that gets slots has the highest of all. */
  readonly epochs: number[];
  /** Slots are not served, and every node says so. */
  isDown = false;
  readonly #shardsWithSlots: number;

  constructor(primaries: readonly number[], shardsWithSlots: number) {
    this.primaries = [...primaries];
    this.epochs = primaries.map((_, shard) => shard + 1);
    this.#shardsWithSlots = shardsWithSlots;
  }

  shardOf(slot: number): number {
    return this.moved.get(slot) ?? Math.floor((slot * this.#shardsWithSlots) / SLOT_COUNT);
  }

  ownerOf(slot: number): number {
    return this.primaries[this.shardOf(slot)] as number;
  }

  /** [start, end] of each range of a shard, flat, as CLUSTER SHARDS has them. */
  rangesOf(shard: number): number[] {
    const ranges: number[] = [];
    const add = (start: number, end: number) => {
      if (start <= end) ranges.push(start, end);
    };
    if (shard < this.#shardsWithSlots) {
      let start = Math.ceil((shard * SLOT_COUNT) / this.#shardsWithSlots);
      const end = Math.ceil(((shard + 1) * SLOT_COUNT) / this.#shardsWithSlots) - 1;
      const gone = [...this.moved].flatMap(([slot, to]) => (to !== shard && slot >= start && slot <= end ? slot : []));
      for (const slot of gone.sort((a, b) => a - b)) {
        add(start, slot - 1);
        start = slot + 1;
      }
      add(start, end);
    }
    const base = (slot: number) => Math.floor((slot * this.#shardsWithSlots) / SLOT_COUNT);
    for (const [slot, to] of this.moved) if (to === shard && base(slot) !== shard) add(slot, slot);
    return ranges;
  }
}
