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
  /** What the reasons rest on. */
  readonly seen?: Noise;
}

/** What was seen of the machine. CPU is in cores. */
export interface Noise {
  readonly cores: number;
  /** What others used while we rested, before the measurement. */
  readonly atRest: number;
  /** What others used while we measured; absent where the servers' part is not known. */
  readonly meanwhile?: number;
  /** What the hypervisor gave to other machines, as a share of all cores. */
  readonly stolen?: number;
  /** How far the middle half of the rounds' calls a second lies apart, as a share of their median: the widest of all ways. */
  readonly spread?: number;
  /** The system's average of processes that ran or waited, in the last minute before we began. */
  readonly load: number;
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
  /** With `--until`: the width that was wanted, the one that was reached, and the seconds for each way that were the bound. */
  readonly until?: { readonly wanted: number; readonly width: number; readonly seconds: number };
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
  /** What rounds give for the costs and for `p50` and `p99`, by name, as far as there are enough calls. */
  readonly figures?: Readonly<Record<string, Estimate>>;
  /** Ratios to the base within rounds, by name: `callsPerSecond`, `p50`, `p99` and the costs. Absent for the base itself. */
  readonly ratios?: Readonly<Record<string, Estimate>>;
}

/** One way under rising rates of calls. Latencies count from when a call was due. */
export interface RateCurve {
  readonly way: string;
  readonly script: { readonly name: string; readonly bytes: number };
  readonly points: readonly RatePoint[];
  /** The highest rate, in calls a second, that was held; absent if none was. */
  readonly held?: number;
  /** The lowest rate above it, from which on latencies rise steeply or calls cannot be made in time; absent if not met. */
  readonly knee?: number;
}

export interface RatePoint {
  /** Calls a second: wanted, and made in time (the median of the slices of time). */
  readonly rate: number;
  readonly made: number;
  /** Calls answered a second, in the latter halves of the slices (their median). */
  readonly answered: number;
  /** The most calls that waited for their answers at a time. */
  readonly waiting: number;
  /**
   * Why the rate was not held; absent if it was. `stopped`: so many calls waited that no more were made. `late`: calls were not
   * made in time. `unanswered`: answers came more slowly than calls. `slow`: the p99 is far above that of lower rates.
   */
  readonly beyond?: "stopped" | "late" | "unanswered" | "slow";
  /** From when a call was due. */
  readonly latency: LatencySummary;
  /** How much later than due the generator itself made the calls. */
  readonly lateness: LatencySummary;
}
