/** How long to wait before one more try: doubling from `firstMs` to `mostMs`. */
export interface BackoffRange {
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * Milliseconds to wait before attempt number `attempt` (from 0): half of it fixed, half of it random, so that many
 * clients do not come back at the same moment.
 */
export function backoffMs(attempt: number, { firstMs, mostMs }: BackoffRange, random: number): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (ceiling / 2) * random;
}
