/** What was measured until now. */
export interface Lap {
  readonly wallMs: number;
  /** This process's own CPU time, in all its threads, less what looking costs. */
  readonly cpuMs: number;
  /** The most CPU time of one turn of the event loop. */
  readonly longestMs: number;
}

/**
 * Measures the turns of the event loop by this process's own CPU time, so that what other processes take does not count.
 * It looks once a millisecond, so two or three turns can count as one.
 */
export class TurnMeter {
  #last = process.cpuUsage();
  #longestUs = 0;
  #cpuUs = 0;
  #since = performance.now();
  readonly #timer = setInterval(() => this.#look(), 1);

  /** What was measured since the last lap. */
  lap(): Lap {
    this.#look();
    const now = performance.now();
    const lap = { wallMs: now - this.#since, cpuMs: this.#cpuUs / 1000, longestMs: this.#longestUs / 1000 };
    this.#since = now;
    this.#cpuUs = 0;
    this.#longestUs = 0;
    return lap;
  }

  end(): Lap {
    clearInterval(this.#timer);
    return this.lap();
  }

  #look(): void {
    const now = process.cpuUsage();
    const us = now.user + now.system - this.#last.user - this.#last.system;
    this.#last = now;
    this.#cpuUs += us;
    this.#longestUs = Math.max(this.#longestUs, us);
  }
}
