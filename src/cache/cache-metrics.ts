import type { NotCacheable } from "../commands/cacheable.ts";
import { countIn } from "../telemetry/counters.ts";

/** Why a call of a cached view was sent the ordinary way. */
export type PassReason =
  | NotCacheable
  /** The primary's connections for the cache are not open: see `unavailable`. */
  | "not-ready"
  /** The slot has no owner. */
  | "no-owner"
  /** A call of this client is under way that may write one of the keys. */
  | "write-under-way"
  /** The server answered with an error, which is decided on as any other. */
  | "refused"
  /** The connection that reads was lost, or silent. */
  | "lost"
  /** The node does not tell of the slot's departure. */
  | "no-canary"
  /** So many calls wait already, or so many bytes. */
  | "full";

/** What is kept in memory: plain data, a copy. */
export interface CacheMetrics {
  /** The number of replies that are kept. */
  readonly entries: number;
  /** About as many bytes as they take. */
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
  /** The number of replies that made room for others. */
  readonly evicted: number;
  /**
   * The number of replies that were given up otherwise, by reason: `own-write`, `derived-key`, `expired`, `replaced`,
   * `too-large`, `connection-lost`, `silent`, `cluster-down`, `refused`, `moved`, `slot-left`, `topology`, `flushed` or
   * `renewed`.
   */
  readonly dropped: Readonly<Record<string, number>>;
  /** The primaries of which nothing is kept now, each with the reason in a server's or a socket's words. */
  readonly unavailable: readonly { readonly address: string; readonly reason: string }[];
}

/** What a cache counts itself. */
export class CacheCounters {
  hits = 0;
  misses = 0;
  shared = 0;
  readonly passed: Record<string, number> = {};

  notePassed(why: PassReason): void {
    countIn(this.passed, why);
  }
}
