import { SLOT_COUNT } from "../protocol/hash-slot.ts";

/**
 * How many things there are of each slot. Whether there are any is one bit: writes ask this for slots all over, and the bits
 * fit into the processor's nearest cache, where the counts do not.
 */
export class SlotCounts {
  readonly #counts = new Uint32Array(SLOT_COUNT);
  readonly #bits = new Int32Array(SLOT_COUNT / 32);

  add(slot: number): void {
    const count = this.#counts[slot] as number;
    this.#counts[slot] = count + 1;
    if (count === 0) this.#flip(slot);
  }

  remove(slot: number): void {
    const count = this.#counts[slot] as number;
    this.#counts[slot] = count - 1;
    if (count === 1) this.#flip(slot);
  }

  /** Whether there is anything of a slot, or may be: the slot is -1, which stands for one that is not known. */
  mayHave(slot: number): boolean {
    return slot < 0 || ((this.#bits[slot >> 5] as number) & (1 << (slot & 31))) !== 0;
  }

  #flip(slot: number): void {
    this.#bits[slot >> 5] = (this.#bits[slot >> 5] as number) ^ (1 << (slot & 31));
  }
}
