import type { Estimate } from "../../src/cli/bench/estimate.ts";
import type { Quiet, RateCurve } from "../../src/cli/bench/report.ts";

/** What `npm run bench:clients` measured, as its page draws it. */
export interface ClientsReport {
  /** Machine and versions, by name. */
  readonly environment: object;
  readonly quiet: Quiet;
  /** How it was measured, in sentences. */
  readonly method: string;
  readonly clients: readonly { readonly name: string; readonly settings: string }[];
  /** The metrics, in the order in which they are drawn. */
  readonly metrics: readonly ClientsMetric[];
  readonly workloads: readonly WorkloadFigures[];
  /** Ratios of slotwire to others within rounds, for the picture that comes first. */
  readonly ratios: readonly ClientsRatio[];
  readonly claims: readonly { readonly what: string; readonly seen: string; readonly holds: boolean }[];
  /** Latency at given rates; `way` is the client's name. */
  readonly curves: readonly RateCurve[];
  /** For the details with the raw data. */
  readonly raw: unknown;
}

export interface ClientsMetric {
  /** The key in `ClientFigures.figures`. */
  readonly key: string;
  /** `calls a second`, `CPU a call`, `p99, closed loop` */
  readonly name: string;
  /** `us`, `MiB`; empty for calls a second. */
  readonly unit: string;
}

export interface WorkloadFigures {
  /** `64 in flight, 16 B` */
  readonly name: string;
  /** Workloads of one group share their axes: `64 in flight`. Without it a workload has axes of its own. */
  readonly group?: string;
  readonly clients: readonly ClientFigures[];
}

export interface ClientFigures {
  readonly name: string;
  /** The number of calls behind the figures, over all rounds. */
  readonly calls: number;
  /** By the metrics' keys; a metric that rests on too few calls is absent. */
  readonly figures: Readonly<Record<string, Estimate>>;
}

export interface ClientsRatio {
  readonly workload: string;
  /** The metric's key. */
  readonly metric: string;
  /** `floor`, `best peer` */
  readonly to: string;
  /** The peer's name, where `to` leaves it open. */
  readonly peer?: string;
  readonly ratio: Estimate;
}

/** The comparison of clients as one HTML page, without scripts and without anything to fetch. */
export function clientsPageOf(report: ClientsReport): string {
  return `<!doctype html><title>${report.clients.length}</title>`;
}
