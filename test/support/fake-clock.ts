import type { Clock, Timer } from "../../src/environment.ts";

interface PendingTimer extends Timer {
  readonly at: number;
  readonly background: boolean;
  readonly callback: () => void;
}

/** Time that passes only when a test says so, with the turns of an event loop. */
export class FakeClock implements Clock {
  time = 0;
  /** How often the time was asked for. */
  readings = 0;
  /** What the sockets bring between a timer and what comes after the reads. */
  onReads: () => void = () => {};
  readonly pending = new Set<PendingTimer>();
  #ticks: (() => void)[] = [];
  #afterReads: (() => void)[] = [];

  now(): number {
    this.readings++;
    return this.time;
  }

  setTimer(callback: () => void, delayMs: number, background = false): Timer {
    const timer: PendingTimer = {
      at: this.time + delayMs,
      background,
      callback,
      cancel: () => void this.pending.delete(timer),
    };
    this.pending.add(timer);
    return timer;
  }

  nextTick(callback: () => void): void {
    this.#ticks.push(callback);
  }

  afterReads(callback: () => void): void {
    this.#afterReads.push(callback);
  }

  /** Whether the sockets may not have been read for long. */
  behind = false;

  isBehind(): boolean {
    return this.behind;
  }

  afterArrivals(callback: () => void): void {
    this.afterReads(() => {
      this.behind = false;
      callback();
    });
  }

  /** Runs every timer that is due within the next `milliseconds`, each at its time. */
  advance(milliseconds: number): void {
    const end = this.time + milliseconds;
    this.#turn();
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.pending.delete(timer);
      this.time = Math.max(this.time, timer.at);
      this.onReads();
      timer.callback();
      this.#turn();
    }
    this.time = end;
  }

  #next(end: number): PendingTimer | undefined {
    const [first] = [...this.pending].sort((a, b) => a.at - b.at);
    return first !== undefined && first.at <= end ? first : undefined;
  }

  #runTicks(): void {
    while (this.#ticks.length > 0) this.#ticks.shift()?.();
  }

  #turn(): void {
    this.#runTicks();
    this.onReads();
    this.#runTicks();
    for (const callback of this.#afterReads.splice(0)) {
      callback();
      this.#runTicks();
    }
  }
}
