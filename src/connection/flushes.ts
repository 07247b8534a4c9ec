import type { Clock } from "../environment.ts";

/**
 * From so many requests in flight on a lane, or so many written in the last turn, on, lanes are flushed in `afterReads`:
 * every readable socket is read first, and the follow-up calls of all of them share one write for each node.
 */
const MANY = 8;

/**
 * The flushes that the lanes of one client are to make, all of them in one turn. A lane whose replies have all been read
 * has nothing in flight at that moment. With many nodes that is so of most lanes at most times, so a busy client is told
 * by what its lanes have written together.
 */
export class Flushes {
  readonly #clock: Clock;
  #due: (() => number)[] = [];
  #isScheduled = false;
  /** Requests that were written in the last turn. */
  #written = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param flush     Writes what a lane has queued. Returns the number of requests that were written.
   * @param inFlight  The requests that are in flight on the lane.
   */
  add(flush: () => number, inFlight: number): void {
    this.#due.push(flush);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (inFlight >= MANY || this.#written >= MANY) this.#clock.afterReads(this.#run);
    else this.#clock.nextTick(this.#run);
  }

  readonly #run = (): void => {
    // A server may have closed a connection while this process was stopped or computed. That is read first: what was
    // never written goes through the next connection, what was written may have run.
    if (this.#clock.isBehind()) {
      this.#clock.afterArrivals(this.#run);
      return;
    }
    const due = this.#due;
    this.#due = [];
    this.#isScheduled = false;
    this.#written = 0;
    let next = 0;
    try {
      while (next < due.length) this.#written += (due[next++] as () => number)();
    } finally {
      // The application's own stream can throw. The lanes behind it are flushed nevertheless.
      for (; next < due.length; next++) this.add(due[next] as () => number, 0);
    }
  };
}
