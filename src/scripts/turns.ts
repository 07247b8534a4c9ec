import type { Clock } from "../environment.ts";
import { Ring } from "../protocol/ring.ts";

/** Milliseconds of one turn of the event loop that long work may take, for all nodes together. */
const SHARE_MS = 3;

/**
 * Divides long work among the turns of the event loop. Pieces of work are done at once while the turn's share lasts;
 * later ones wait for a later turn, in their order.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #waiting = new Ring<() => void>();
  #spentMs = 0;
  /** The share is renewed after the reads of this turn. */
  #isRenewed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether any work waits for its turn. */
  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  /** Does one piece of work. Resolves to its result. */
  run<T>(work: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error as Error);
        }
      });
      this.#work();
    });
  }

  #work(): void {
    while (this.#waiting.size > 0 && this.#spentMs < SHARE_MS) {
      const began = this.#clock.now();
      this.#waiting.shift()?.();
      this.#spentMs += this.#clock.now() - began;
    }
    if (this.#isRenewed) return;
    this.#isRenewed = true;
    this.#clock.afterReads(() => {
      this.#isRenewed = false;
      this.#spentMs = 0;
      if (this.#waiting.size > 0) this.#work();
    });
  }
}
