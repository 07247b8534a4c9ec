import type { Call } from "./call.ts";

/** Calls by the signal that aborts them: one listener a signal, however many calls share it, and none when none is left. */
export class Signals {
  readonly #calls = new WeakMap<AbortSignal, Set<Call>>();

  /** `signal` must not be aborted yet. */
  listen(signal: AbortSignal, call: Call): void {
    let calls = this.#calls.get(signal);
    if (calls === undefined) {
      calls = new Set();
      this.#calls.set(signal, calls);
    }
    const waiting = calls;
    if (waiting.size === 0) {
      const abort = () => {
        for (const each of [...waiting]) each.abort(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#removers.set(waiting, () => signal.removeEventListener("abort", abort));
    }
    waiting.add(call);
    call.withExtras.stopListening = () => {
      waiting.delete(call);
      if (waiting.size > 0) return;
      this.#removers.get(waiting)?.();
      this.#removers.delete(waiting);
    };
  }

  readonly #removers = new WeakMap<Set<Call>, () => void>();
}
