import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 20;

/** Checks again and again until nothing is thrown; throws what the last check threw when the time is over. */
export async function eventually<T>(check: () => T | Promise<T>, limitMs = 10_000): Promise<T> {
  const until = performance.now() + limitMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > until) throw error;
    }
    await sleep(LOOK_MS);
  }
}
