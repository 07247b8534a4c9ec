import { InvalidArgumentError } from "../errors.ts";
import { readFrom, wholeNumber } from "../options.ts";
import { kindOf } from "../protocol/encode.ts";
import type { HedgeTerms, ReadFrom } from "../routing/call.ts";
import { type HedgeOptions, hedgeTerms } from "./hedge-options.ts";

/** Defaults for calls, or for one call. */
export interface CallOptions {
  /**
   * The time limit of the whole call in milliseconds, in place of `commandTimeout`; 0 for no limit.
   * @default the `timeout` of the view, or else `commandTimeout`
   */
  readonly timeout?: number | undefined;
  /**
   * Rejects the call with `ABORTED` when the signal is aborted.
   * @default the `signal` of the view, or else no signal
   */
  readonly signal?: AbortSignal | undefined;
}

/** How strings of replies are given. */
export type StringsAs = "string" | "buffer";

/** The type of strings in a view whose option `replies` is `R`; without it as in the view that `with` is called of. */
export type StringsOf<R extends StringsAs | undefined, S extends string | Buffer> = R extends "buffer"
  ? Buffer
  : R extends "string"
    ? string
    : S;

/** The place of a property that is none: it marks, for the compiler alone, what a view makes with the type of its strings. */
export declare const stringsOf: unique symbol;

/** The options of `with`. */
export interface ViewOptions<R extends StringsAs | undefined = StringsAs | undefined> extends CallOptions {
  /**
   * Strings of replies as UTF-8 text or as Buffers, in place of the script's own `replies`.
   * @default the script's own `replies`, and text for commands
   */
  readonly replies?: R | undefined;
  /**
   * Where read-only scripts and commands may run.
   * @default the `readFrom` of the view, or else of `connect`
   */
  readonly readFrom?: ReadFrom | undefined;
  /**
   * A read-only call of `run` or `command` that has no answer in time is sent once more, to another node that `readFrom`
   * allows. It needs a `readFrom` other than `"primary"`. `false`: none is sent twice.
   * @default the `hedge` of the view, or else none; `readFrom: "primary"` needs `false` where the view has one
   */
  readonly hedge?: HedgeOptions | false | undefined;
  /**
   * Whether read-only scripts and commands are answered from memory, where the option `cache` of `connect` is set. Their
   * replies are deeply frozen.
   * @default the `cached` of the view, or else `false`
   */
  readonly cached?: boolean | undefined;
}

/** The settings of a view, for all its calls. */
export interface ViewSettings {
  /** The time limit of a whole call in milliseconds; 0 for no limit. */
  readonly timeoutMs: number;
  /**
   * `timeoutMs` comes from `with`. Then it also limits calls that block, and operations that have no limit otherwise.
   */
  readonly hasOwnTimeout?: boolean;
  readonly signal: AbortSignal | undefined;
  /** Undefined: the script's own `replies`. */
  readonly replies: "string" | "buffer" | undefined;
  readonly readFrom: ReadFrom;
  /** Never beside `readFrom: "primary"`. */
  readonly hedge?: HedgeTerms | undefined;
  /** @default false */
  readonly cached?: boolean;
}

/**
 * A view with other defaults than `base`.
 * @throws {InvalidArgumentError} naming the option.
 */
export function viewOf(options: ViewOptions, base: ViewSettings, hasCache: boolean): ViewSettings {
  checkOptions("with", options, ["timeout", "signal", "replies", "readFrom", "hedge", "cached"]);
  const { timeout, signal, replies, cached } = options;
  if (replies !== undefined && replies !== "string" && replies !== "buffer") {
    throw new InvalidArgumentError(`with: replies is ${kindOf(replies)}; accepted are "string" and "buffer".`);
  }
  if (cached !== undefined && typeof cached !== "boolean") {
    throw new InvalidArgumentError(`with: cached is ${kindOf(cached)}; accepted are true and false.`);
  }
  if (cached && !hasCache) {
    throw new InvalidArgumentError("with: cached is true, but connect was not given the option cache.");
  }
  checkSignal(signal);
  const from = readFrom("with", options.readFrom) ?? base.readFrom;
  return {
    timeoutMs: timeout === undefined ? base.timeoutMs : checkTimeout(timeout),
    hasOwnTimeout: timeout !== undefined || base.hasOwnTimeout === true,
    signal: signal ?? base.signal,
    replies: replies ?? base.replies,
    readFrom: from,
    hedge: hedgeTerms(options.hedge, from, base.hedge),
    cached: cached ?? base.cached === true,
  };
}

/** @throws {InvalidArgumentError} for options of one call that are not accepted. */
export function checkCallOptions(options: CallOptions): void {
  checkOptions("run", options, ["timeout", "signal"]);
  if (options.timeout !== undefined) checkTimeout(options.timeout);
  checkSignal(options.signal);
}

/** @throws {InvalidArgumentError} when `timeout` is no number of milliseconds. */
export function checkTimeout(timeout: number): number {
  return wholeNumber("timeout", timeout, { fallback: 0, least: 0, most: 2 ** 31 - 1 });
}

/** @throws {InvalidArgumentError} when `options` is no object, or has an option that is not accepted. */
export function checkOptions(where: string, options: unknown, accepted: readonly string[]): void {
  const list = accepted.join(", ");
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError(`${where}: the options are ${kindOf(options)}; accepted is an object with ${list}.`);
  }
  for (const option of Object.keys(options)) {
    if (!accepted.includes(option)) {
      throw new InvalidArgumentError(`${where}: there is no option "${option}"; accepted are ${list}.`);
    }
  }
}

/** @throws {InvalidArgumentError} when `signal` is neither an AbortSignal nor undefined. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError(`signal is ${kindOf(signal)}; accepted is an AbortSignal.`);
  }
}
