/** The workload that a worker measures. It is plain data, because it is handed over as JSON. */
export interface Workload {
  readonly name: string;
  readonly kind: "closed" | "open" | "batch";
  /** The script: one that writes its argument, or one that reads a value of `replyBytes` bytes. */
  readonly script: "write" | "read";
  readonly argBytes: number;
  readonly replyBytes: number;
  /** In a closed loop: the number of calls in flight. */
  readonly inFlight: number;
  /** In an open loop: the number of calls per second. */
  readonly rate: number;
  /** The total number of calls, or of batches of 1,000 calls. */
  readonly calls: number;
  /** The share of calls that run a script of about one millisecond. */
  readonly slowShare: number;
}

const CLOSED: Omit<Workload, "name"> = {
  kind: "closed",
  script: "write",
  argBytes: 16,
  replyBytes: 2,
  inFlight: 1,
  rate: 0,
  calls: 20_000,
  slowShare: 0,
};

export const WORKLOADS: readonly Workload[] = [
  { ...CLOSED, name: "1 in flight, 16 B" },
  { ...CLOSED, name: "64 in flight, 16 B", inFlight: 64, calls: 120_000 },
  { ...CLOSED, name: "1,024 in flight, 16 B", inFlight: 1024, calls: 250_000 },
  { ...CLOSED, name: "64 in flight, 1 KiB", inFlight: 64, calls: 60_000, argBytes: 1024 },
  { ...CLOSED, name: "64 in flight, 16 KiB", inFlight: 64, calls: 15_000, argBytes: 16_384 },
  { ...CLOSED, name: "64 in flight, reply of 16 B", script: "read", inFlight: 64, calls: 100_000, replyBytes: 16 },
  { ...CLOSED, name: "64 in flight, reply of 1 KiB", script: "read", inFlight: 64, calls: 60_000, replyBytes: 1024 },
  { ...CLOSED, name: "64 in flight, reply of 64 KiB", script: "read", inFlight: 64, calls: 8000, replyBytes: 65_536 },
  { ...CLOSED, name: "64 in flight, 1% slow", inFlight: 64, calls: 20_000, slowShare: 0.01 },
  { ...CLOSED, name: "open loop, 5,000/s", kind: "open", rate: 5000, calls: 10_000 },
  { ...CLOSED, name: "open loop, 20,000/s", kind: "open", rate: 20_000, calls: 40_000 },
  { ...CLOSED, name: "batches of 1,000", kind: "batch", calls: 120 },
];

export const BATCH = 1000;

export const SCRIPTS = {
  write: "return redis.call('set', KEYS[1], ARGV[1])",
  read: "return redis.call('get', KEYS[1])",
  slow: "local n = 0 for i = 1, 40000 do n = n + i end return redis.call('set', KEYS[1], ARGV[1])",
} as const;
export type ScriptName = keyof typeof SCRIPTS;

/** Keys spread over all slots. */
export const KEYS: readonly string[] = Array.from({ length: 4096 }, (_, index) => `key:${index}`);
/** The keys of a batch: in all slots if the client's batches can cross slots, otherwise in one slot. */
export const SPREAD_KEYS: readonly string[] = KEYS.slice(0, BATCH);
export const ONE_SLOT_KEYS: readonly string[] = Array.from({ length: BATCH }, (_, index) => `{batch}:${index}`);

/** The key that holds a value of the given size. */
export function valueKey(index: number, bytes: number): string {
  return `value:${bytes}:${index % 64}`;
}

/** The result of a worker. Times are in microseconds. */
export interface Result {
  /** The number of calls that were made and answered. */
  readonly calls: number;
  readonly callsPerSecond: number;
  readonly bytesPerSecond: number;
  /** The CPU time of the client's process per call, user and system. Absent for open loops, which keep a core busy. */
  readonly cpu?: number;
  /**
   * In closed loops from a caller's call to its reply, in open loops from when a call was due. Absent where fewer than 10 calls
   * lie beyond.
   */
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
  readonly most: number;
  /** In open loops the p99 of how late calls were made. It is a part of the latencies. */
  readonly late?: number;
  readonly residentMiB: number;
  /** The growth of the memory in use, without garbage, from before the calls to after them. */
  readonly grownMiB: number;
  /** An open loop left out calls, because too many waited for their answers, or were late. */
  readonly stopped?: boolean;
}

/** The figures of a result. */
export type Figure = Exclude<keyof Result, "stopped">;
