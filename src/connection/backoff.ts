/** The waits between tries: they double from `firstMs` to `mostMs`. */
export interface BackoffRange {
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * Milliseconds to wait before attempt number `attempt`, counted from 0. Half of the wait is fixed and half is random,
 * because many clients that lost a node at one moment must not come back at one moment.
 */
export function backoffMs(attempt: number, { firstMs, mostMs }: BackoffRange, random: number): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (ceiling / 2) * random;
}
