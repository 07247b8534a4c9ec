import { answerRequests } from "./asked-process.ts";
import type { ProcessSlice, SliceRequest } from "./measured-process.ts";

/** The calls of a slice: how many were made, and the latencies of some or all of them in milliseconds. */
export interface Burst {
  readonly calls: number;
  readonly latencies: readonly number[];
}

/**
 * Measures what `MeasuredProcess` asks for, until that process ends.
 * @param burst  Makes calls for about so many milliseconds, and waits for the last of them.
 */
export function measureSlices(burst: (milliseconds: number) => Promise<Burst>): void {
  answerRequests(({ slice }: SliceRequest) => measured(slice));

  async function measured(milliseconds: number): Promise<ProcessSlice> {
    const before = process.cpuUsage();
    const start = performance.now();
    const { calls, latencies } = await burst(milliseconds);
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(before);
    return { calls, seconds, clientCpu: user + system, latencies };
  }
}

/**
 * A closed loop for so many milliseconds: each of the callers makes its next call when its last one is answered.
 * @param every  Every so-manieth call is timed. Two clock readings for each call would add to the measured cost.
 */
export async function closedLoopFor(
  milliseconds: number,
  inFlight: number,
  every: number,
  call: (index: number) => Promise<unknown>,
): Promise<Burst> {
  const end = performance.now() + milliseconds;
  const latencies: number[] = [];
  let calls = 0;
  let isOver = false;
  const caller = async () => {
    while (!isOver) {
      const index = calls++;
      if (index % every !== 0) await call(index);
      else {
        const start = performance.now();
        await call(index);
        const now = performance.now();
        latencies.push(now - start);
        isOver = now >= end;
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return { calls, latencies };
}
