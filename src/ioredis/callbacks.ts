import { realTime } from "../environment.ts";

/** Gets the error or the result of one call. */
export type Callback = (error: Error | null, result?: unknown) => void;

/** Tells the callback, and returns the promise. A rejection counts as handled then. What is no function is ignored. */
export function told<T>(promise: Promise<T>, callback: Callback | undefined): Promise<T> {
  if (typeof callback !== "function") return promise;
  promise.then(
    (value) => tell(callback, null, value),
    (error: Error) => tell(callback, error),
  );
  return promise;
}

/**
 * Calls a callback. What it returns is not looked at, also if it is a promise that rejects. What it throws is thrown by
 * itself, as from any other callback.
 */
export function tell(callback: Callback, ...result: Parameters<Callback>): void {
  try {
    callback(...result);
  } catch (error) {
    realTime.nextTick(() => {
      throw error;
    });
  }
}
