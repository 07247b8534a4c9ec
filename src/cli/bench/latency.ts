import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** The quantiles of latencies in milliseconds. A quantile is undefined unless at least `LEAST_BEYOND` calls lie beyond it. */
export interface LatencySummary {
  readonly calls: number;
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
  readonly max: number;
  /** `[share of calls, milliseconds]`, from the fastest on: the curve, as far as calls are there for it. */
  readonly curve: readonly (readonly [share: number, milliseconds: number])[];
}

/** An extreme that rests on fewer calls is a matter of luck. */
export const LEAST_BEYOND = 10;
const NANOSECONDS = 1e6;
/** One hour. Whatever takes longer counts as an hour. */
const MOST = 3.6e12;
/** Evenly spaced in nines, from 0 to 99.999 %. */
const SHARES: readonly number[] = Array.from({ length: 61 }, (_, step) => 1 - 10 ** (-step / 12));

/** Latencies in a histogram of constant size, to three digits (HdrHistogram), however many calls are noted. */
export class Latencies {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: MOST, figures: 3 });

  /** @param milliseconds  From when the call was made, or from when it was due. */
  add(milliseconds: number): void {
    this.#histogram.record(Math.min(MOST, Math.max(1, Math.round(milliseconds * NANOSECONDS))));
  }

  join(other: Latencies): void {
    this.#histogram.add(other.#histogram);
  }

  get calls(): number {
    return this.#histogram.count;
  }

  /** In milliseconds; undefined where fewer than `LEAST_BEYOND` calls lie beyond. */
  quantile(share: number): number | undefined {
    if (this.calls * (1 - share) < LEAST_BEYOND - 1e-6) return undefined;
    return this.#at(share);
  }

  summary(): LatencySummary {
    const [p50, p99, p999] = [this.quantile(0.5), this.quantile(0.99), this.quantile(0.999)];
    return {
      calls: this.calls,
      ...(p50 === undefined ? {} : { p50 }),
      ...(p99 === undefined ? {} : { p99 }),
      ...(p999 === undefined ? {} : { p999 }),
      max: this.calls === 0 ? Number.NaN : this.#histogram.max / NANOSECONDS,
      curve: SHARES.filter((share) => this.quantile(share) !== undefined).map((share) => [share, this.#at(share)]),
    };
  }

  /** Shares of 0 and 1 are not percentiles to Node. */
  #at(share: number): number {
    if (share <= 0) return this.#histogram.min / NANOSECONDS;
    return this.#histogram.percentile(Math.min(100, share * 100)) / NANOSECONDS;
  }
}
