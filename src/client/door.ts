import type { Cache } from "../cache/cache.ts";
import type { Loan } from "../connection/loan.ts";
import type { Request } from "../connection/request.ts";
import type { Environment } from "../environment.ts";
import type { CallKeys } from "../routing/batch-order.ts";
import { sendAll } from "../routing/batch-sending.ts";
import type { Call } from "../routing/call.ts";
import type { Dispatcher } from "../routing/dispatcher.ts";
import type { Signals } from "../routing/signals.ts";
import type { BatchContext } from "../telemetry/channels.ts";

/** How a group of calls is sent. */
export interface Together {
  /** For each call its keys: calls that share one run in the order of the list. Without it, no call waits for another. */
  readonly keys?: readonly (CallKeys | undefined)[] | undefined;
  /** The batch or transaction that contains the calls, while somebody listens. */
  readonly batch?: BatchContext | undefined;
  /**
   * Milliseconds of the calls' time that passed before they are sent.
   * @default 0
   */
  readonly elapsedMs?: number;
}

/**
 * The one way out of the client: every call of a user passes here, and no other code sends calls. The door starts the
 * deadline, listens to the signal, and counts the call in.
 */
export class Door {
  readonly #dispatcher: Dispatcher;
  readonly #signals: Signals;
  readonly #environment: Environment;
  readonly #cache: Cache | undefined;

  constructor(dispatcher: Dispatcher, signals: Signals, environment: Environment, cache: Cache | undefined) {
    this.#cache = cache;
    this.#dispatcher = dispatcher;
    this.#signals = signals;
    this.#environment = environment;
  }

  /** Sends one call. The call is rejected when its node has no room. `signal` must not be aborted yet. */
  send(call: Call, signal: AbortSignal | undefined): void {
    this.#pass(call, signal, undefined, 0);
    this.#dispatcher.send(call);
    this.#hedge(call);
  }

  /** Counts a call in that the cache answers, or sends the ordinary way later, by `sendAdmitted`. */
  admit(call: Call, signal: AbortSignal | undefined): void {
    this.#pass(call, signal, undefined, 0);
  }

  /** Sends a call that was counted in by `admit`. */
  sendAdmitted(call: Call): void {
    this.#dispatcher.send(call);
    this.#hedge(call);
  }

  /** The cache gives up the read that it has sent for a call. `why`: in words. */
  giveUpRead(call: Call, why: string): void {
    this.#dispatcher.onReadGivenUp(call, why);
    this.#hedge(call);
  }

  /** The server answered the read with an error that the cache has sent for a call. */
  refuse(call: Call, text: string): void {
    call.onErrorReply(text);
    this.#hedge(call);
  }

  #hedge(call: Call): void {
    if (call.kind.hedge !== undefined) this.#dispatcher.hedges.begin(call);
  }

  /** Sends calls. A call waits until its node has room. */
  sendTogether(calls: readonly Call[], signal: AbortSignal | undefined, together: Together = {}): void {
    const { keys, batch, elapsedMs = 0 } = together;
    for (const call of calls) {
      this.#pass(call, signal?.aborted ? undefined : signal, batch, elapsedMs);
      if (signal?.aborted) call.abort(signal.reason);
    }
    sendAll(this.#dispatcher, this.#environment, calls, keys);
  }

  /**
   * Counts something of several steps in for as long as it waits, under the bounds on what waits without a node. Returns
   * the function that counts it out.
   * @throws {QueueFullError} Too much waits. Not thrown with `keepsPlace`, for what was counted in before.
   */
  hold(bytes: number, keepsPlace = false): () => void {
    const { unplaced } = this.#dispatcher;
    const refusal = keepsPlace ? undefined : unplaced.refusalOf(bytes);
    if (refusal !== undefined) throw refusal;
    unplaced.hold(bytes);
    return () => unplaced.release(bytes);
  }

  /** Sends one call that was made earlier, so that `signal` may be aborted by now. */
  sendLate(call: Call, signal: AbortSignal | undefined, batch: BatchContext | undefined): void {
    this.#pass(call, signal?.aborted ? undefined : signal, batch, 0);
    if (signal?.aborted) call.abort(signal.reason);
    else this.#dispatcher.send(call);
  }

  /** Sends a request of a session on the connection that was lent to the session. */
  sendOn(loan: Loan, request: Request): void {
    const refusal = this.#dispatcher.unplaced.refusalOn(loan.connection, request.frame.length);
    if (refusal === undefined) loan.carry(request);
    else request.onLost(refusal);
  }

  #pass(call: Call, signal: AbortSignal | undefined, batch: BatchContext | undefined, elapsedMs: number): void {
    if (signal !== undefined) call.withExtras.stopListening = this.#signals.listen(signal, call);
    // Each call that is admitted settles, so what begins here ends.
    if (call.written !== undefined) this.#cache?.written(call);
    this.#dispatcher.admit(call, batch, elapsedMs);
  }
}
