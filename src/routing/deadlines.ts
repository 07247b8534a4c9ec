import type { Clock, Timer } from "../environment.ts";

/** Something that expires unless it is removed first; a link of the list that it waits in. */
export interface Expiring {
  expiresAt: number;
  list: DeadlineList | undefined;
  earlier: Expiring | undefined;
  later: Expiring | undefined;
  expire(): void;
}

/*
 * Calls with one timeout expire in the order in which they were made, so a list a timeout is sorted by itself: adding
 * and removing cost a few pointers, and one timer watches the head.
 *
 *   5000 ms: oldest <-> ... <-> newest        250 ms: oldest <-> ... <-> newest
 */
export class DeadlineList {
  readonly timeoutMs: number;
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #oldest: Expiring | undefined;
  #newest: Expiring | undefined;
  #timer: Timer | undefined;
  /** The head is due, and sockets are read before it expires. No timer runs meanwhile. */
  #expiring = false;

  /** @param onIdle  Called when a whole timeout has passed without anything in the list. */
  constructor(timeoutMs: number, clock: Clock, onIdle: () => void = () => {}) {
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  /** @param now  The clock's reading, or a slightly earlier one. */
  add(item: Expiring, now: number): void {
    // Whole milliseconds: an integer is kept in place, a fraction would be one more object a call.
    item.expiresAt = Math.ceil(now + this.timeoutMs);
    item.list = this;
    item.earlier = this.#newest;
    if (this.#newest === undefined) this.#oldest = item;
    else this.#newest.later = item;
    this.#newest = item;
    if (this.#timer === undefined && !this.#expiring) this.#arm(this.timeoutMs);
  }

  /**
   * Items that were added in one tick count from its end: `lateMs` is how long the tick took. They are the newest ones,
   * with the deadline that `now` gave them.
   */
  postpone(now: number, lateMs: number): void {
    const given = Math.ceil(now + this.timeoutMs);
    for (let item = this.#newest; item !== undefined && item.expiresAt === given; item = item.earlier) {
      item.expiresAt = given + lateMs;
    }
  }

  remove(item: Expiring): void {
    const { earlier, later } = item;
    if (earlier === undefined) this.#oldest = later;
    else earlier.later = later;
    if (later === undefined) this.#newest = earlier;
    else later.earlier = earlier;
    item.earlier = undefined;
    item.later = undefined;
    item.list = undefined;
  }

  /** Nothing is in it, or about to be expired. */
  get isIdle(): boolean {
    return this.#oldest === undefined && !this.#expiring;
  }

  cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    // In the background: sockets and retry timers keep the process alive while there is something to wait for.
    this.#timer = this.#clock.setTimer(this.#due, Math.max(1, delayMs), true);
  }

  readonly #due = (): void => {
    this.#timer = undefined;
    const oldest = this.#oldest;
    if (oldest === undefined) {
      this.#onIdle();
      return;
    }
    const waitMs = oldest.expiresAt - this.#clock.now();
    if (waitMs > 0) this.#arm(waitMs);
    else {
      // Replies that have arrived win over deadlines that passed while the event loop was busy.
      this.#expiring = true;
      this.#clock.afterReads(this.#expire);
    }
  };

  readonly #expire = (): void => {
    const now = this.#clock.now();
    for (let item = this.#oldest; item !== undefined && item.expiresAt <= now; item = this.#oldest) {
      this.remove(item);
      item.expire();
    }
    this.#expiring = false;
    if (this.#oldest !== undefined) this.#arm(this.#oldest.expiresAt - now);
  };
}

/** Lists that are kept whether they are in use or not: an idle one is let go when its timeout has passed. */
const MOST_LISTS = 64;

/** The deadlines of all calls of a cluster. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #lists = new Map<number, DeadlineList>();
  #recent: DeadlineList | undefined;
  #sweepAt = MOST_LISTS;
  #now = 0;
  #nowIsFresh = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param timeoutMs  More than 0. */
  add(item: Expiring, timeoutMs: number): void {
    let list = this.#recent;
    if (list === undefined || list.timeoutMs !== timeoutMs) list = this.#listOf(timeoutMs);
    if (!this.#nowIsFresh) {
      // One reading of the clock a tick is enough.
      this.#nowIsFresh = true;
      this.#now = this.#clock.now();
      this.#clock.nextTick(this.#stale);
    }
    list.add(item, this.#now);
  }

  close(): void {
    for (const list of this.#lists.values()) list.cancelTimer();
  }

  readonly #stale = (): void => {
    this.#nowIsFresh = false;
    const lateMs = Math.floor(this.#clock.now() - this.#now);
    if (lateMs > 0) for (const list of this.#lists.values()) list.postpone(this.#now, lateMs);
  };

  #listOf(timeoutMs: number): DeadlineList {
    let list = this.#lists.get(timeoutMs);
    if (list === undefined) {
      // Timeouts can be computed, and then there are many: a list that is not used is let go.
      if (this.#lists.size >= this.#sweepAt) this.#sweep();
      list = new DeadlineList(timeoutMs, this.#clock, () => {
        this.#lists.delete(timeoutMs);
        this.#recent = undefined;
      });
      this.#lists.set(timeoutMs, list);
    }
    this.#recent = list;
    return list;
  }

  /** Of many lists, those with long timeouts would stay idle for long. */
  #sweep(): void {
    for (const [timeoutMs, list] of this.#lists) {
      if (!list.isIdle) continue;
      list.cancelTimer();
      this.#lists.delete(timeoutMs);
    }
    this.#recent = undefined;
    this.#sweepAt = Math.max(MOST_LISTS, 2 * this.#lists.size);
  }
}
