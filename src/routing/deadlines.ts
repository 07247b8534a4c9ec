import type { Clock, Timer } from "../environment.ts";

/** When something expires. What was added to one list in one tick shares one. */
export interface Moment {
  readonly list: DeadlineList;
  /** In whole milliseconds, because an integer is stored in place. */
  expiresAt: number;
}

/** Something that expires unless it is removed before. It is also a link of the list that it waits in. */
export interface Expiring {
  /** Undefined while it waits in no list. */
  moment: Moment | undefined;
  earlier: Expiring | undefined;
  later: Expiring | undefined;
  expire(): void;
}

/*
 * Calls with the same timeout expire in the order in which they were made. So one list for each timeout is always
 * sorted: adding and removing change a few pointers, and one timer watches the head.
 *
 *   5000 ms: oldest <-> ... <-> newest        250 ms: oldest <-> ... <-> newest
 */
export class DeadlineList {
  readonly timeoutMs: number;
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #oldest: Expiring | undefined;
  #newest: Expiring | undefined;
  /** The moment of what is added in the present tick, and when that was added. */
  #moment: Moment | undefined;
  #addedAt = 0;
  #timer: Timer | undefined;
  /** The head is due. Sockets are read before it expires, and no timer runs meanwhile. */
  #expiring = false;

  /** @param onIdle  Called when the timer finds the list empty. */
  constructor(timeoutMs: number, clock: Clock, onIdle: () => void = () => {}) {
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  /** @param now  The time now. It may have been read earlier in the same tick. */
  add(item: Expiring, now: number): void {
    if (this.#moment === undefined || this.#addedAt !== now) this.#begin(now);
    item.moment = this.#moment;
    item.earlier = this.#newest;
    if (this.#newest === undefined) this.#oldest = item;
    else this.#newest.later = item;
    this.#newest = item;
    if (this.#timer === undefined && !this.#expiring) this.#arm(this.timeoutMs);
  }

  /**
   * Moves the deadlines of the items that were added in the present tick, because deadlines count from the end of the
   * tick.
   * @param now     When they were added.
   * @param lateMs  Milliseconds that the tick took.
   */
  postpone(now: number, lateMs: number): void {
    if (this.#moment === undefined || this.#addedAt !== now) return;
    this.#moment.expiresAt += lateMs;
    this.#moment = undefined;
  }

  #begin(now: number): void {
    this.#moment = { list: this, expiresAt: Math.ceil(now + this.timeoutMs) };
    this.#addedAt = now;
  }

  remove(item: Expiring): void {
    const { earlier, later } = item;
    if (earlier === undefined) this.#oldest = later;
    else earlier.later = later;
    if (later === undefined) this.#newest = earlier;
    else later.earlier = earlier;
    item.earlier = undefined;
    item.later = undefined;
    item.moment = undefined;
  }

  /** Whether the list is empty, and no item is about to expire. */
  get isIdle(): boolean {
    return this.#oldest === undefined && !this.#expiring;
  }

  cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    // In the background, because sockets and retry timers keep the process alive while there is something to wait for.
    this.#timer = this.#clock.setTimer(this.#due, Math.max(1, delayMs), true);
  }

  readonly #due = (): void => {
    this.#timer = undefined;
    const oldest = this.#oldest;
    if (oldest === undefined) {
      this.#onIdle();
      return;
    }
    const waitMs = expiryOf(oldest) - this.#clock.now();
    if (waitMs > 0) this.#arm(waitMs);
    else {
      // Replies that have arrived win over deadlines that passed while the event loop was busy.
      this.#expiring = true;
      this.#clock.afterReads(this.#expire);
    }
  };

  readonly #expire = (): void => {
    const now = this.#clock.now();
    for (let item = this.#oldest; item !== undefined && expiryOf(item) <= now; item = this.#oldest) {
      this.remove(item);
      item.expire();
    }
    this.#expiring = false;
    if (this.#oldest !== undefined) this.#arm(expiryOf(this.#oldest) - now);
  };
}

/** The time at which an item of a list expires. */
function expiryOf({ moment }: Expiring): number {
  return (moment as Moment).expiresAt;
}

/** With fewer lists than this, an idle list is removed only when its timeout has passed. */
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

  /** @param timeoutMs  Milliseconds until the item expires, more than 0. */
  add(item: Expiring, timeoutMs: number): void {
    let list = this.#recent;
    if (list === undefined || list.timeoutMs !== timeoutMs) list = this.#listOf(timeoutMs);
    if (!this.#nowIsFresh) {
      // The clock is read once in a tick.
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
      // An application may compute its timeouts, and then there are many. So idle lists are removed.
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

  /** Removes idle lists at once, because a list with a long timeout would stay idle for long. */
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
