/**
 * Whether the server ran the call:
 * `not-executed` (proven), `executed` (it ran, perhaps in part), or `unknown` (it may have run, or may still).
 */
export type Outcome = "not-executed" | "unknown" | "executed";

/** Every `code` an error of slotwire can carry. They are stable: compare these, not messages. */
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

/** What every error of slotwire extends. Messages name nodes, slots and scripts, never arguments or credentials. */
export abstract class SlotwireError extends Error {
  /** Which failure it is, for programs: stable, unlike the message. */
  abstract readonly code: ErrorCode;
  /** Whether the server ran the call. */
  readonly outcome: Outcome;

  constructor(message: string, outcome: Outcome, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.outcome = outcome;
  }

  /** The name of the class. */
  override get name(): string {
    return this.constructor.name;
  }
}

/** The same error of a call that ran in parts, or on many nodes: `outcome` is that of the whole. */
export function withOutcome<E extends SlotwireError>(error: E, outcome: Outcome): E {
  if (error.outcome === outcome) return error;
  const where = outcome === "executed" ? "elsewhere it ran" : "elsewhere it may have run";
  return Object.create(Object.getPrototypeOf(error), {
    ...Object.getOwnPropertyDescriptors(error),
    message: { value: `${error.message} (a part of the whole; ${where})`, writable: true, configurable: true },
    outcome: { value: outcome, enumerable: true, writable: true, configurable: true },
  });
}

/** The script that failed and, when the server named a line, where. */
export interface ScriptPlace {
  /** The script's name. */
  readonly script: string;
  /** The file that the line is in, for a script that came from a file. */
  readonly file?: string | undefined;
  /** From 1, in the file, or in the source without one. */
  readonly line?: number;
  /** That line's text. */
  readonly sourceLine?: string;
}

/**
 * The server or the script answered with an error. `outcome` is `executed` (it ran, perhaps in part, and what it wrote
 * stays), unless the reply proves that nothing ran: NOPERM, a wrong number of arguments, a transaction that was refused.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
 */
export class ReplyError extends SlotwireError {
  readonly code = "REPLY";
  /** The server's text, untouched. */
  readonly reply: string;
  /** The script's name, when a script was run. */
  readonly script: string | undefined;
  /** The line where the script failed, from 1, when the server named one: in `file`, or in the source without a file. */
  readonly line: number | undefined;
  /** That line's text, without the spaces around it; long ones are cut. */
  readonly sourceLine: string | undefined;
  /** The file that the line is in, for a script that came from a file: the script's own, or one that it includes. */
  readonly file: string | undefined;

  constructor(reply: string, outcome: Outcome = "executed", place?: ScriptPlace, cause?: unknown) {
    const more = place === undefined ? ADVICE.get(reply) : textOf(place);
    super(more === undefined ? reply : `${reply} (${more})`, outcome, cause);
    this.reply = reply;
    this.script = place?.script;
    this.line = place?.line;
    this.sourceLine = place?.sourceLine;
    this.file = place?.file;
  }
}

/** What the servers' words leave open, by the whole text. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  [
    "ERR This instance has cluster support disabled",
    "a single server without cluster mode: it owns every slot, and has no CLUSTER commands",
  ],
]);

function textOf({ script, file, line, sourceLine }: ScriptPlace): string {
  if (line === undefined) return `script "${script}"`;
  return `script "${script}", ${file === undefined ? `line ${line}` : `${file}:${line}`}: ${sourceLine}`;
}

/**
 * Keys of more than one slot in one call. Nothing was sent.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */
export class CrossSlotError extends SlotwireError {
  readonly code = "CROSSSLOT";
  /** The keys as given, each with its slot. */
  readonly keys: readonly {
    /** As text, whatever was given. */
    readonly key: string;
    /** 0 to 16383. */
    readonly slot: number;
  }[];

  constructor(keys: readonly { readonly key: string; readonly slot: number }[]) {
    super(
      `Keys of one call must be in one slot, these are not: ${listOf(keys)}. A common hash tag, as in "{user:1}:a" and "{user:1}:b", puts keys in one slot.`,
      "not-executed",
    );
    this.keys = keys;
  }
}

const MAX_KEYS_SHOWN = 8;
const MAX_KEY_LENGTH = 60;

/** Of many keys, one of each slot: those show where they part. */
function listOf(keys: CrossSlotError["keys"]): string {
  const apart = new Map(keys.toReversed().map((key) => [key.slot, key]));
  const shown = keys.length <= MAX_KEYS_SHOWN ? keys : [...apart.values()].reverse().slice(0, MAX_KEYS_SHOWN);
  const list = shown.map(({ key, slot }) => {
    const text = key.length > MAX_KEY_LENGTH ? `${key.slice(0, MAX_KEY_LENGTH)}…` : key;
    return `${JSON.stringify(text)} (slot ${slot})`;
  });
  const more = keys.length - shown.length;
  return more === 0 ? list.join(", ") : `${list.join(", ")} and ${more} more`;
}

/** An option, key or argument of the wrong kind. Nothing was sent. */
export class InvalidArgumentError extends SlotwireError {
  readonly code = "INVALID_ARGUMENT";

