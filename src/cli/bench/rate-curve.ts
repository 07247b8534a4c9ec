import { median } from "./estimate.ts";
import { Latencies, type LatencySummary } from "./latency.ts";
import { type OpenSlice, openLoop } from "./open-loop.ts";
import { isDoubtful, judge, type MeasuredRate, nextRate, type Rates, reachOf, type SliceFigures } from "./rates.ts";
import type { RateCurve, RatePoint } from "./report.ts";

/** One of the ways whose latencies are compared under the same rates. */
export interface RateWay {
  readonly name: string;
  readonly script: RateCurve["script"];
  /** Makes calls until they get no faster. */
  warmUp(): Promise<void>;
  /** Makes calls at a rate for that long, and waits for their answers. Rejects when a reply is wrong. */
  slice(rate: number, milliseconds: number): Promise<RateSlice>;
}

/** What a slice measured. It is plain data, because it can come from another process. */
export interface RateSlice {
  readonly figures: SliceFigures;
  /** All slices at this rate so far. */
  readonly latency: LatencySummary;
  readonly lateness: LatencySummary;
}

export interface CurveOptions {
  readonly rates: Rates;
  /** The time at each rate, for each way. */
  readonly seconds: number;
  /** Hears what is measured next. */
  readonly progress?: ((way: string, rate: number) => void) | undefined;
}

/** Slices of a way at a rate: an even number, because every other time the order of the ways is reversed. */
const SLICES = 4;
/** A slice has at least this many calls. */
const LEAST_CALLS = 2;
const WARM_UP = { callers: 64, milliseconds: 300 };

/**
 * Measures latency under rising rates, all ways in turns at each rate (A B B A). A way is not measured beyond its knee when
 * the rates are looked for.
 */
export async function measureCurves(ways: readonly RateWay[], options: CurveOptions): Promise<readonly RateCurve[]> {
  const { rates, seconds, progress } = options;
  const found = new Map(ways.map((way) => [way, new Map<number, Found>()]));
  const of = (way: RateWay) => [...(found.get(way)?.values() ?? [])];
  const measure = async (rate: number, able: readonly RateWay[]) => {
    const milliseconds = Math.max((seconds * 1000) / SLICES, (LEAST_CALLS * 1000) / rate);
    for (let turn = 0; turn < SLICES; turn++) {
      for (const way of turn % 2 === 0 ? able : [...able].reverse()) {
        progress?.(way.name, rate);
        const slice = await way.slice(rate, milliseconds);
        const before = found.get(way)?.get(rate)?.slices ?? [];
        found.get(way)?.set(rate, { rate, slices: [...before, slice.figures], p99: slice.latency.p99, last: slice });
      }
    }
  };
  for (const way of ways) await way.warmUp();
  for (const measured: number[] = []; ; ) {
    const reaches = ways.map((way) => reachOf(of(way)));
    const rate = nextRate(rates, measured, reaches);
    if (rate === undefined) return ways.map((way) => curveOf(way, of(way)));
    measured.push(rate);
    const able = ways.filter((_, index) => {
      const { knee = rate + 1, sure = false } = reaches[index] ?? {};
      return rates !== "auto" || rate < knee || !sure;
    });
    await measure(rate, able);
    const doubtful = able.filter((way) => isDoubtful(of(way), rate));
    if (doubtful.length > 0) await measure(rate, doubtful);
  }
}

interface Found extends MeasuredRate {
  readonly last: RateSlice;
}

function curveOf({ name, script }: RateWay, found: readonly Found[]): RateCurve {
  const sorted = [...found].sort((a, b) => a.rate - b.rate);
  const beyond = judge(sorted);
  const { sure: _, ...reach } = reachOf(sorted);
  return { way: name, script, points: sorted.map((each, index) => pointOf(each, beyond[index])), ...reach };
}

function pointOf({ rate, slices, last }: Found, beyond: RatePoint["beyond"]): RatePoint {
  const middle = (of: (slice: SliceFigures) => number) => median(slices.map(of));
  return {
    rate,
    made: middle(({ made, seconds }) => made / seconds),
    answered: middle(({ answeredLately, seconds }) => answeredLately / (seconds / 2)),
    waiting: Math.max(...slices.map(({ waiting }) => waiting)),
    ...(beyond === undefined ? {} : { beyond }),
    latency: last.latency,
    lateness: last.lateness,
  };
}

/** A way whose calls this process makes. @param call  Makes the n-th call; rejects when the reply is wrong. */
export function rateWay(
  name: string,
  script: RateCurve["script"],
  call: (number: number) => Promise<unknown>,
): RateWay {
  const sums = new Map<number, { readonly latencies: Latencies; readonly lateness: Latencies }>();
  let made = 0;
  return {
    name,
    script,
    async warmUp() {
      const end = performance.now() + WARM_UP.milliseconds;
      const caller = async () => {
        while (performance.now() < end) await call(made++);
      };
      await Promise.all(Array.from({ length: WARM_UP.callers }, caller));
    },
    async slice(rate, milliseconds) {
      const slice = await openLoop(call, { rate, milliseconds, from: made });
      made += slice.due;
      const sum = sums.get(rate) ?? { latencies: new Latencies(), lateness: new Latencies() };
      sums.set(rate, sum);
      sum.latencies.join(slice.latencies);
      sum.lateness.join(slice.lateness);
      return { figures: figuresOf(slice), latency: sum.latencies.summary(), lateness: sum.lateness.summary() };
    },
  };
}

function figuresOf({ latencies, lateness: _, ...figures }: OpenSlice): SliceFigures {
  const p99 = latencies.quantile(0.99);
  return { ...figures, ...(p99 === undefined ? {} : { p99 }) };
}
