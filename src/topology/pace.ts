/** The least time between the beginnings of two rounds while trouble is young. */
const EARLY_MS = 100;
/** Trouble is young for this long. */
const YOUNG_MS = 1000;
/** The least time between the beginnings of two rounds in trouble that lasts. */
const LATER_MS = 500;
/** When nobody has told of trouble for this long, the next trouble is a new one. */
const CALM_MS = 2000;
/** Each wait is longer by up to this part of it, because many clients notice the same trouble at one moment. */
const JITTER = 0.25;

/**
 * How soon the topology may be asked for again. Pure but for its memory; times are those of one clock.
 *
 *   calm --trouble--> young: a round at once, then each 100 ms --1 s--> lasting: a round each 500 ms
 *    ^---- no news of trouble for 2 s ------'-----------------------------'
 */
export class Pace {
  #begunAt = Number.NEGATIVE_INFINITY;
  #troubleSince = Number.NEGATIVE_INFINITY;
  #troubleTold = Number.NEGATIVE_INFINITY;
  /** The factor on the wait after the last round. */
  #stretch = 1;

  /**
   * A round begins.
   * @param random  In [0, 1).
   */
  noteBegun(now: number, random: number): void {
    this.#begunAt = now;
    this.#stretch = 1 + JITTER * random;
  }

  /** Calls wait for the cluster to recover. Returns when the next round may begin. */
  inTrouble(now: number): number {
    if (now - this.#troubleTold > CALM_MS) this.#troubleSince = now;
    this.#troubleTold = now;
    const early = this.after(EARLY_MS, now);
    return early - this.#troubleSince < YOUNG_MS ? early : this.after(LATER_MS, now);
  }

  /** When the next round may begin that a user asks for. */
  onRequest(now: number): number {
    return this.after(EARLY_MS, now);
  }

  /** `waitMs` after the last round began, and some more by chance; `now` if that has passed. */
  after(waitMs: number, now: number): number {
    return Math.max(now, this.#begunAt + waitMs * this.#stretch);
  }
}
