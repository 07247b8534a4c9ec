import { Latencies } from "./latency.ts";
import type { Slice } from "./rounds.ts";

/** Sums since some moment, by name. */
export type Costs = Readonly<Record<string, number>>;

/** What the client itself knows of its costs, and what somebody else must be asked for. */
export interface Meter {
  now(): Costs;
  asked?(): Promise<Costs>;
}

export interface LoopOptions {
  readonly milliseconds: number;
  readonly inFlight: number;
  readonly meter: Meter;
  /** How many calls `call` makes at once, which are answered together. @default 1 */
  readonly callsEach?: number;
}

/**
 * Keeps `inFlight` calls in flight for about that long, and waits for the last one.
 * @param call  Makes a call, and rejects when the reply is wrong. The slice then rejects too, after the other calls have ended.
 */
export async function closedLoop(
  call: () => Promise<void>,
  { milliseconds, inFlight, meter, callsEach = 1 }: LoopOptions,
): Promise<Slice> {
  const latencies = new Latencies();
  let failed = false;
  const askedBefore = (await meter.asked?.()) ?? {};
  const before = meter.now();
  const start = performance.now();
  const end = start + milliseconds;
  const caller = async () => {
    try {
      for (let now = performance.now(); now < end && !failed; ) {
        await call();
        const then = now;
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
  const costs = { ...difference(meter.now(), before), ...difference((await meter.asked?.()) ?? {}, askedBefore) };
  return { calls: latencies.calls, seconds, latencies, costs };
}

function difference(after: Costs, before: Costs): Costs {
  return Object.fromEntries(Object.entries(after).map(([name, sum]) => [name, sum - (before[name] ?? 0)]));
}
