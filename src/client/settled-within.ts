import type { Clock } from "../environment.ts";

/** Resolves when `promise` is settled, however that ends, or when `limitMs` have passed. */
export function settledWithin(clock: Clock, limitMs: number, promise: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(resolve, limitMs);
    const finish = () => {
      timer.cancel();
      resolve();
    };
    promise.then(finish, finish);
  });
}
