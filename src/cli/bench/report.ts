import type { Estimate } from "./estimate.ts";
import type { LatencySummary } from "./latency.ts";

/*
 * The results of a benchmark, as they stand in its JSON. `slotwire bench` and `npm run bench` write them; the page draws them,
 * and a later run is compared with them.
 */

/** Changes whenever an older reader would misunderstand. */
export const FORMAT = "slotwire-bench/2";

export interface BenchReport {
  readonly format: typeof FORMAT;
  readonly environment: Environment;
  readonly quiet: Quiet;
  /** How it was measured, in sentences. */
  readonly method: string;
  readonly comparisons: readonly Comparison[];
  /** Latency at given rates; empty unless it was asked for. */
  readonly curves: readonly RateCurve[];
}

/** The machine and the versions of a measurement. */
export interface Environment {
  /** ISO 8601. */
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** `Redis 7.0.15` */
  readonly server: string;
  /** Where the servers are: `3 primaries on this machine, over loopback, TLS`. */
  readonly setting: string;
  readonly slotwire: string;
  /** The commit of the working copy, with a "+" if there are changes; "unknown" outside a working copy. */
  readonly commit: string;
}

/** Whether the machine had nothing else to do. */
export interface Quiet {
  readonly quiet: boolean;
  /** Each reason as a sentence: `Other processes used 0.8 of 2 cores.` */
  readonly reasons: readonly string[];
}

/** A script and the load under which it was called, in several ways. */
export interface Comparison {
  readonly id: string;
  /** For a heading: `1 KB script, 64 in flight`. */
  readonly title: string;
  readonly script: { readonly name: string; readonly bytes: number };
  readonly inFlight: number;
  /** The name of the way that the ratios are taken to: `EVAL`. */
  readonly base: string;
  readonly ways: readonly WayFigures[];
}

export interface WayFigures {
  readonly name: string;
  readonly calls: number;
  readonly callsPerSecond: Estimate;
  /** The calls a second of each round, which show the spread. */
  readonly rounds: readonly number[];
  /** From the moment a caller made the call, in a closed loop: it leaves out what would have been called meanwhile. */
  readonly latency: LatencySummary;
  /** One call's part, by name: `bytesSent`, `bytesReceived`, `clientCpu`, `serverCpu`, `inCommand` (microseconds). */
  readonly costs: Readonly<Record<string, number>>;
  /** Ratios to the base within rounds, by name: `callsPerSecond`, `p50`, `p99` and the costs. Absent for the base itself. */
  readonly ratios?: Readonly<Record<string, Estimate>>;
}

/** One way under rising rates of calls. Latencies count from when a call was due. */
export interface RateCurve {
  readonly way: string;
  readonly script: { readonly name: string; readonly bytes: number };
  readonly points: readonly RatePoint[];
  /** The rate, in calls a second, from which on latencies rise steeply or calls cannot be made in time; absent if not met. */
  readonly knee?: number;
}

export interface RatePoint {
  /** Calls a second: wanted, and made. */
  readonly rate: number;
  readonly made: number;
  readonly latency: LatencySummary;
  /** How much later than due the generator itself made the calls. */
  readonly lateness: LatencySummary;
}
