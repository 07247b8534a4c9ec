import type { ClientInfo } from "./channels.ts";
import { OpenConnections } from "./connection-trace.ts";

/** Sums since `connect`. They only grow. */
export class Counters {
  calls = 0;
  replies = 0;
  /** The number of errors, by the error's code. */
  readonly errors: Record<string, number> = {};
  /** The number of deadlines that passed, by where the call was. */
  readonly deadlines: Record<string, number> = {};
  readonly redirections = { MOVED: 0, ASK: 0 };
  /** The number of retries, by the first word of the node's answer. */
  readonly retries: Record<string, number> = {};
  /** By the name of the decision's row. */
  readonly decisions: Record<string, number> = {};
  /** Reads that had no answer in time: how many were sent once more, how many won, and why others were not. */
  readonly hedges = { sent: 0, won: 0, overBudget: 0, withoutNode: 0 };
  scriptMisses = 0;
  scriptLoads = 0;
  scriptLoadFailures = 0;
  connectionsOpened = 0;
  connectionFailures = 0;
  reconnections = 0;
  topologyRefreshes = 0;
  topologyChanges = 0;
  /** Messages of subscriptions that arrived. */
  messages = 0;
  /** The number of gaps, by their reason. Each topic counts. */
  readonly gaps: Record<string, number> = {};
  bytesWritten = 0;
  bytesRead = 0;
}

/** Adds one to the count of `name`. */
export function countIn(counts: Record<string, number>, name: string, by = 1): void {
  counts[name] = (counts[name] ?? 0) + by;
}

const BOUNDS_MS: readonly number[] = Object.freeze([
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
]);
/** The application chooses the names of commands, so their number has to be bounded here. */
const MOST_SERIES = 1000;
const OTHERS = "other";

/** A histogram of the durations of all calls with the same command and script. */
export interface DurationHistogram {
  /** The command's name as it is sent. */
  readonly command: string;
  /** The script's name; null for a command that runs no script. */
  readonly script: string | null;
  /** The upper bounds of the buckets in milliseconds, ascending. A bound belongs to its bucket. */
  readonly bounds: readonly number[];
  /** The number of calls in each bucket. One more element than `bounds` counts the calls past the last bound. */
  readonly counts: readonly number[];
  /** The number of all calls. */
  readonly count: number;
  /** The durations of all calls added up, in milliseconds. */
  readonly sum: number;
}

interface Series {
  readonly command: string;
  readonly script: string | null;
  readonly counts: number[];
  sum: number;
}

/** One histogram for each pair of command and script. */
export class Durations {
  readonly #series = new Map<string, Series>();

  add(command: string, script: string | null, ms: number): void {
    const series = this.#seriesOf(command, script);
    let at = 0;
    while (at < BOUNDS_MS.length && ms > (BOUNDS_MS[at] as number)) at++;
    series.counts[at] = (series.counts[at] as number) + 1;
    series.sum += ms;
  }

  #seriesOf(command: string, script: string | null): Series {
    const key = `${command} ${script ?? ""}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      if (this.#series.size >= MOST_SERIES && command !== OTHERS) return this.#seriesOf(OTHERS, null);
      series = { command, script, counts: new Array<number>(BOUNDS_MS.length + 1).fill(0), sum: 0 };
      this.#series.set(key, series);
    }
    return series;
  }

  /** A copy of each histogram. */
  get histograms(): DurationHistogram[] {
    return [...this.#series.values()].map(({ command, script, counts, sum }) => ({
      command,
      script,
      bounds: BOUNDS_MS,
      counts: [...counts],
      count: counts.reduce((a, b) => a + b, 0),
      sum,
    }));
  }
}

/** One client's identity and its metrics. */
export class Telemetry {
  readonly client: ClientInfo;
  readonly counters = new Counters();
  readonly connections: OpenConnections;
  /** Undefined unless the option `durations` is on, because measuring costs two clock readings per call. */
  readonly durations: Durations | undefined;

  constructor(client: ClientInfo, measuresDurations: boolean) {
    this.client = client;
    this.connections = new OpenConnections(client);
    this.durations = measuresDurations ? new Durations() : undefined;
  }
}
