/** A call or an operation, which a signal can end. */
export interface Abortable {
  abort(reason: unknown): void;
}

interface Listening {
  readonly waiting: Set<Abortable>;
  remove: () => void;
}

/** Calls and operations by the signal that aborts them. A signal has one listener, however many of them share it. */
export class Signals {
  readonly #bySignal = new WeakMap<AbortSignal, Listening>();

  /**
   * Aborts `item` when `signal` is aborted. `signal` must not be aborted yet.
   * @returns The function that takes `item` off the signal. The listener is removed with the last item.
   */
  listen(signal: AbortSignal, item: Abortable): () => void {
    const listening = this.#bySignal.get(signal) ?? { waiting: new Set(), remove: () => {} };
    this.#bySignal.set(signal, listening);
    const { waiting } = listening;
    if (waiting.size === 0) {
      const abort = () => {
        for (const each of [...waiting]) each.abort(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      listening.remove = () => signal.removeEventListener("abort", abort);
    }
    waiting.add(item);
    return () => {
      waiting.delete(item);
      if (waiting.size === 0) listening.remove();
    };
  }
}
