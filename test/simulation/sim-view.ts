import { SLOT_COUNT } from "../../src/protocol/hash-slot.ts";

/** The shard of slots that nobody owns. */
export const NOBODY = -1;

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
  /** A primary with slots has failed. */
  isDown = false;
  /** Nodes that it does not know: it was told to forget them, or has just joined. */
  readonly lacks = new Set<number>();
  /** Where nodes are that left their first address. */
  readonly #hosts = new Map<number, string>();
  /** Some slots have no owner. */
  isAnyUnowned = false;
  readonly #shardsWithSlots: number;
  readonly #needsAllSlots: boolean;

  constructor(primaries: readonly number[], shardsWithSlots: number, needsAllSlots: boolean) {
    this.#needsAllSlots = needsAllSlots;
    this.primaries = [...primaries];
    this.epochs = primaries.map((_, shard) => shard + 1);
    this.#shardsWithSlots = shardsWithSlots;
  }

  hostOf(node: number): string {
    return this.#hosts.get(node) ?? `10.0.0.${node + 1}`;
  }

  /** A slot has no owner from now on. */
  disown(slot: number): void {
    this.moved.set(slot, NOBODY);
    this.isAnyUnowned = true;
  }

  /** A slot is a shard's from now on. */
  own(slot: number, shard: number): void {
    this.moved.set(slot, shard);
    this.isAnyUnowned = [...this.moved.values()].includes(NOBODY);
  }

  /** Whether a node is where it has always been. */
  isAtHome(node: number): boolean {
    return !this.#hosts.has(node);
  }

  nodeIsAt(node: number, host: string): void {
    this.#hosts.set(node, host);
  }

  /** Whether no slot is served. */
  get servesNothing(): boolean {
    return this.isDown || (this.#needsAllSlots && this.#isPartial);
  }

  get #isPartial(): boolean {
    const lacksOwner = () =>
      this.primaries.some((node, shard) => this.lacks.has(node) && this.rangesOf(shard).length > 0);
    return this.isAnyUnowned || (this.lacks.size > 0 && lacksOwner());
  }

  /** `NOBODY` when the slot has no owner. */
  shardOf(slot: number): number {
    return this.moved.get(slot) ?? Math.floor((slot * this.#shardsWithSlots) / SLOT_COUNT);
  }

  /** Undefined when nobody owns the slot, or when it is not known who does. */
  ownerOf(slot: number): number | undefined {
    const owner = this.primaries[this.shardOf(slot)];
    return owner === undefined || this.lacks.has(owner) ? undefined : owner;
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
