import { setPatience } from "../connection/signs-of-life.ts";
import type { Clock } from "../environment.ts";

/**
 * Resolves when `promise` is settled, however that ends, or when `limitMs` have passed. The time during which this
 * process was stopped or computed does not count.
 */
export function settledWithin(clock: Clock, limitMs: number, promise: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setPatience(clock, limitMs, resolve);
    const finish = () => {
      timer.cancel();
      resolve();
    };
    promise.then(finish, finish);
  });
}
