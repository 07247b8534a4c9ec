import type { Clock, Timer } from "../../src/environment.ts";
import { type Due, Heap } from "./heap.ts";

/** As with the real clock. */
const BEHIND_MS = 50;

interface SimTimer extends Timer, Due {
  readonly callback: () => void;
  readonly background: boolean;
  readonly delayMs: number;
  live: boolean;
}

interface WorldEvent extends Due {
  readonly run: () => void;
}

/**
 * Virtual time, and the client's event loop in it, in the order of the real clock: sockets that are readable, timers that
 * are due, what was put after the reads; behind each callback its ticks and promise jobs.
 *
 * The world (network and servers) goes on while the client is busy; what it has for the client waits until then.
 */
export class SimLoop implements Clock {
  /** The time of the world, which the client never sees. */
  time = 0;
  /** Timers are due by the monotonic clock. */
  readonly #timers = new Heap<SimTimer>();
  readonly #world = new Heap<WorldEvent>();
  readonly #liveTimers = new Set<SimTimer>();
  #order = 0;
  #busyUntil = 0;
  /** How long the machine will be suspended as soon as the client's callback has ended. */
  #suspendedMs = 0;
  #wakesAt = 0;
  /** What the monotonic clock did not show, because the machine was suspended. */
  #unseenMs = 0;
  #wallAheadMs = 0;
  /** How long the client was busy or suspended, all in all. */
  stalledMs = 0;
  #ticks: (() => void)[] = [];
  #dueTimers: SimTimer[] = [];
  #arrivals: (() => void)[] = [];
  #nextArrival = 0;
  /** All that had arrived by then was read. */
  #readAt = 0;
  #afterReads: (() => void)[] = [];
  /** Those of this turn: what they add is for the next one. */
  #present: (() => void)[] = [];
  /** Called when a callback of the client and its promise jobs have run. */
  onTurn: (() => void) | undefined;
  /** Called when something of the world has happened. */
  onWorld: (() => void) | undefined;

  /** What the monotonic clock shows: it stands still while the machine is suspended. */
  now(): number {
    return Math.max(this.time, this.#wakesAt) - this.#unseenMs;
  }

  setTimer(callback: () => void, delayMs: number, background = false): Timer {
    const timer: SimTimer = {
      at: this.now() + Math.max(1, delayMs),
      order: this.#order++,
      callback,
      background,
      delayMs,
      live: true,
      cancel: () => {
        timer.live = false;
        this.#liveTimers.delete(timer);
      },
    };
    this.#liveTimers.add(timer);
    this.#timers.push(timer);
    return timer;
  }

  /** What the wall clock shows, in whole milliseconds: it goes on while the machine is suspended, and can be set. */
  get wall(): number {
    return Math.floor(this.time + this.#wallAheadMs);
  }

  /** Somebody sets the wall clock by so much, forward or back. */
  setWall(byMs: number): void {
    this.#wallAheadMs += byMs;
  }

  nextTick(callback: () => void): void {
    this.#ticks.push(callback);
  }

  afterReads(callback: () => void): void {
    this.#afterReads.push(callback);
  }

  isBehind(): boolean {
    return this.now() - this.#readAt > BEHIND_MS;
  }

  afterArrivals(callback: () => void): void {
    this.#afterReads.push(callback);
  }

  /** When the client is done with what it is busy with. */
  get freeAt(): number {
    return Math.max(this.time, this.#busyUntil);
  }

  /** Timers that are set, for those who look whether anything was left behind. */
  get timersLeft(): string[] {
    return [...this.#liveTimers].map(
      ({ delayMs, background }) => `${background ? "background " : ""}timer of ${delayMs} ms`,
    );
  }

  /** Something of the world: it calls nothing of the client's, but may let things arrive. */
  inWorld(delayMs: number, run: () => void): void {
    this.inWorldAt(this.time + delayMs, run);
  }

  /** What is set for one and the same time happens in the order in which it was set: a sum may be rounded, and be earlier. */
  inWorldAt(at: number, run: () => void): void {
    this.#world.push({ at, order: this.#order++, run });
  }

  /** The client's side of a socket, called when the client looks. */
  arrive(callback: () => void): void {
    this.#arrivals.push(callback);
  }

  /** The client does something else for so long: long garbage collections, heavy computing. */
  stall(milliseconds: number): void {
    this.#busyUntil = this.time + milliseconds;
    this.stalledMs += milliseconds;
  }

  /** The client's machine stands still for so long, from the end of this callback on. */
  suspend(milliseconds: number): void {
    this.#suspendedMs += milliseconds;
    this.stalledMs += milliseconds;
  }

  /** Runs until `isDone`, until nothing is left to happen, or until `limit`, at which the time then is. */
  run(limit: number, isDone: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        try {
          this.onTurn?.();
          // Promise jobs of the last turn have run; what they put into the next tick comes first.
          if (this.#ticks.length === 0) {
            const next = isDone() ? undefined : this.#next(limit);
            if (next === undefined) {
              resolve();
              return;
            }
            next();
          }
          this.#runTicks();
        } catch (error) {
          reject(error);
          return;
        }
        setImmediate(turn);
      };
      setImmediate(turn);
    });
  }

