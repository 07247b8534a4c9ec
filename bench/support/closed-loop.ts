/** The durations of a burst of calls. */
export interface Burst {
  readonly calls: number;
  readonly seconds: number;
  /** The latency of each call, in milliseconds. */
  readonly latencies: Float64Array;
}

/**
 * Runs `inFlight` callers until `calls` calls have been made. Each caller makes its next call when its last one is
 * answered. Every reply must be the number 1, because the benchmark's script returns it.
 */
export async function closedLoop(
  call: (index: number) => Promise<unknown>,
  inFlight: number,
  calls: number,
): Promise<Burst> {
  const latencies = new Float64Array(calls);
  let next = 0;
  let right = 0;
  const caller = async () => {
    while (next < calls) {
      const index = next++;
      const start = performance.now();
      const reply = await call(index);
      latencies[index] = performance.now() - start;
      if (reply === 1) right++;
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: Math.min(inFlight, calls) }, caller));
  const seconds = (performance.now() - start) / 1000;
  if (right !== calls) throw new Error(`${calls - right} of ${calls} calls got another reply than 1.`);
  return { calls, seconds, latencies };
}
