import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { SlotHoldings } from "../topology/slot-holdings.ts";

/**
 * Which slots have been scanned. A key that exists all the time is somewhere in its slot at every moment, so a slot is
 * done in one of two ways:
 *
 *   open --- whole on one node at every step of a pass over it ------------------------------------> done
 *   open --- on its way from A to B at the end of a pass over A --> half --- a later pass over B ---> done
 *
 * In the second, a key that A's pass missed had left before its end, and B's pass began behind that.
 */
export class ScanCoverage {
  /** Slots that are not done. */
  readonly open = new Set<number>(Array.from({ length: SLOT_COUNT }, (_, slot) => slot));
  /** Of these the half done ones, by the id of the node that a pass is needed over. */
  readonly #half = new Map<number, string>();

  /** The id of the node that has to be scanned next for a half done slot. */
  targetOf(slot: number): string | undefined {
    return this.#half.get(slot);
  }

  /** Begins a pass over a node. */
  pass(holdings: SlotHoldings): ScanPass {
    const whole = new Set<number>();
    const second = new Set<number>();
    for (const slot of this.open) {
      const target = this.#half.get(slot);
      const isOwned = holdings.owned[slot] === 1;
      if (target === undefined) {
        if (isOwned) whole.add(slot);
      } else if (target === holdings.id) {
        if (isOwned || holdings.arriving.has(slot)) second.add(slot);
        else this.#half.delete(slot);
      }
    }
    return new ScanPass(holdings, whole, second);
  }

  /** The node that a half done slot was to go on with is none any more. */
  reopen(slot: number): void {
    this.#half.delete(slot);
  }

  /** A pass over a node has come to its end. */
  complete({ whole, second, leaving }: ScanPass): void {
    for (const slot of [...whole, ...second]) {
      const target = leaving.get(slot);
      if (target === undefined) {
        this.open.delete(slot);
        this.#half.delete(slot);
      } else this.#half.set(slot, target);
    }
  }
}

/** One pass over one node: the slots whose keys it is certain to find. There are fewer of them as slots move away. */
export class ScanPass {
  /** Owned at every step so far. */
  readonly whole: Set<number>;
  /** Scanned already where they came from; owned or arriving at every step so far. */
  readonly second: Set<number>;
  /** Slots of either kind that are on their way to another node, by its id. */
  readonly leaving = new Map<number, string>();
  #epoch: string;

  constructor(holdings: SlotHoldings, whole: Set<number>, second: Set<number>) {
    this.whole = whole;
    this.second = second;
    this.#epoch = holdings.epoch;
    this.observe(holdings);
  }

  get size(): number {
    return this.whole.size + this.second.size;
  }

  has(slot: number): boolean {
    return this.whole.has(slot) || this.second.has(slot);
  }

  /**
   * Takes notice of what the node has now. False: it has got slots since the last time, and any slot can have been away
   * in between; what was scanned in between is to be scanned once more.
   */
  observe({ epoch, owned, leaving, arriving }: SlotHoldings): boolean {
    for (const slot of [...this.whole, ...this.second]) {
      const isHere = owned[slot] === 1 || (arriving.has(slot) && this.second.has(slot));
      const before = this.leaving.get(slot);
      const target = leaving.get(slot);
      // One that was on its way and is not any more may have left keys behind there.
      if (isHere && (before === undefined || before === target)) {
        if (target !== undefined) this.leaving.set(slot, target);
        continue;
      }
      this.whole.delete(slot);
      this.second.delete(slot);
      this.leaving.delete(slot);
    }
    const isSettled = epoch === this.#epoch;
    this.#epoch = epoch;
    return isSettled;
  }
}
