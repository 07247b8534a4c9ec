/*
 * What proves that a cached reply is still current. Pure.
 *
 * A server tells of every change of a key that it tracks, on the connection that hears, in front of the answer to a PING
 * that it takes later. It tracks while the connection that reads is open. So when a PING sent at `p` and a read sent at
 * `r` have been answered, everything that is kept was current at the earlier of the two.
 */

/** A moment by two clocks: the monotonic one stops while a virtual machine is suspended, and the wall clock is set. */
export interface Moment {
  readonly mono: number;
  readonly wall: number;
}

/** The moment `ms` later. */
export function later({ mono, wall }: Moment, ms: number): Moment {
  return { mono: mono + ms, wall: wall + ms };
}

/** Whether `ms` have passed from one moment to another, by the clock that shows the larger lapse. */
export function hasPassed(from: Moment, to: Moment, ms: number): boolean {
  return to.mono - from.mono >= ms || to.wall - from.wall >= ms;
}

/** The earlier of two moments, by each clock. */
export function earlier(one: Moment, other: Moment): Moment {
  return { mono: Math.min(one.mono, other.mono), wall: Math.min(one.wall, other.wall) };
}

const NEVER: Moment = { mono: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };

/** The proofs that two connections to one primary have given. A reply may be served before `untilMono` and `untilWall`. */
export class Proofs {
  untilMono = Number.NEGATIVE_INFINITY;
  untilWall = Number.NEGATIVE_INFINITY;
  readonly #maxStaleness: number;
  #read = NEVER;
  #ping = NEVER;
  #isOver = false;

  constructor(maxStaleness: number) {
    this.#maxStaleness = maxStaleness;
  }

  /** A read of a key, sent at `sent`, was answered. */
  noteRead(sent: Moment): void {
    this.#read = sent;
    this.#update();
  }

  /** A PING on the connection that hears, sent at `sent`, was answered. */
  notePing(sent: Moment): void {
    this.#ping = sent;
    this.#update();
  }

  /** Nothing is proven any more, and nothing will be: the connections are gone. */
  end(): void {
    this.#isOver = true;
    this.#update();
  }

  #update(): void {
    const { mono, wall } = this.#isOver ? NEVER : later(earlier(this.#read, this.#ping), this.#maxStaleness);
    this.untilMono = mono;
    this.untilWall = wall;
  }
}