  constructor(message: string) {
    super(message, "not-executed");
  }
}

/**
 * `commandTimeout` or `timeout` passed. `outcome` is `unknown` when the call was sent and may be running, and
 * `not-executed` when the last answer was a refusal, which is the `cause` then.
 */
export class DeadlineError extends SlotwireError {
  readonly code = "DEADLINE";
  /** The call's allowance in milliseconds. */
  readonly timeoutMs: number;

  constructor(timeoutMs: number, outcome: Outcome, cause?: unknown) {
    const state = outcome === "unknown" ? "it was sent and may have run" : "it did not run";
    const refusal = cause instanceof ReplyError ? `; the last answer was: ${cause.message}` : ".";
    super(`The call was not answered within ${timeoutMs} ms; ${state}${refusal}`, outcome, cause);
    this.timeoutMs = timeoutMs;
  }
}

/**
 * The call's `signal` was aborted; `cause` is the signal's reason. `outcome` is `not-executed` before a byte was sent,
 * `unknown` behind that.
 */
export class AbortedError extends SlotwireError {
  readonly code = "ABORTED";

  constructor(outcome: Outcome, reason: unknown) {
    super("The call was aborted by its signal.", outcome, reason);
  }
}

/**
 * The connection went away while the call was in flight. `outcome` is `unknown`: a server can run what it was sent when
 * nobody waits any more. `cause` is the socket's error, if there was one.
 */
export class ConnectionLostError extends SlotwireError {
  readonly code = "CONNECTION_LOST";
  /** The node, as the cluster announces it. */
  readonly address: string;

  constructor(address: string, outcome: Outcome, cause?: unknown) {
    super(`The connection to ${address} was lost${reasonOf(cause)}.`, outcome, cause);
    this.address = address;
  }
}

/** One thing that happened to a call before its last attempt. */
export interface Hop {
  /** The node that was asked. */
  readonly address: string;
  /** What it answered: `MOVED`, `ASK`, `NOSCRIPT`, ... or `LOST` when the connection went. */
  readonly answer: string;
}

/** `maxRedirections` was reached, by MOVED and ASK together. */
export class RedirectionsError extends SlotwireError {
  readonly code = "REDIRECTIONS";
  /** The nodes asked, in order, with their answers. */
  readonly trail: readonly Hop[];

  constructor(maxRedirections: number, trail: readonly Hop[], outcome: Outcome = "not-executed") {
    const path = trail.map(({ address, answer }) => `${address} (${answer})`).join(" -> ");
    super(`More than ${maxRedirections} redirections: ${path}.`, outcome);
    this.trail = trail;
  }
}

/** Nobody serves the slot, or no node can be reached. The present attempt was never written to a socket. */
export class UnavailableError extends SlotwireError {
  readonly code = "UNAVAILABLE";
  /** Why each node that was tried could not help, by address. */
  readonly causes: ReadonlyMap<string, unknown>;

  /** @param advice  A sentence on what can be done about it, if there is one. */
  constructor(
    what: string,
    causes: ReadonlyMap<string, unknown> = new Map(),
    outcome: Outcome = "not-executed",
    advice?: string,
  ) {
    const list = [...causes].map(([address, cause]) => `${address}${reasonOf(cause)}`).join("; ");
    const message = list === "" ? `${what}.` : `${what}: ${list}.`;
    super(advice === undefined ? message : `${message} ${advice}`, outcome, [...causes.values()][0]);
    this.causes = causes;
  }
}

/** A bound on pending calls or bytes was reached. The call was not sent. */
export class QueueFullError extends SlotwireError {
  readonly code = "QUEUE_FULL";

  constructor(address: string, bound: string) {
    super(`Too much is waiting for ${address}: ${bound}.`, "not-executed");
  }
}

/** Wrong or refused credentials, or none where some are needed. */
export class AuthError extends SlotwireError {
  readonly code = "AUTH";

  constructor(address: string, reply: string, cause?: unknown) {
    super(`${address} ${refusalOf(reply)}: ${reply}`, "not-executed", cause);
  }
}

function refusalOf(reply: string): string {
  if (reply.startsWith("NOAUTH ")) {
    return "needs a password, and none was given (`password`, with `username` for an ACL user, or `credentials`)";
  }
  const needsNone = /without any password configured|no password is set/.test(reply);
  return needsNone ? "has no password, and one was given without a username" : "refused the credentials";
}

/**
 * Bytes that are no valid reply, and the connection they came from is gone. Also, with outcome `executed`, a valid reply
 * that is nested too deep to decode; the connection stays.
 */
export class ProtocolError extends SlotwireError {
  readonly code = "PROTOCOL";

  constructor(message: string, outcome: Outcome = "unknown") {
    super(message, outcome);
  }
}

/** The client was closed. */
export class ClosedError extends SlotwireError {
  readonly code = "CLOSED";

  constructor(outcome: Outcome = "not-executed") {
    super(
      outcome === "unknown" ? "The client was closed while the call was in flight." : "The client is closed.",
      outcome,
    );
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === "") return ` (${cause.errors.map(String).join(", ")})`;
  return cause instanceof Error ? ` (${cause.message})` : "";
}
