import type { Clock } from "../environment.ts";
import type { Loadable } from "./loadable.ts";

/** The least time between two loads of one script where a node answers NOSCRIPT again and again. */
const REST_MS = 10;

/**
 * When a script may be loaded once more on one node. Another client that flushes all the time, or a node that forgets at
 * once, would otherwise get a load for every answer. The first load is never delayed.
 *
 *   load --NOSCRIPT within 10 ms--> rest: calls that meet it share one promise --> the first of them brings the next load
 */
export class LoadPace {
  readonly #clock: Clock;
  readonly #loadedAt = new WeakMap<Loadable, number>();
  readonly #rests = new WeakMap<Loadable, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A load is queued now. */
  note(script: Loadable): void {
    this.#loadedAt.set(script, this.#clock.now());
  }

  /** Whether the script should not be loaded again yet. */
  isResting(script: Loadable): boolean {
    return this.#leftMs(script) > 0;
  }

  /** Resolves when the script may be loaded again. Undefined if it may be now. */
  restOf(script: Loadable): Promise<void> | undefined {
    const resting = this.#rests.get(script);
    if (resting !== undefined) return resting;
    const leftMs = this.#leftMs(script);
    if (leftMs <= 0) return undefined;
    const rest = new Promise<void>((resolve) => {
      this.#clock.setTimer(() => {
        this.#rests.delete(script);
        resolve();
      }, leftMs);
    });
    this.#rests.set(script, rest);
    return rest;
  }

  #leftMs(script: Loadable): number {
    return (this.#loadedAt.get(script) ?? Number.NEGATIVE_INFINITY) + REST_MS - this.#clock.now();
  }
}
