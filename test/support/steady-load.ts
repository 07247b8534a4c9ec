/** Calls made at a steady pace until stopped. */
export interface SteadyLoad {
  /** Stops, waits for the last answers, and gives back what failed and how long the slowest call took. */
  stop(): Promise<{ readonly calls: number; readonly errors: readonly Error[]; readonly slowestMs: number }>;
}

/** Makes `perSecond` calls a second, whether or not earlier ones have been answered. */
export function steadyLoad(perSecond: number, call: (index: number) => Promise<unknown>): SteadyLoad {
  const pending = new Set<Promise<void>>();
  const errors: Error[] = [];
  const start = performance.now();
  let calls = 0;
  let slowestMs = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - start) / 1000) * perSecond;
    while (calls < due) {
      const sent = performance.now();
      const one = call(calls++)
        .then(
          () => {},
          (error: unknown) => void errors.push(error as Error),
        )
        .then(() => {
          slowestMs = Math.max(slowestMs, performance.now() - sent);
          pending.delete(one);
        });
      pending.add(one);
    }
  }, 5);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      return { calls, errors, slowestMs };
    },
  };
}
