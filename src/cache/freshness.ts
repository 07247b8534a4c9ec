/*
 * What proves that a cached reply is still current. Pure.
 *
 * A server tells of every change of a key that it tracks, on the connection that hears, in front of the answer to a PING
 * that it takes later. It tracks while the connection that reads is open. So when a PING sent at `p` and a read sent at
 * `r` have been answered, everything that is kept was current at the earlier of the two.
 */

/** The two clocks may lie so many milliseconds apart by rounding, and by the correction of the wall clock. */
const SLACK_MS = 2;

/** So often is the wall clock believed alone, one time after the other. */
const MOST_USES = 16;

/**
 * The time that has passed, by the clock that shows more of it: the monotonic clock stops while a virtual machine is
 * suspended, and the wall clock can be set back.
 */
export class LapseClock {
  readonly #mono: () => number;
  readonly #wall: () => number;
  /** By how much the wall clock was ahead of the monotonic one when they were compared last. */
  #ahead: number;
  /** The time that the monotonic clock did not show. */
  #missed = 0;
  /** What `soon` returns in this millisecond of the wall clock. */
  #bound = 0;
  #boundFor = Number.NaN;
  #boundUses = 0;

  constructor(mono: () => number, wall: () => number) {
    this.#mono = mono;
    this.#wall = wall;
    this.#ahead = wall() - mono();
  }

  /** Milliseconds. They never decrease, and may be up to 2 ms late. */
  now(): number {
    this.#boundFor = Number.NaN;
    const mono = this.#mono();
    const shift = this.#wall() - mono - this.#ahead;
    if (shift > SLACK_MS || shift < -SLACK_MS) this.#shifted(shift);
    return mono + this.#missed;
  }

  /**
   * A time that is not before `now`, and at most 1 ms after it. It costs one clock in place of two while the wall clock
   * shows the same millisecond. A wall clock that is set back into that millisecond, or stands still, is believed a few
   * times at most, and only until somebody calls `now`.
   */
  soon(): number {
    const wall = this.#wall();
    if (wall !== this.#boundFor || ++this.#boundUses > MOST_USES) {
      this.#bound = this.now() + 1;
      this.#boundFor = wall;
      this.#boundUses = 0;
    }
    return this.#bound;
  }

  #shifted(shift: number): void {
    this.#ahead += shift;
    if (shift > 0) this.#missed += shift;
  }
}

/** Until when replies may be served whose proofs were sent at `read` and `ping`. A whole number, which is compared fast. */
export function provenUntil(read: number, ping: number, maxStaleness: number): number {
  return wholeBefore(Math.min(read, ping) + maxStaleness - SLACK_MS);
}

/** When an entry ends that was asked for at `sent`, and whose keys live for `ttlMs` from then on, at least. */
export function endOf(sent: number, ttlMs: number, maxAge: number): number {
  return wholeBefore(sent + Math.min(ttlMs - SLACK_MS, maxAge));
}

/** V8 keeps whole numbers below 2^31, which are 24 days, without a look elsewhere in memory. */
function wholeBefore(time: number): number {
  return Number.isFinite(time) ? Math.floor(time) : time;
}

/** The proofs that two connections to one primary have given. */
export class Proofs {
  /** Replies that were read through these connections may be served before. */
  until = 0;
  readonly #maxStaleness: number;
  #read = Number.NEGATIVE_INFINITY;
  #ping = Number.NEGATIVE_INFINITY;
  #isOver = false;

  constructor(maxStaleness: number) {
    this.#maxStaleness = maxStaleness;
  }

  /** A read of a key, sent at `sent`, was answered. */
  noteRead(sent: number): void {
    this.#read = sent;
    this.#update();
  }

  /** A PING on the connection that hears, sent at `sent`, was answered. */
  notePing(sent: number): void {
    this.#ping = sent;
    this.#update();
  }

  /** The connections are gone, so nothing is proven, and nothing will be. */
  end(): void {
    this.#isOver = true;
    this.#update();
  }

  #update(): void {
    const until = this.#isOver ? 0 : provenUntil(this.#read, this.#ping, this.#maxStaleness);
    this.until = Math.max(0, until);
  }
}
