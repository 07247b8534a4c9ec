/** The measured cost of calls. */
export interface Figures {
  readonly calls: number;
  readonly callsPerSecond: number;
  /** The median time from a call to its reply, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly bytesSentPerCall: number;
  readonly bytesReceivedPerCall: number;
}

/** The result of the benchmark, in a form that JSON can hold. */
export interface BenchResult {
  readonly primaries: number;
  readonly inFlight: number;
  readonly seconds: number;
  readonly script: { readonly name: string; readonly bytes: number };
  /** The number of replies that arrived and were checked, including those of the warm-up. */
  readonly replies: number;
  readonly evalsha: Figures;
  readonly eval: Figures;
}

/** One run: the duration of each call in milliseconds, and the duration and bytes of the whole run. */
export interface Run {
  readonly latencies: readonly number[];
  readonly seconds: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** The bytes up to now, from `metrics().counters`. */
export interface Bytes {
  readonly bytesWritten: number;
  readonly bytesRead: number;
}

/**
 * Keeps `inFlight` calls in flight for `seconds`, and waits for the last one. `call` makes the n-th call and rejects
 * when the reply is wrong. The run then rejects too, after the other calls have ended.
 */
export async function measure(
  call: (number: number) => Promise<void>,
  bytes: () => Bytes,
  { seconds, inFlight }: { readonly seconds: number; readonly inFlight: number },
): Promise<Run> {
  const latencies: number[] = [];
  const before = bytes();
  const start = performance.now();
  const end = start + seconds * 1000;
  let number = 0;
  let failed = false;
  const worker = async () => {
    try {
      for (let now = performance.now(); now < end && !failed; ) {
        await call(number++);
        const then = now;
        now = performance.now();
        latencies.push(now - then);
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: inFlight }, worker));
  const failure = ends.find((each) => each.status === "rejected");
  if (failure) throw failure.reason;
  const after = bytes();
  return {
    latencies,
    seconds: (performance.now() - start) / 1000,
    bytesSent: after.bytesWritten - before.bytesWritten,
    bytesReceived: after.bytesRead - before.bytesRead,
  };
}

/** The figures of several runs together. */
export function figuresOf(runs: readonly Run[]): Figures {
  const latencies = Float64Array.from(runs.flatMap((run) => run.latencies)).sort();
  const sum = (of: (run: Run) => number) => runs.reduce((total, run) => total + of(run), 0);
  const calls = latencies.length;
  const quantile = (share: number) => latencies[Math.max(0, Math.ceil(calls * share) - 1)] ?? Number.NaN;
  return {
    calls,
    callsPerSecond: calls / sum(({ seconds }) => seconds),
    p50: quantile(0.5),
    p99: quantile(0.99),
    bytesSentPerCall: sum(({ bytesSent }) => bytesSent) / calls,
    bytesReceivedPerCall: sum(({ bytesReceived }) => bytesReceived) / calls,
  };
}
