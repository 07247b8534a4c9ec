/** What a burst of calls took. */
export interface Burst {
  readonly calls: number;
  readonly seconds: number;
  /** Of each call, in milliseconds. */
  readonly latencies: Float64Array;
}

/**
 * `inFlight` callers, each making its next call when the last one is answered, until `calls` have been made.
 * Every reply must be the number 1, which is what the script of the benchmark returns.
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
