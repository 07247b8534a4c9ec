import type { MeterProvider, TracerProvider } from "@opentelemetry/api";

/** One instrumentation that is under way, for all that asked for it. */
interface Shared {
  readonly tracers: TracerProvider;
  readonly meters: MeterProvider;
  readonly end: () => void;
  /** The number of those who asked for it and have not ended it. */
  users: number;
}

/** Where every copy of slotwire in this process finds the instrumentations. */
const KEY = Symbol.for("slotwire.instrumentations");

/**
 * Begins an instrumentation unless there is one for the same providers, and ends it when all who asked for it have ended
 * it. Copies of slotwire publish on the same channels, so a second one would make every span twice.
 *
 * @param begin  Begins it, and returns the function that ends it.
 * @returns  The function that ends it for one who asked.
 */
export function sharedInstrumentation(
  tracers: TracerProvider,
  meters: MeterProvider,
  begin: () => () => void,
): () => void {
  const ofProcess = globalThis as { [KEY]?: Set<Shared> };
  ofProcess[KEY] ??= new Set();
  const all = ofProcess[KEY];
  let shared = [...all].find((one) => one.tracers === tracers && one.meters === meters);
  if (shared === undefined) {
    shared = { tracers, meters, end: begin(), users: 0 };
    all.add(shared);
  }
  const mine = shared;
  mine.users++;
  let isEnded = false;
  return () => {
    if (isEnded) return;
    isEnded = true;
    if (--mine.users > 0) return;
    all.delete(mine);
    mine.end();
  };
}
