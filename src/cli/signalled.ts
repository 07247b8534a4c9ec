const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs `what`, and aborts `ended` at the first signal. When `what` then rejects with the signal's reason, because nothing
 * had begun that could be ended in an orderly way, the process ends as the signal wants it. A second signal ends the
 * process at once.
 */
export async function signalled<T>(what: (ended: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const stopListening = () => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
  const end = (signal: NodeJS.Signals) => {
    stopListening();
    received = signal;
    controller.abort(new Error(`ended by ${signal}`));
  };
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    return await what(controller.signal);
  } catch (error) {
    if (received !== undefined && error === controller.signal.reason) process.kill(process.pid, received);
    throw error;
  } finally {
    stopListening();
  }
}
