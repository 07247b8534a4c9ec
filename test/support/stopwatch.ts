/** A turn of the event loop that takes longer was kept waiting: by this process's own work, or by others on the machine. */
const LONGEST_TURN_MS = 5;

/**
 * Measures time as this process had it. It looks at the clock every millisecond; where it comes to look much later,
 * because the process did not get its turn, only the first milliseconds count. So what waits for a timer of 250 ms takes
 * 250 ms by this clock, on a machine that is idle as on one that is not, and what needs twenty turns of the event loop takes
 * 100 ms at most.
 *
 * `using watch = new Stopwatch();` stops it where the block ends.
 */
export class Stopwatch {
  #counted = 0;
  #lookedAt = performance.now();
  readonly #timer = setInterval(() => this.#look(), 1);

  /** The milliseconds that have passed since it was made. */
  get ms(): number {
    this.#look();
    return this.#counted;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#counted += Math.min(now - this.#lookedAt, LONGEST_TURN_MS);
    this.#lookedAt = now;
  }
}
