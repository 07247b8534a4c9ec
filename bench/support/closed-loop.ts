/** What a burst of calls took. */
export interface Burst {
  readonly calls: number;
  readonly seconds: number;
  /** Of each call, in milliseconds. */
  readonly latencies: Float64Array;
}

/** `inFlight` callers, each making its next call when the last one is answered, until `calls` have been made. */
export async function closedLoop(
  call: (index: number) => Promise<unknown>,
  inFlight: number,
  calls: number,
): Promise<Burst> {
  const latencies = new Float64Array(calls);
  let next = 0;
  const caller = async () => {
    while (next < calls) {
      const index = next++;
      const start = performance.now();
      await call(index);
      latencies[index] = performance.now() - start;
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: Math.min(inFlight, calls) }, caller));
  return { calls, seconds: (performance.now() - start) / 1000, latencies };
}
