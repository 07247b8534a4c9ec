/*
 * How sure a figure is. A round measures all ways under the same conditions, so its ratio of two ways does not hold what
 * slows both. What is left is the spread of the ratios, and that is what an interval is made of:
 *
 *   ratios of rounds, sorted    .  .   [ .  . .  |  . .  . ]   .    .
 *                                     low     median     high
 *
 * The ends are values of the rounds themselves (order statistics). Nothing is assumed about the form of the spread.
 *
 * How many values are left out at either end would follow from the number of rounds, if each round were a new throw of the
 * dice. It is not. What else a machine does differs from second to second, from minute to minute, and it moves even the ratio
 * of two ways that take turns every 25 ms. In records of minutes the median of n rounds varies like that of n^0.7 independent
 * values, from 12 rounds to 200. With an interval for n values, one run in four would not hold what the next one finds.
 */

/** A median with the interval that holds the true one in 95 of 100 runs. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** The number of independent values that the rounds are worth. */
  readonly values: number;
  /** The share of runs in which the interval holds the true median: less than 0.95 with fewer rounds than `LEAST_ROUNDS`. */
  readonly confidence: number;
}

export type Verdict = "more" | "less" | "no difference seen";

const CONFIDENCE = 0.95;
/** Half the distance of the ends of such an interval, in standard deviations. */
const DEVIATIONS = 1.96;
/** The least number of independent values whose least and greatest hold the median in 95 of 100 runs. */
export const LEAST_VALUES = 6;
/** n rounds are worth n to this power of independent values. */
const MEMORY = 0.7;
/** So many rounds are worth `LEAST_VALUES`. */
export const LEAST_ROUNDS = 13;

/** The middle value, or the mean of the two middle values; NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? Number.NaN) + upper) / 2;
}

/** The estimate from the values of all rounds, in the order in which they were measured. Values must be positive. */
export function estimateOf(values: readonly number[]): Estimate {
  const logs = values.map(Math.log);
  const joined = independent(logs);
  // The exponential of a logarithm is not quite the same number.
  return estimateFrom(joined.length === values.length ? values : joined.map(Math.exp));
}

/** The estimate from differences, which may be negative. */
export function estimateOfDifferences(values: readonly number[]): Estimate {
  return estimateFrom(independent(values));
}

function estimateFrom(values: readonly number[]): Estimate {
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  const worth = count ** MEMORY;
  // The normal form of the binomial distribution, which is the number of values below the true median.
  const rank = Math.max(0, Math.floor(count * (0.5 - DEVIATIONS / 2 / Math.sqrt(worth)) - 0.5));
  return {
    median: median(sorted),
    low: sorted[rank] ?? Number.NaN,
    high: sorted[count - 1 - rank] ?? Number.NaN,
    values: Math.floor(worth),
    confidence: Math.max(0, Math.min(CONFIDENCE, 1 - 2 * 0.5 ** worth)),
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
 * Values that do not resemble their neighbours more than it is usual. A machine is slow for some rounds and then fast again;
 * such rounds say the same thing several times. Neighbours are joined (by their mean) until they resemble each other no more
 * than chance does, as long as enough are left.
 */
function independent(values: readonly number[]): readonly number[] {
  let left = values;
  while (left.length >= 2 * (LEAST_ROUNDS - 1) && resemblance(left) > 1.64 / Math.sqrt(left.length)) {
    const pairs = left;
    left = Array.from({ length: pairs.length >> 1 }, (_, pair) => {
      return ((pairs[2 * pair] as number) + (pairs[2 * pair + 1] as number)) / 2;
    });
  }
  return left;
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