  #runTicks(): void {
    for (let index = 0; index < this.#ticks.length; index++) this.#ticks[index]?.();
    this.#ticks.length = 0;
  }

  /** The client's next callback. */
  #next(limit: number): (() => void) | undefined {
    for (;;) {
      if (this.#nextArrival < this.#arrivals.length) return this.#arrivals[this.#nextArrival++] as () => void;
      this.#arrivals.length = 0;
      this.#nextArrival = 0;
      this.#readAt = this.now();
      const timer = this.#dueTimers.shift();
      if (timer !== undefined) {
        if (!timer.live) continue;
        timer.cancel();
        return timer.callback;
      }
      const after = this.#present.shift();
      if (after !== undefined) return after;
      if (!this.#advance(limit)) return undefined;
    }
  }

  /** Goes to the next moment at which something happens, and notes what is for the client then. */
  #advance(limit: number): boolean {
    this.#forgetCancelled();
    this.#fallAsleep();
    const waiting = this.#afterReads.length > 0;
    let at = Math.min(
      this.#world.first?.at ?? Number.POSITIVE_INFINITY,
      this.#dueAt(this.#timers.first),
      waiting ? this.time : Number.POSITIVE_INFINITY,
    );
    at = Math.max(at, this.time, this.#busyUntil);
    if (at > limit || at === Number.POSITIVE_INFINITY) {
      if (limit !== Number.POSITIVE_INFINITY) this.time = Math.max(this.time, limit);
      return false;
    }
    for (let event = this.#world.first; event !== undefined && event.at <= at; event = this.#world.first) {
      this.#world.shift();
      this.time = Math.max(this.time, event.at);
      event.run();
      this.onWorld?.();
    }
    this.time = at;
    for (let timer = this.#timers.first; timer !== undefined && this.#dueAt(timer) <= at; timer = this.#timers.first) {
      this.#timers.shift();
      if (timer.live) this.#dueTimers.push(timer);
    }
    this.#present = this.#afterReads;
    this.#afterReads = [];
    return true;
  }

  /** When it is due by the time of the world, if the machine is not suspended again. */
  #dueAt(timer: SimTimer | undefined): number {
    return timer === undefined ? Number.POSITIVE_INFINITY : timer.at + this.#unseenMs;
  }

  #fallAsleep(): void {
    if (this.#suspendedMs === 0) return;
    this.#wakesAt = this.freeAt + this.#suspendedMs;
    this.#busyUntil = this.#wakesAt;
    this.#unseenMs += this.#suspendedMs;
    this.#suspendedMs = 0;
  }

  #forgetCancelled(): void {
    for (let timer = this.#timers.first; timer !== undefined && !timer.live; timer = this.#timers.first) {
      this.#timers.shift();
    }
  }
}
