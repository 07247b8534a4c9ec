/** The script that load benchmarks call: one write, a short reply. */
export const LOAD_SCRIPT = "return redis.call('set', KEYS[1], ARGV[1])";
/** 4,096 short keys, spread over all slots. */
export const LOAD_KEYS: readonly string[] = Array.from({ length: 4096 }, (_, index) => `key:${index}`);
export const LOAD_VALUE = "value-16-bytes-x";

/** The number of calls in a batch. */
export const BATCH = 1000;

/** A client that can call the load script, one call or many at a time. */
export interface LoadClient {
  readonly call: (index: number) => Promise<unknown>;
  /** Makes `BATCH` calls together, on keys of all slots, and waits for all replies. */
  readonly batch: () => Promise<unknown>;
  close(): Promise<void>;
}
