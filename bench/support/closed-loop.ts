import { Latencies } from "../../src/cli/bench/latency.ts";
import type { Slice } from "../../src/cli/bench/rounds.ts";

/**
 * Keeps `inFlight` callers busy for about that long, and waits for the last reply. A caller makes its next call when its last
 * one is answered.
 * @param call  Rejects when a reply is wrong. The slice then rejects too, after the other calls have ended.
 */
export async function timedLoop(
  call: () => Promise<void>,
  options: { readonly milliseconds: number; readonly inFlight: number; readonly callsEach: number },
): Promise<Slice> {
  const { milliseconds, inFlight, callsEach } = options;
  const latencies = new Latencies();
  let failed = false;
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const end = start + milliseconds;
  const caller = async () => {
    try {
      for (let now = start; now < end && !failed; ) {
        const then = performance.now();
        await call();
        now = performance.now();
        for (let each = 0; each < callsEach; each++) latencies.add(now - then);
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: inFlight }, caller));
  const failure = ends.find((each) => each.status === "rejected");
  if (failure) throw failure.reason;
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { calls: latencies.calls, seconds, latencies, costs: { clientCpu: user + system } };
}

/** Makes `inFlight` calls at once. Resolves to the time until the last one is answered, in milliseconds. */
export async function wave(call: (number: number) => Promise<void>, inFlight: number): Promise<number> {
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, (_, number) => call(number)));
  return performance.now() - start;
}
