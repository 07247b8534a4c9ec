import type { Client } from "../client/client.ts";
import type { Underway } from "../client/lifetime.ts";
import {
  AbortedError,
  ClosedError,
  DeadlineError,
  type Outcome,
  type Particulars,
  type SlotwireError,
  withParticulars,
} from "../errors.ts";
import { invariant } from "../invariant.ts";
import type { Call } from "../routing/call.ts";
import type { Expiring, Moment } from "../routing/deadlines.ts";
import type { Abortable } from "../routing/signals.ts";
import type { OperationContext } from "../telemetry/channels.ts";

/** The limits of one operation. */
export interface OperationLimits {
  /** Milliseconds for the whole operation; 0 for no limit. */
  readonly timeoutMs: number;
  /** Aborts the operation. */
  readonly signal: AbortSignal | undefined;
  /**
   * Milliseconds of `timeoutMs` that passed before the operation begins.
   * @default 0
   */
  readonly elapsedMs?: number;
  /** The operation is a part of something that is under way, so a client that is closing accepts it. */
  readonly isPart?: boolean;
  /** The operation may wait for ever if it has no deadline, so closing ends it instead of waiting for it. */
  readonly isEndless?: boolean;
  /** What the operation's own errors tell about it. Errors of its steps come as they are. */
  readonly particulars?: Particulars;
  /** The scan or the WAIT that the operation belongs to, while somebody listens. */
  readonly context?: OperationContext | undefined;
}

/** From so many steps on, settled steps are forgotten now and then. */
const MANY_STEPS = 64;

/**
 * One thing that a user asked for, in all its steps. The deadline, the signal and the closing of the client hold for
 * the whole operation, whatever step is under way. A call that is sent by itself needs no operation, because the call
 * has a deadline and a signal of its own.
 *
 *   begun --step--> a call, a pause or another promise --> next step ... --> ended with a result
 *             '--- deadline | signal | end of the client: the steps under way are rejected ---> ended with an error
 *
 * Invariant: an operation that has ended begins no step.
 */
export class Operation implements Expiring, Abortable, Underway {
  /** Milliseconds for the whole operation; 0 for no limit. */
  readonly timeoutMs: number;
  readonly isEndless: boolean;
  /** Whether the servers ran the operation. A call that is under way knows better, and then its outcome counts. */
  outcome: Outcome = "not-executed";
  /** The last refusal of a step. It becomes the cause of the error when the time is up. */
  lastRefusal: unknown;

  // These fields belong to the list of deadlines.
  moment: Moment | undefined = undefined;
  earlier: Expiring | undefined = undefined;
  later: Expiring | undefined = undefined;

  readonly #client: Client;
  readonly #particulars: Particulars;
  readonly #context: OperationContext | undefined;
  readonly #untrack: () => void;
  readonly #stopListening: (() => void) | undefined;
  #steps: Call[] = [];
  readonly #questions = new WeakSet<Call>();
  #forgetAt = MANY_STEPS;
  readonly #waiting = new Set<(error: SlotwireError) => void>();
  readonly #whenEnded: (() => void)[] = [];
  #ended: SlotwireError | "done" | undefined;

  private constructor(client: Client, limits: OperationLimits) {
    const { timeoutMs, elapsedMs = 0, signal, isEndless = false, particulars = {} } = limits;
    this.#client = client;
    this.#particulars = particulars;
    this.#context = limits.context;
    this.timeoutMs = timeoutMs;
    this.isEndless = isEndless && timeoutMs === 0;
    this.#untrack = client.track(this);
    if (timeoutMs > 0) client.deadlines.add(this, Math.max(1, timeoutMs - elapsedMs));
    this.#stopListening = signal && client.signals.listen(signal, this);
  }

  /**
   * @throws {ClosedError}  The client takes no new calls.
   * @throws {AbortedError} The signal is already aborted.
   */
  static begin(client: Client, limits: OperationLimits): Operation {
    if (limits.isPart !== true) client.refuseWhenClosed();
    if (limits.signal?.aborted) throw new AbortedError("not-executed", limits.signal.reason);
    return new Operation(client, limits);
  }

  /** Carries out `body`. Settles as `body` does, or when the operation ends, whichever comes first. */
  static async run<T>(client: Client, limits: OperationLimits, body: (operation: Operation) => Promise<T>): Promise<T> {
    const operation = Operation.begin(client, limits);
    try {
      return await operation.wait(body(operation));
    } finally {
      operation.end();
    }
  }

  /** Why the operation ended early; undefined while it is under way, and after it is done. */
  get error(): SlotwireError | undefined {
    return this.#ended === "done" ? undefined : this.#ended;
  }

