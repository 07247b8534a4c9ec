import { kindOf } from "../protocol/encode.ts";
import { invalid, isPlainObject } from "./invalid.ts";

/** The option `cache` of `connect`. */
export interface CacheOptions {
  /**
   * The most bytes that cached replies may take, as far as the client can count them. Entries that were not read for
   * longest make room. A reply that is larger by itself is not kept.
   * @default 33554432
   */
  readonly maxBytes?: number | undefined;
  /**
   * Milliseconds: a reply from memory was current at the primary at some moment within this time. While replies are
   * kept, the client asks each primary four times in this time whether they still are.
   * @default 1000
   */
  readonly maxStaleness?: number | undefined;
  /**
   * Milliseconds after which a cached reply is asked for again in any case.
   * @default 60000
   */
  readonly maxAge?: number | undefined;
}

/** `CacheOptions` with all defaults filled in. */
export type ResolvedCacheOptions = { readonly [name in keyof CacheOptions]-?: number };

const CHECKS: {
  readonly [name in keyof CacheOptions]-?: { readonly fallback: number; readonly least: number; readonly most: number };
} = {
  maxBytes: { fallback: 32 * 1024 * 1024, least: 1, most: Number.MAX_SAFE_INTEGER },
  maxStaleness: { fallback: 1000, least: 10, most: 2 ** 31 - 1 },
  maxAge: { fallback: 60_000, least: 1, most: 2 ** 31 - 1 },
};

/** Checks the option `cache`. Undefined when it is not given. */
export function readCache(cache: unknown): ResolvedCacheOptions | undefined {
  if (cache === undefined) return undefined;
  const names = Object.keys(CHECKS).join(", ");
  if (!isPlainObject(cache)) throw invalid(`cache is ${kindOf(cache)}; accepted is an object with ${names}`);
  for (const name of Object.keys(cache)) {
    if (!Object.hasOwn(CHECKS, name)) throw invalid(`cache has no ${name}; accepted are ${names}`);
  }
  const read = (name: keyof CacheOptions): number => {
    const { fallback, least, most } = CHECKS[name];
    const value: unknown = (cache as CacheOptions)[name];
    if (value === undefined) return fallback;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    const shown = typeof value === "number" ? String(value) : kindOf(value);
    throw invalid(`cache.${name} is ${shown}; accepted is a whole number from ${least} to ${most}`);
  };
  return Object.freeze({ maxBytes: read("maxBytes"), maxStaleness: read("maxStaleness"), maxAge: read("maxAge") });
}
