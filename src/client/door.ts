import type { Loan } from "../connection/loan.ts";
import type { Request } from "../connection/request.ts";
import type { Environment } from "../environment.ts";
import { feedAll } from "../routing/batch-feed.ts";
import type { Call } from "../routing/call.ts";
import type { Dispatcher } from "../routing/dispatcher.ts";
import type { Signals } from "../routing/signals.ts";
import type { BatchContext } from "../telemetry/channels.ts";

/** How calls are sent together. */
export interface Together {
  /**
   * Calls of a slot run in the order of the list. Without it, no call waits for another.
   * @default true
   */
  readonly ordered?: boolean;
  /** The batch or transaction that the calls are of, while somebody listens. */
  readonly batch?: BatchContext | undefined;
  /**
   * Milliseconds of the calls' deadlines that have passed before.
   * @default 0
   */
  readonly elapsedMs?: number;
}

/** The one way out: every call of a user passes here, and nothing else sends calls. */
export class Door {
  readonly #dispatcher: Dispatcher;
  readonly #signals: Signals;
  readonly #environment: Environment;

  constructor(dispatcher: Dispatcher, signals: Signals, environment: Environment) {
    this.#dispatcher = dispatcher;
    this.#signals = signals;
    this.#environment = environment;
  }

  /** Sends one call. It is rejected when there is no room for it. `signal` aborts it, and must not be aborted yet. */
  send(call: Call, signal: AbortSignal | undefined): void {
    this.#pass(call, signal, undefined, 0);
    this.#dispatcher.send(call);
  }

  /** Sends calls within the bounds: those that find no room wait for it. */
  sendTogether(calls: readonly Call[], signal: AbortSignal | undefined, together: Together = {}): void {
    const { ordered = true, batch, elapsedMs = 0 } = together;
    for (const call of calls) {
      this.#pass(call, signal?.aborted ? undefined : signal, batch, elapsedMs);
      if (signal?.aborted) call.abort(signal.reason);
    }
    feedAll(this.#dispatcher, this.#environment, calls, ordered);
  }

  /** Sends a request of a session on the connection that the session has to itself. */
  sendOn(loan: Loan, request: Request): void {
    loan.carry(request);
  }

  #pass(call: Call, signal: AbortSignal | undefined, batch: BatchContext | undefined, elapsedMs: number): void {
    if (signal !== undefined) call.withExtras.stopListening = this.#signals.listen(signal, call);
    this.#dispatcher.admit(call, batch, elapsedMs);
  }
}