  /**
   * Sends a call as a step. The operation's deadline and signal hold for the call in place of its own. The call is
   * rejected at once when its node has no room.
   */
  send(call: Call): void {
    if (this.#begins(call)) this.#client.door.send(call, undefined);
  }

  /** Sends a call as a step. The call waits until its node has room. */
  sendWhenRoom(call: Call): void {
    if (this.#begins(call)) this.#client.door.sendTogether([call], undefined);
  }

  /**
   * Sends a question of slotwire's own as a step; the question waits until its node has room. Whether the question ran
   * does not count for the outcome of the operation, and the user is not told its error when the operation ends.
   */
  ask(call: Call): void {
    this.#questions.add(call);
    this.sendWhenRoom(call);
  }

  /** Waits for a promise as a step. Rejects when the operation ends before the promise is settled. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    // The step may have ended the operation itself, and then nobody hears how it ended.
    if (this.#ended !== undefined) promise.catch(ignore);
    this.#refuseWhenEnded();
    let giveUp: (error: SlotwireError) => void = () => {};
    const ended = new Promise<never>((_, reject) => {
      giveUp = reject;
      this.#waiting.add(giveUp);
    });
    try {
      return await Promise.race([promise, ended]);
    } finally {
      this.#waiting.delete(giveUp);
    }
  }

  /** Lets `ms` milliseconds pass as a step. Rejects when the operation ends before. */
  async pause(ms: number): Promise<void> {
    let cancel = () => {};
    const passed = new Promise<void>((resolve) => {
      const timer = this.#client.environment.clock.setTimer(resolve, ms);
      cancel = () => timer.cancel();
    });
    await this.wait(passed).finally(() => cancel());
  }

  /** Begins the time anew, for something of several steps in which each step has the whole time. */
  renew(): void {
    this.#refuseWhenEnded();
    this.#steps = [];
    this.moment?.list.remove(this);
    if (this.timeoutMs > 0) this.#client.deadlines.add(this, this.timeoutMs);
  }

  /** Calls `listener` when the operation ends, with a result or an error. */
  onEnd(listener: () => void): void {
    this.#whenEnded.push(listener);
  }

  /** The operation is done: nobody waits for a step of it any more. */
  end(): void {
    if (this.#ended === undefined) this.#finish("done");
  }

  expire(): void {
    this.#endWith(
      (call) => call.expire(),
      (outcome) => new DeadlineError(this.timeoutMs, outcome, outcome === "unknown" ? undefined : this.lastRefusal),
    );
  }

  abort(reason: unknown): void {
    this.#endWith(
      (call) => call.abort(reason),
      (outcome) => new AbortedError(outcome, reason),
    );
  }

  close(): void {
    this.#endWith(
      (call) => call.reject(new ClosedError(call.outcomeSoFar)),
      (outcome) => new ClosedError(outcome),
    );
  }

  #begins(call: Call): boolean {
    invariant(call.place === "new", "a step is a call that was not sent before");
    // If the operation has no deadline, each of its calls keeps its own.
    call.withExtras.isStep = this.timeoutMs > 0;
    if (this.#context !== undefined) call.withExtras.operation = this.#context;
    if (this.#ended !== undefined) {
      call.reject(this.#endedWith());
      return false;
    }
    if (this.#steps.length >= this.#forgetAt) {
      this.#steps = this.#steps.filter(({ settled }) => !settled);
      this.#forgetAt = Math.max(MANY_STEPS, 2 * this.#steps.length);
    }
    this.#steps.push(call);
    return true;
  }

  /** Ends the calls under way first, because each tells its own outcome to the code that waits for it. */
  #endWith(endCall: (call: Call) => void, errorOf: (outcome: Outcome) => SlotwireError): void {
    if (this.#ended !== undefined) return;
    const underWay = this.#steps.filter(({ settled }) => !settled);
    const asked = underWay.filter((call) => !this.#questions.has(call));
    const mayHaveRun = asked.some((call) => call.outcomeSoFar === "unknown");
    const { address } = (this.lastRefusal ?? {}) as Particulars;
    const error = withParticulars(errorOf(mayHaveRun ? "unknown" : this.outcome), {
      address,
      ...this.#particulars,
    });
    this.#finish(error);
    for (const call of underWay) endCall(call);
    const tell = () => {
      for (const giveUp of [...this.#waiting]) giveUp(error);
    };
    if (asked.length === 0) tell();
    else this.#client.environment.clock.afterReads(tell);
  }

  #finish(how: SlotwireError | "done"): void {
    this.#ended = how;
    this.moment?.list.remove(this);
    this.#stopListening?.();
    this.#untrack();
    for (const listener of this.#whenEnded) listener();
  }

  #refuseWhenEnded(): void {
    if (this.#ended !== undefined) throw this.#endedWith();
  }

  #endedWith(): SlotwireError {
    return this.error ?? new ClosedError();
  }
}

const ignore = () => {};
