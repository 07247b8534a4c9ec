import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { SlotHoldings } from "../topology/slot-holdings.ts";

/**
 * Which slots have been scanned. A key that exists all the time is on some node of its slot at every moment. So a slot
 * is done in one of two ways:
 *
 *   open --- whole on one node at every step of a pass over it ------------------------------------> done
 *   open --- on its way from A to B at the end of a pass over A --> half --- a later pass over B ---> done
 *
 * In the second way, a key that the pass over A missed had left A before that pass ended, and the pass over B began
 * after that.
 */
export class ScanCoverage {
  /** Slots that are not done. */
  readonly open = new Set<number>(Array.from({ length: SLOT_COUNT }, (_, slot) => slot));
  /** The half done slots among the open ones, each with the id of the node that needs a pass. */
  readonly #half = new Map<number, string>();

  /** The id of the node that has to be scanned next for a half done slot; undefined for other slots. */
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

  /** The node that had to be scanned next for a half done slot is no primary of the cluster any more. */
  reopen(slot: number): void {
    this.#half.delete(slot);
  }

  /** A pass over a node is complete. */
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

/**
 * One pass over one node, with the slots whose keys the pass is certain to find. Slots that move away leave the pass.
 */
export class ScanPass {
  /** The slots that the node has owned at every step so far. */
  readonly whole: Set<number>;
  /**
   * The slots that were scanned on the node that they came from, and were owned or arriving here at every step so far.
   */
  readonly second: Set<number>;
  /** The slots of either kind that are on their way to another node, each with that node's id. */
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
   * Takes notice of the slots that the node has now. Returns false if the node has got slots since the last look. Then
   * any slot can have been away in between, so the steps since the last look must be taken again.
   */
  observe({ epoch, owned, leaving, arriving }: SlotHoldings): boolean {
    for (const slot of [...this.whole, ...this.second]) {
      const isHere = owned[slot] === 1 || (arriving.has(slot) && this.second.has(slot));
      const before = this.leaving.get(slot);
      const target = leaving.get(slot);
      // A slot that was on its way and is not any more may have left keys on the other node.
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
