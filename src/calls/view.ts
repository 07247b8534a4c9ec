import { InvalidArgumentError } from "../errors.ts";
import { readFrom, wholeNumber } from "../options.ts";
import { kindOf } from "../protocol/encode.ts";
import type { ReadFrom } from "../routing/call.ts";

/** Defaults for calls, or for one call. */
export interface CallOptions {
  /**
   * The call's whole life in milliseconds, 0 for none, in place of `commandTimeout`.
   * @default that of the view, and `commandTimeout` without one
   */
  readonly timeout?: number | undefined;
  /**
   * Rejects the call with `ABORTED` when it is aborted.
   * @default that of the view, and none without one
   */
  readonly signal?: AbortSignal | undefined;
}

/** What `with` takes. */
export interface ViewOptions extends CallOptions {
  /**
   * Strings of replies as UTF-8 text or as Buffers, in place of what the script says.
   * @default what the script says, and text for commands
   */
  readonly replies?: "string" | "buffer" | undefined;
  /**
   * Where read-only scripts and commands may run.
   * @default that of the view, or of `connect`
   */
  readonly readFrom?: ReadFrom | undefined;
}

/** What a view decides for its calls. */
export interface ViewSettings {
  /** A call's whole life in milliseconds, 0 for none. */
  readonly timeoutMs: number;
  /** `timeoutMs` was asked for by `with`: it is also for calls that block, and for whatever else has no deadline. */
  readonly hasOwnTimeout?: boolean;
  readonly signal: AbortSignal | undefined;
  /** Undefined: what the script says. */
  readonly replies: "string" | "buffer" | undefined;
  readonly readFrom: ReadFrom;
}

/**
 * A view with other defaults than `base`.
 * @throws {InvalidArgumentError} naming the option.
 */
export function viewOf(options: ViewOptions, base: ViewSettings): ViewSettings {
  checkOptions("with", options, ["timeout", "signal", "replies", "readFrom"]);
  const { timeout, signal, replies } = options;
  if (replies !== undefined && replies !== "string" && replies !== "buffer") {
    throw new InvalidArgumentError(`with: replies is ${kindOf(replies)}; accepted are "string" and "buffer".`);
  }
  checkSignal(signal);
  return {
    timeoutMs: timeout === undefined ? base.timeoutMs : checkTimeout(timeout),
    hasOwnTimeout: timeout !== undefined || base.hasOwnTimeout === true,
    signal: signal ?? base.signal,
    replies: replies ?? base.replies,
    readFrom: readFrom("with", options.readFrom) ?? base.readFrom,
  };
}

/** @throws {InvalidArgumentError} for what is no number of milliseconds. */
export function checkTimeout(timeout: number): number {
  return wholeNumber("timeout", timeout, { fallback: 0, least: 0, most: 2 ** 31 - 1 });
}

/** @throws {InvalidArgumentError} for what is no object, and for options that are not accepted. */
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

/** @throws {InvalidArgumentError} for what is no AbortSignal. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError(`signal is ${kindOf(signal)}; accepted is an AbortSignal.`);
  }
}
