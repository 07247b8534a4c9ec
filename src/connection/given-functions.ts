import { types } from "node:util";

/**
 * An application's function returned something that is refused. If that is a promise, nobody waits for it, and its
 * rejection would end the process.
 */
export function letGoOf(result: unknown): void {
  if (types.isPromise(result)) result.catch(() => {});
}
