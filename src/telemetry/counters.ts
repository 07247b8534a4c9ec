import type { ClientInfo } from "./channels.ts";

/** Sums since `connect`. Each is one addition where it happens; none is ever taken back. */
export class Counters {
  calls = 0;
  replies = 0;
  /** By code. */
  readonly errors: Record<string, number> = {};
  readonly redirections = { MOVED: 0, ASK: 0 };
  /** By the first word of what the node said. */
  readonly retries: Record<string, number> = {};
  /** By the name of the decision's row. */
  readonly decisions: Record<string, number> = {};
  scriptMisses = 0;
  scriptLoads = 0;
  scriptLoadFailures = 0;
  connectionsOpened = 0;
  connectionFailures = 0;
  reconnections = 0;
  topologyRefreshes = 0;
  topologyChanges = 0;
  bytesWritten = 0;
  bytesRead = 0;
}

/** Adds one to the count of `name`. */
export function countIn(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

const BOUNDS_MS: readonly number[] = Object.freeze([
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
]);
/** Names of commands come from the application, and could be without end. */
const MOST_SERIES = 1000;
const OTHERS = "other";

/** How long the calls of one command, and script, took. */
export interface DurationHistogram {
  /** As it is sent. */
  readonly command: string;
  /** The script's name. */
  readonly script: string | null;
  /** Upper ends of the buckets in milliseconds, ascending; each belongs to its bucket. */
  readonly bounds: readonly number[];
  /** Calls in each bucket; one element more than `bounds` has, for what took longer. */
  readonly counts: readonly number[];
  /** Calls in all. */
  readonly count: number;
  /** Milliseconds in all. */
  readonly sum: number;
}

interface Series {
  readonly command: string;
  readonly script: string | null;
  readonly counts: number[];
  sum: number;
}

/** Histograms by command and script. */
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

  /** A copy of each. */
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

/** What one client tells of itself: who it is, and its figures. */
export class Telemetry {
  readonly client: ClientInfo;
  readonly counters = new Counters();
  /** Only where they were asked for: they cost two readings of the clock a call. */
  readonly durations: Durations | undefined;

  constructor(client: ClientInfo, measuresDurations: boolean) {
    this.client = client;
    this.durations = measuresDurations ? new Durations() : undefined;
  }
}
