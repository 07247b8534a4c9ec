/** Epoch milliseconds that never go back, as gaps have them. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}
