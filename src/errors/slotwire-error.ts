/**
 * Whether the server ran the call. `not-executed`: it is proven that the call did not run. `executed`: the call ran,
 * perhaps only in part. `unknown`: the call may have run, or may still run later.
 */
export type Outcome = "not-executed" | "unknown" | "executed";

/** The `code` of an error. Codes are stable and messages are not, so compare codes. */
export type ErrorCode =
  | "REPLY"
  | "CROSSSLOT"
  | "INVALID_ARGUMENT"
  | "DEADLINE"
  | "ABORTED"
  | "CONNECTION_LOST"
  | "REDIRECTIONS"
  | "UNAVAILABLE"
  | "QUEUE_FULL"
  | "AUTH"
  | "PROTOCOL"
  | "CLOSED";

/** Marks the errors of every copy of slotwire that is installed. */
const BRAND = Symbol.for("slotwire.error");
/** The code of each class of errors. Another copy's error of the same code is an instance of the class. */
const codes = new WeakMap<object, ErrorCode>();

/**
 * The base class of every error that slotwire throws. slotwire's own words name commands, nodes, slots and scripts,
 * never arguments or credentials. `instanceof` also recognises the errors of another installed copy of slotwire.
 */
export abstract class SlotwireError extends Error {
  /** Identifies the kind of failure. Stable across versions, unlike the message. */
  abstract readonly code: ErrorCode;
  /** Whether the server ran the call. */
  readonly outcome: Outcome;
  /** The name of the call's command in capitals, or the name of its script. Undefined when no call failed. */
  declare readonly command?: string;
  /** The last node that was asked, as `host:port`, as the cluster announces it. Undefined when there is none. */
  declare readonly address?: string;
  /** The call's slot, 0 to 16383. Undefined when the call has no keys. */
  declare readonly slot?: number;

  constructor(message: string, outcome: Outcome, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.outcome = outcome;
  }

  /** The name of the class, also where a bundler has given the class another one. */
  declare readonly name: string;
}
Object.defineProperty(SlotwireError.prototype, BRAND, { value: true });
Object.defineProperty(SlotwireError, Symbol.hasInstance, { value: isInstance });

/** `instanceof` for every class of errors: also for the errors of another copy of slotwire, by their code. */
function isInstance(this: abstract new (...args: never[]) => unknown, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
  if (typeof value !== "object" || value === null || !(BRAND in value)) return false;
  return this === SlotwireError || ("code" in value && codes.get(this) === value.code);
}

/**
 * Names the errors of a class, and lets its `instanceof` recognise the errors of the same code that another copy of
 * slotwire made.
 */
export function recognise(
  errors: abstract new (...args: never[]) => SlotwireError,
  name: string,
  code: ErrorCode,
): void {
  Object.defineProperty(errors.prototype, "name", { value: name, configurable: true, writable: true });
  codes.set(errors, code);
}
