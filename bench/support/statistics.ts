/** The middle value, or the mean of the two middle values; NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * The quantile `q` of sorted values by nearest rank: the least value that a share `q` does not exceed. NaN for no
 * values.
 */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  // A product such as 0.07 * 100 is a little more than 7. The tolerance keeps it from being rounded up to 8.
  const rank = Math.ceil(sorted.length * q - 1e-9);
  return sorted[Math.min(sorted.length, Math.max(rank, 1)) - 1] ?? Number.NaN;
}

/** The shares of calls for which latency curves have points: evenly spaced in nines, from 0 to 99.9%. */
export const CURVE_SHARES: readonly number[] = Array.from({ length: 37 }, (_, step) => 1 - 10 ** (-step / 12));
