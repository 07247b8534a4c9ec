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
  /** The server answered with an error, after which the call is sent again, as every call. */
  | "refused"
  /** The connection that reads was lost, or silent. */
  | "lost"
  /** The node does not tell of the slot's departure. */
  | "no-canary"
  /** So many calls wait already, or so many bytes. */
  | "full";

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
