import type { ClientInfo } from "./messages.ts";

/** What is kept in memory: plain data, a copy. */
export interface CacheMetrics {
  /** The number of replies that are kept. Those that have ended do not count. */
  readonly entries: number;
  /**
   * About as many bytes as are held: never more than `maxBytes`. Replies that end together are cleared away some milliseconds
   * later, in slices of about 1 ms, and count here until then.
   */
  readonly bytes: number;
  /** The number of calls that were answered from memory. These calls count in none of `counters`. */
  readonly hits: number;
  /** The number of requests that were sent to keep their replies. */
  readonly misses: number;
  /** The number of calls that waited for an equal request in flight. */
  readonly shared: number;
  /**
   * The number of calls of cached views that were sent the ordinary way, by reason: `not-read-only`, `no-keys`,
   * `blocking`, `nondeterministic`, `unlisted`, `function`, `not-ready`, `no-owner`, `write-under-way`, `refused`, `lost`,
   * `no-canary` or `full`.
   */
  readonly passed: Readonly<Record<string, number>>;
  /** The number of replies that ended because a server told of a change of one of their keys. */
  readonly invalidated: number;
  /** The number of replies that made room for others. Those that have ended make room first, and do not count. */
  readonly evicted: number;
  /**
   * The number of replies that were given up otherwise, by reason: `own-write`, `derived-key`, `expired`, `replaced`,
   * `too-large`, `connection-lost`, `silent`, `cluster-down`, `refused`, `moved`, `slot-left`, `topology`, `flushed`,
   * `renewed` or `closed`.
   */
  readonly dropped: Readonly<Record<string, number>>;
  /** The primaries of which nothing is kept now, each with the reason in a server's or a socket's words. */
  readonly unavailable: readonly {
    /** The address of the primary as `host:port`, as announced. */
    readonly address: string;
    /** The words of the server, or of the socket. */
    readonly reason: string;
  }[];
}

/**
 * Why replies ended. `own-write`: a call of this client may write one of their keys. `derived-key`: a key changed that a
 * script may have read without naming it. `expired`: the time to live of a key, or `maxAge`. `replaced`: a newer reply came.
 * `too-large`: larger than `maxBytes`. `connection-lost`, `silent`: one of the cache's connections to the primary.
 * `cluster-down`, `refused`: the primary does not answer the cache's questions. `moved`, `slot-left`, `topology`: the slot
 * has another owner. `flushed`: the server told that everything changed. `renewed`: credentials were renewed twice since the
 * reply was read. `closed`: the client was closed.
 */
export type CacheDropReason =
  | "own-write"
  | "derived-key"
  | "expired"
  | "replaced"
  | "too-large"
  | "connection-lost"
  | "silent"
  | "cluster-down"
  | "refused"
  | "moved"
  | "slot-left"
  | "topology"
  | "flushed"
  | "renewed"
  | "closed";

/**
 * Why nothing is kept of what a primary answers. `not-allowed`: the server is too old, or the user lacks a right.
 * `unreachable`: the cache's connections cannot be opened. The others are as in `CacheDropReason`.
 */
export type CacheLossReason = "not-allowed" | "unreachable" | CacheDropReason;

/**
 * The message of the channel `slotwire:cache`. A hit publishes nothing, here or elsewhere. A read that is not in memory is a
 * call like any other, with its own messages.
 */
export interface CacheMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /**
   * What happened. `dropped`: replies have ended: no call gets them any more. `unavailable`: nothing is kept of what the primary answers,
   * until it is `ready`; told again when the reason changes. `closed`: the client was closed; these are its last figures.
   */
  readonly event: "dropped" | "unavailable" | "ready" | "closed";
  /** The address of the primary as `host:port`, as announced; undefined for `closed`. */
  readonly address: string | undefined;
  /** For `dropped` and `unavailable`, why; otherwise undefined. `invalidated` and `evicted` are as in `CacheMetrics`. */
  readonly reason: "invalidated" | "evicted" | CacheLossReason | undefined;
  /** For `dropped`, the number of replies; otherwise 0. */
  readonly count: number;
  /** For `closed`, the figures of `metrics().cache`; otherwise undefined. */
  readonly figures: CacheMetrics | undefined;
}
