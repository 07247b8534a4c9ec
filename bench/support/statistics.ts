/** The middle value, or the mean of the middle two; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? Number.NaN) + upper) / 2;
}

/** The least of the sorted values that a share `q` of them does not exceed (nearest rank); NaN of nothing. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  // The tolerance keeps a product such as 0.07 * 100, which is a little more than 7, from counting as 8.
  const rank = Math.ceil(sorted.length * q - 1e-9);
  return sorted[Math.min(sorted.length, Math.max(rank, 1)) - 1] ?? Number.NaN;
}

/** Shares of calls at which latency curves are kept: evenly spaced in nines, from 0 to 99.9%. */
export const CURVE_SHARES: readonly number[] = Array.from({ length: 37 }, (_, step) => 1 - 10 ** (-step / 12));
