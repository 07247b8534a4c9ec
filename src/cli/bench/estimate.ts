/*
 * How sure a figure is. A round measures all ways under the same conditions, so its ratio of two ways does not hold what
 * slows both. What is left is the spread of the ratios, and that is what an interval is made of:
 *
 *   ratios of rounds, sorted    .  .   [ .  . .  |  . .  . ]   .    .
 *                                     low     median     high
 *
 * The ends are values of the rounds themselves (order statistics of the binomial distribution). Nothing is assumed about the
 * form of the spread.
 */

/** A median with the interval that holds the true one in 95 of 100 runs. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** The number of independent values behind it. Neighbouring rounds that resemble each other count as one. */
  readonly values: number;
  /** The share of runs in which the interval holds the true median: less than 0.95 with fewer than six values. */
  readonly confidence: number;
}

export type Verdict = "more" | "less" | "no difference seen";

const CONFIDENCE = 0.95;
/** The least number of values whose least and greatest hold the median in 95 of 100 runs. */
export const LEAST_VALUES = 6;

/** The middle value, or the mean of the two middle values; NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? Number.NaN) + upper) / 2;
}

/** The estimate from the values of all rounds, in the order in which they were measured. Values must be positive. */
export function estimateOf(values: readonly number[]): Estimate {
  const sorted = [...independent(values)].sort((a, b) => a - b);
  const { rank, confidence } = ranksOf(sorted.length);
  return {
    median: median(sorted),
    low: sorted[rank] ?? Number.NaN,
    high: sorted[sorted.length - 1 - rank] ?? Number.NaN,
    values: sorted.length,
    confidence,
  };
}

/** The ratio of two ways, from their values in the same rounds. */
export function ratioOf(values: readonly number[], base: readonly number[]): Estimate {
  return estimateOf(values.map((value, round) => value / (base[round] ?? Number.NaN)));
}

/** What a ratio says: nothing, as long as its interval holds 1. */
export function verdictOf({ low, high }: Estimate): Verdict {
  if (low > 1) return "more";
  return high < 1 ? "less" : "no difference seen";
}

/** How far the interval reaches to its wider side, as a share of the median: 0.05 for 2.0 (1.9 to 2.1). */
export function widthOf({ median: middle, low, high }: Estimate): number {
  return Math.max(middle - low, high - middle) / middle;
}

/**
 * Values that do not resemble their neighbours. A machine is slow for some rounds and then fast again; such rounds say the
 * same thing several times, and an interval that counts each of them is too narrow. Neighbours are joined (by their
 * geometric mean) until they resemble each other no more than chance does.
 */
export function independent(values: readonly number[]): readonly number[] {
  let logs = values.map(Math.log);
  while (logs.length >= 2 * LEAST_VALUES && resemblance(logs) > 1.64 / Math.sqrt(logs.length)) {
    logs = Array.from({ length: logs.length >> 1 }, (_, pair) => {
      return ((logs[2 * pair] as number) + (logs[2 * pair + 1] as number)) / 2;
    });
  }
  return logs.map(Math.exp);
}

/** The autocorrelation of neighbours, from -1 to 1. */
function resemblance(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let together = 0;
  let whole = 0;
  for (const [index, value] of values.entries()) {
    whole += (value - mean) ** 2;
    const next = values[index + 1];
    if (next !== undefined) together += (value - mean) * (next - mean);
  }
  return whole === 0 ? 0 : together / whole;
}

/**
 * How many values may be left out at either end. The true median lies outside of the values from rank k to n - 1 - k when at
 * most k of n fair coins fall on one side.
 */
function ranksOf(count: number): { readonly rank: number; readonly confidence: number } {
  let outside = 2 * 0.5 ** count;
  let term = outside;
  let rank = 0;
  for (;;) {
    term *= (count - rank) / (rank + 1);
    if (rank + 1 >= count / 2 || outside + term > 1 - CONFIDENCE) break;
    outside += term;
    rank++;
  }
  return { rank, confidence: Math.max(0, 1 - outside) };
}
