import { type Estimate, LEAST_VALUES } from "./estimate.ts";
import type { BenchReport, Comparison, WayFigures } from "./report.ts";

/*
 * What has changed since an earlier run. Two runs are apart in time, so what slows the machine is in one of them and not in
 * the other. Two kinds of figures do not hold it, and they are judged:
 *
 *   a ratio of two ways    was taken within rounds, under the same conditions
 *   bytes                  are counted and not timed
 *
 * Calls a second, latencies and CPU of one way hold the speed of the day. Their changes are told; they are judged only for
 * somebody who says that the machine is always the same.
 */

/** What a run gave then and now, and the ratio of both. */
export interface Change {
  /** The title of the comparison: `1 KB script, 64 in flight`. */
  readonly comparison: string;
  readonly way: string;
  /** The way that a ratio is taken to; absent for a figure that is no ratio. */
  readonly base?: string;
  /** `callsPerSecond`, `p50`, `clientCpu`, ... */
  readonly figure: string;
  readonly before: number;
  readonly after: number;
  /** after / before */
  readonly change: Interval;
  readonly verdict: "better" | "worse" | "no difference seen";
  /** Whether the figure counts for the limit. */
  readonly judged: boolean;
  /** Whether the whole interval lies beyond the limit, in the worse direction. Only for figures that are judged. */
  readonly beyond: boolean;
  /** Whether a part of the interval lies there, so that a longer run would be needed to tell. */
  readonly undecided: boolean;
}

export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** All changes since an earlier run. */
export interface Judgement {
  /** The earlier run. */
  readonly earlier: { readonly date: string; readonly slotwire: string; readonly commit: string };
  /** A share: 0.1 for 10%. */
  readonly limit: number;
  readonly changes: readonly Change[];
}

export interface JudgementOptions {
  /** The change for the worse that is accepted, as a share. */
  readonly limit: number;
  /** Whether calls a second, latencies and CPU are judged, too, and not only ratios and bytes. */
  readonly absolute: boolean;
}

const CONFIDENCE = 0.95;
/** A change that two digits do not show is none, even where bytes say so surely. */
const SEEN = 0.005;

/**
 * The changes of all figures that both reports have. Whether the reports can be compared was asked before.
 * The intervals hold all true changes of judged figures together in 95 of 100 comparisons: one in twenty of them would lie
 * beside its true value otherwise, and a report has more figures than that.
 */
export function judge(earlier: BenchReport, now: BenchReport, { limit, absolute }: JudgementOptions): Judgement {
  const found = now.comparisons.flatMap((comparison) => {
    const before = earlier.comparisons.find(({ id }) => id === comparison.id);
    return before === undefined ? [] : pairsOf(before, comparison, absolute);
  });
  const stretch = normalQuantile(1 - (1 - CONFIDENCE) / 2 / Math.max(1, found.filter(({ judged }) => judged).length));
  const changes = found.map(({ before, after, ...rest }): Change => {
    const change = changeOf(before, after, stretch / normalQuantile(1 - (1 - CONFIDENCE) / 2));
    const better = isMoreBetter(rest.figure) ? change : inverse(change);
    // For calls a second 10% worse is 0.9, for costs and latencies it is 1.1.
    const [surely, maybe] = isMoreBetter(rest.figure)
      ? [change.high < 1 - limit, change.low < 1 - limit]
      : [change.low > 1 + limit, change.high > 1 + limit];
    return {
      ...rest,
      before: before.median,
      after: after.median,
      change,
      verdict: better.low > 1 + SEEN ? "better" : better.high < 1 - SEEN ? "worse" : "no difference seen",
      beyond: rest.judged && surely,
      undecided: rest.judged && !surely && maybe,
    };
  });
  const { date, slotwire, commit } = earlier.environment;
  return { earlier: { date, slotwire, commit }, limit, changes };
}

/** More calls a second are better; of all else, less is. */
export function isMoreBetter(figure: string): boolean {
  return figure === "callsPerSecond";
}

/**
 * The ratio of two independent medians with its interval: the distances of the medians to their ends, as logarithms, are
 * joined as those of independent errors (the method of variance estimates recovery). The ends need not be symmetric.
 * @param stretch  The distances are multiplied by it.
 * @see https://doi.org/10.1002/sim.3095
 */
export function changeOf(before: Interval, after: Interval, stretch = 1): Interval {
  const log = ({ median, low, high }: Interval) => ({
    median: Math.log(median),
    down: Math.log(median / low),
    up: Math.log(high / median),
  });
  const [then, now] = [log(before), log(after)];
  const middle = now.median - then.median;
  return {
    median: Math.exp(middle),
    low: Math.exp(middle - stretch * Math.hypot(now.down, then.up)),
    high: Math.exp(middle + stretch * Math.hypot(now.up, then.down)),
  };
}

interface Pair extends Pick<Change, "comparison" | "way" | "figure" | "judged"> {
  readonly base?: string;
  readonly before: Estimate;
  readonly after: Estimate;
}

function pairsOf(earlier: Comparison, now: Comparison, absolute: boolean): Pair[] {
  return now.ways.flatMap((way) => {
    const before = earlier.ways.find(({ name }) => name === way.name);
    if (before === undefined) return [];
    const about = { comparison: now.title, way: way.name };
    const ratios = pairsIn(before.ratios ?? {}, way.ratios ?? {}).filter(({ figure }) => !isCount(figure));
    const own = pairsIn(figuresOf(before), figuresOf(way));
    return [
      ...ratios.map((pair) => ({ ...about, ...pair, base: now.base, judged: isSure(pair) })),
      ...own.map((pair) => ({ ...about, ...pair, judged: isSure(pair) && (absolute || isCount(pair.figure)) })),
    ];
  });
}

function figuresOf({ callsPerSecond, figures }: WayFigures): Readonly<Record<string, Estimate>> {
  return { callsPerSecond, ...figures };
}

function pairsIn(
  earlier: Readonly<Record<string, Estimate>>,
  now: Readonly<Record<string, Estimate>>,
): Pick<Pair, "figure" | "before" | "after">[] {
  return Object.entries(now).flatMap(([figure, after]) => {
    const before = Object.hasOwn(earlier, figure) ? earlier[figure] : undefined;
    return before === undefined ? [] : [{ figure, before, after }];
  });
}

/** Bytes are counted. The speed of the machine is not in them. */
function isCount(figure: string): boolean {
  return figure.startsWith("bytes");
}

/** The interval of fewer values holds the true median less often. */
function isSure({ before, after }: Pick<Pair, "before" | "after">): boolean {
  return before.values >= LEAST_VALUES && after.values >= LEAST_VALUES;
}

function inverse({ median, low, high }: Interval): Interval {
  return { median: 1 / median, low: 1 / high, high: 1 / low };
}

/** The value that a normal variable exceeds with the probability 1 - p, for p from 0.5 on, to three digits. */
function normalQuantile(p: number): number {
  // Abramowitz and Stegun, 26.2.23.
  const t = Math.sqrt(-2 * Math.log(1 - p));
  return t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3);
}
