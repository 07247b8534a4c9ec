import { Latencies } from "./latency.ts";

/*
 * Calls at a given rate, whether or not earlier calls are answered. Call n is due n / rate seconds after the beginning, and its
 * latency counts from then. So a stall of the client, of its event loop or of a server shows in every call that it delays. A
 * closed loop makes no calls meanwhile and counts the stall once (coordinated omission).
 *
 *   due      |    |    |    |    |    |    |
 *   made     |    |    |         |||  |    |        the event loop stood still: two calls are made late, and count as late
 *   lateness                ----- -- .
 *
 * Timers of Node count in milliseconds. So the loop sleeps by a timer only while the next call is more than `SPIN_MS` away,
 * and then looks at the clock once in each turn of the event loop (setImmediate). A turn takes one or two microseconds, and
 * reads from all sockets that have data. The price is a processor core that is never idle.
 */

export interface OpenLoopOptions {
  /** Calls a second. */
  readonly rate: number;
  readonly milliseconds: number;
  /** The number of the first call. */
  readonly from?: number | undefined;
  /** The most calls that wait for their answers. The loop makes no more calls when it is reached. */
  readonly mostWaiting?: number | undefined;
}

/** What came of the calls of one open loop. */
export interface OpenSlice {
  /** The length, as it was wanted. */
  readonly seconds: number;
  /** The calls that were due, and those of them that were made before the end. */
  readonly due: number;
  readonly made: number;
  /** The calls that were due in the latter half, and the answers that came in it: fewer if calls pile up. */
  readonly dueLately: number;
  readonly answeredLately: number;
  /** The most calls that waited for their answers at a time. */
  readonly waiting: number;
  /** Why calls were left out; absent if all were made. */
  readonly stopped?: Stop;
  /** From when a call was due to its answer. */
  readonly latencies: Latencies;
  /** From when a call was due to when it was made. */
  readonly lateness: Latencies;
}

/**
 * `waiting`: as many calls as may waited for their answers. `refused`: the client refused a call, because too many wait, or gave
 * one up. `late`: a second more than the time was over.
 */
export type Stop = "waiting" | "refused" | "late";

const SPIN_MS = 2;
/** The calls of half a second, within these bounds. Each costs the client some hundred bytes. */
const WAITING = { seconds: 0.5, least: 1000, most: 20_000 };
/** The loop makes no calls later than that after its end. */
const LATEST_MS = 1000;
/** The longest time for the last answers. */
const LAST_ANSWERS_MS = 30_000;
/** The codes of slotwire's errors that say that a client has too much to do. */
const TOO_MUCH: readonly unknown[] = ["QUEUE_FULL", "DEADLINE"];

/**
 * Makes calls at a given rate, and waits for their answers.
 *
 * @param call  Makes the n-th call; rejects when the reply is wrong. The loop then rejects, when all other calls have ended.
 */
export function openLoop(call: (number: number) => Promise<unknown>, options: OpenLoopOptions): Promise<OpenSlice> {
  return new Promise((resolve, reject) => new OpenLoop(call, options, resolve, reject).begin());
}

class OpenLoop {
  readonly #call: (number: number) => Promise<unknown>;
  readonly #resolve: (slice: OpenSlice) => void;
  readonly #reject: (error: unknown) => void;
  readonly #milliseconds: number;
  readonly #gap: number;
  readonly #due: number;
  readonly #from: number;
  readonly #mostWaiting: number;
  readonly #latencies = new Latencies();
  readonly #lateness = new Latencies();
  #begun = 0;
  #made = 0;
  #madeInTime = 0;
  #waiting = 0;
  #waitingAtMost = 0;
  #answeredLately = 0;
  #stopped: Stop | undefined;
  #failure: { readonly error: unknown } | undefined;
  #makesCalls = true;
  #patience: NodeJS.Timeout | undefined;

  constructor(
    call: (number: number) => Promise<unknown>,
    { rate, milliseconds, from = 0, mostWaiting }: OpenLoopOptions,
    resolve: (slice: OpenSlice) => void,
    reject: (error: unknown) => void,
  ) {
    this.#call = call;
    this.#milliseconds = milliseconds;
    this.#gap = 1000 / rate;
    this.#due = Math.max(1, Math.round((rate * milliseconds) / 1000));
    this.#from = from;
    this.#mostWaiting = mostWaiting ?? Math.min(WAITING.most, Math.max(WAITING.least, rate * WAITING.seconds));
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(): void {
    this.#begun = performance.now();
    this.#turn();
  }

  readonly #turn = (): void => {
    const passed = performance.now() - this.#begun;
    const due = Math.min(this.#due, Math.floor(passed / this.#gap) + 1);
    while (this.#made < due && this.#goesOn) this.#make();
    if (this.#made === this.#due || !this.#goesOn) this.#endMaking();
    else this.#awaitNext();
  };

  #awaitNext(): void {
    const left = this.#begun + this.#made * this.#gap - performance.now();
    if (left > SPIN_MS) setTimeout(this.#turn, left - SPIN_MS);
    else setImmediate(this.#turn);
  }

  get #goesOn(): boolean {
    return this.#stopped === undefined && this.#failure === undefined;
  }

  #make(): void {
    if (this.#waiting >= this.#mostWaiting) {
      this.#stopped = "waiting";
      return;
    }
    const dueAt = this.#begun + this.#made * this.#gap;
    const now = performance.now();
    if (now - this.#begun > this.#milliseconds + LATEST_MS) {
      this.#stopped = "late";
      return;
    }
    this.#lateness.add(now - dueAt);
    if (now - this.#begun <= this.#milliseconds) this.#madeInTime++;
    if (++this.#waiting > this.#waitingAtMost) this.#waitingAtMost = this.#waiting;
    this.#call(this.#from + this.#made++).then(
      () => this.#answered(dueAt),
      (error: unknown) => this.#failed(error),
    );
  }

  #answered(dueAt: number): void {
    const now = performance.now();
    this.#latencies.add(now - dueAt);
    const passed = now - this.#begun;
    if (passed > this.#milliseconds / 2 && passed <= this.#milliseconds) this.#answeredLately++;
    this.#ended();
  }

  #failed(error: unknown): void {
    if (TOO_MUCH.includes((error as { code?: unknown } | undefined)?.code)) this.#stopped ??= "refused";
    else this.#failure ??= { error };
    this.#ended();
  }

  #ended(): void {
    this.#waiting--;
    if (this.#waiting === 0 && !this.#makesCalls) this.#end();
  }

  #endMaking(): void {
    this.#makesCalls = false;
    if (this.#waiting === 0) {
      this.#end();
      return;
    }
    this.#patience = setTimeout(() => {
      this.#failure ??= {
        error: new Error(`${this.#waiting} calls had no answer within ${LAST_ANSWERS_MS / 1000} s.`),
      };
      this.#end();
    }, LAST_ANSWERS_MS);
  }

  #end(): void {
    clearTimeout(this.#patience);
    if (this.#failure !== undefined) this.#reject(this.#failure.error);
    else this.#resolve(this.#slice());
  }

  #slice(): OpenSlice {
    return {
      seconds: this.#milliseconds / 1000,
      due: this.#due,
      made: this.#madeInTime,
      dueLately: this.#due >> 1,
      answeredLately: this.#answeredLately,
      waiting: this.#waitingAtMost,
      ...(this.#stopped === undefined ? {} : { stopped: this.#stopped }),
      latencies: this.#latencies,
      lateness: this.#lateness,
    };
  }
}
