import { once } from "node:events";

const FOREVER_MS = 2 ** 30;
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs what goes on until it is ended. `ended` is aborted by Ctrl-C, by SIGTERM, and when nobody reads the output any more;
 * errors that come of this are none. A second Ctrl-C ends the process at once.
 */
export async function untilEnded(what: (ended: AbortSignal) => Promise<void>): Promise<void> {
  const { stdout } = process;
  const controller = new AbortController();
  // While nothing can be reached, no socket may be there that keeps this process alive.
  const alive = setInterval(() => {}, FOREVER_MS);
  const stopListening = () => {
    for (const signal of SIGNALS) process.off(signal, end);
    stdout.off("error", end);
    stdout.off("close", end);
  };
  const end = () => {
    stopListening();
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, end);
  stdout.on("error", end);
  stdout.on("close", end);
  try {
    await what(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  } finally {
    stopListening();
    clearInterval(alive);
  }
}

/** Resolves when the reader of the output has taken enough of it to be given more. */
export async function outputTaken(ended: AbortSignal): Promise<void> {
  if (ended.aborted || !process.stdout.writableNeedDrain) return;
  await once(process.stdout, "drain", { signal: ended }).catch(() => {});
}
