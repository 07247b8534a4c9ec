import { plainMessageOf } from "./errors/particulars.ts";
import { type Outcome, recognise, SlotwireError } from "./errors/slotwire-error.ts";

export { type Particulars, withOutcome, withParticulars } from "./errors/particulars.ts";
export { type ErrorCode, type Outcome, SlotwireError } from "./errors/slotwire-error.ts";

/** The script that failed and, if the server named a line, the place of the failure. */
export interface ScriptPlace {
  /** The script's name. */
  readonly script: string;
  /** The file that contains the line, if the script came from a file. */
  readonly file?: string | undefined;
  /** The line number, counted from 1, in `file`, or in the source if there is no file. */
  readonly line?: number;
  /** The line's text. */
  readonly sourceLine?: string;
}

/**
 * The server or the script answered with an error. `outcome` is usually `executed`: the call ran, perhaps in part, and
 * its writes stay. `outcome` is `not-executed` when the reply proves that nothing ran, such as NOPERM, a wrong number
 * of arguments, or a transaction that was refused.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
 */
export class ReplyError extends SlotwireError {
  readonly code = "REPLY";
  /** The server's error text, unchanged. It can quote arguments of the call. */
  readonly reply: string;
  /** The script's name; undefined when no script was run. */
  readonly script: string | undefined;
  /**
   * The number of the line at which the script failed, counted from 1, in `file`, or in the source if there is no file.
   * Undefined when the server named no line.
   */
  readonly line: number | undefined;
  /** The line's text, without surrounding spaces; a long line is cut. Undefined when the server named no line. */
  readonly sourceLine: string | undefined;
  /**
   * The file that contains the line: the script's own file or an included one. Undefined for a script without a file.
   */
  readonly file: string | undefined;

  constructor(reply: string, outcome: Outcome = "executed", place?: ScriptPlace, cause?: unknown) {
    const more = place === undefined ? adviceFor(reply) : textOf(place);
    super(more === undefined ? reply : `${reply} (${more})`, outcome, cause);
    this.reply = reply;
    this.script = place?.script;
    this.line = place?.line;
    this.sourceLine = place?.sourceLine;
    this.file = place?.file;
  }
}

/** Explanations that are added to errors whose text says too little, by the complete text. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  [
    "ERR This instance has cluster support disabled",
    "a single server without cluster mode: it owns every slot, and has no CLUSTER commands",
  ],
]);

/** In front of the arguments, which the servers quote. */
const NO_SHARDED_CHANNELS = /^ERR unknown command [`']S(SUBSCRIBE|PUBLISH)[`']/i;

function adviceFor(reply: string): string | undefined {
  if (NO_SHARDED_CHANNELS.test(reply)) return "sharded channels need Redis 7.0 or later, or Valkey";
  return ADVICE.get(reply);
}

function textOf({ script, file, line, sourceLine }: ScriptPlace): string {
  if (line === undefined) return `script "${script}"`;
  return `script "${script}", ${file === undefined ? `line ${line}` : `${file}:${line}`}: ${sourceLine}`;
}

/**
 * The keys of one call are in more than one slot. Nothing was sent.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */
export class CrossSlotError extends SlotwireError {
  readonly code = "CROSSSLOT";
  /** The keys of the call, each with its slot. */
  readonly keys: readonly {
    /** The key as text, also if it was given as bytes or as a number. */
    readonly key: string;
    /** The key's slot, 0 to 16383. */
    readonly slot: number;
  }[];

  constructor(keys: readonly { readonly key: string; readonly slot: number }[]) {
    super(
      `Keys of one call must be in one slot; these are not: ${listOf(keys)}. A common hash tag, as in "{user:1}:a" and "{user:1}:b", puts keys in one slot.`,
      "not-executed",
    );
    this.keys = keys;
  }
}

const MAX_KEYS_SHOWN = 8;
const MAX_KEY_LENGTH = 60;

/** Lists the keys with their slots. If there are many keys, only the first key of each slot is listed. */
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

/** An option, a key or an argument is not valid. The message says what is accepted. Nothing was sent. */
export class InvalidArgumentError extends SlotwireError {
  readonly code = "INVALID_ARGUMENT";

  constructor(message: string) {
    super(message, "not-executed");
  }
}

/**
 * Where a call was when its time was up.
 *
 * - `queued`: the last attempt was not written: the call waited for its turn, or for a connection.
 * - `refused`: the last answer was a refusal, and the call waited for its next attempt.
 * - `sent`: the call was written and not answered, by a node that answers others, as far as is known.
 * - `node-silent`: the call was written to a node that answers nobody. If it runs a script and says so on another
 *   connection (BUSY), that is the `cause`.
 */
export type Waited = "queued" | "refused" | "sent" | "node-silent";

/**
 * The call was not answered within `commandTimeout` or `timeout`. `outcome` is `unknown` when the call was sent and may
 * be running. `outcome` is `not-executed` when the call was not sent, or when its last answer was a refusal; the
 * refusal is then the `cause`.
 */
export class DeadlineError extends SlotwireError {
  readonly code = "DEADLINE";
  /** The time that the call was given, in milliseconds. */
  readonly timeoutMs: number;
  /** Why the time did not suffice: where the call was when it was up. */
  readonly waited: Waited;

  constructor(timeoutMs: number, outcome: Outcome, cause?: unknown, waited = usualWaited(outcome, cause)) {
    const state = outcome === "unknown" ? "it was sent and may have run" : "it did not run";
    const isSilent = waited === "node-silent";
    const why = isSilent ? ", and its node answers nobody" : waited === "queued" ? QUEUED[outcome] : "";
    const whose = isSilent ? "on another connection it says" : "the last answer was";
    const said = cause instanceof ReplyError ? `; ${whose}: ${plainMessageOf(cause)}` : ".";
    super(`The call was not answered within ${timeoutMs} ms; ${state}${why}${said}`, outcome, cause);
    this.timeoutMs = timeoutMs;
    this.waited = waited;
  }
}

/** What the message of a `DeadlineError` says of a call that was queued. */
const QUEUED: Readonly<Record<Outcome, string>> = {
  "not-executed": " because it was still queued",
  unknown: ", and was queued to be sent again",
  executed: "",
};

function usualWaited(outcome: Outcome, cause: unknown): Waited {
  if (cause instanceof ReplyError) return "refused";
  return outcome === "not-executed" ? "queued" : "sent";
}

/**
 * The call's `signal` was aborted. `cause` is the signal's reason. `outcome` is `not-executed` if no byte of the call
 * was sent, otherwise `unknown`.
 */
export class AbortedError extends SlotwireError {
  readonly code = "ABORTED";

  constructor(outcome: Outcome, reason: unknown) {
    super("The call was aborted by its signal.", outcome, reason);
  }
}

/**
 * The connection was lost while the call was in flight. `outcome` is `unknown`, because a server can run a call whose
 * connection is gone. `cause` is the socket's error, if there was one.
 */
export class ConnectionLostError extends SlotwireError {
  readonly code = "CONNECTION_LOST";
  /** The node's address as `host:port`, as the cluster announces it. */
  declare readonly address: string;

  constructor(address: string, outcome: Outcome, cause?: unknown) {
    super(`The connection to ${address} was lost${reasonOf(cause)}.`, outcome, cause);
    this.address = address;
  }
}

/** One attempt of a call that was followed by another one. */
export interface Hop {
  /** The address of the node that was asked. */
  readonly address: string;
  /** The first word of the node's answer, such as `MOVED`, `ASK` or `NOSCRIPT`; `LOST` if the connection was lost. */
  readonly answer: string;
}

/** The call met more redirections (MOVED and ASK together) than `maxRedirections` allows. */
export class RedirectionsError extends SlotwireError {
  readonly code = "REDIRECTIONS";
  /** The nodes that were asked, in order, with their answers. */
  readonly trail: readonly Hop[];

  constructor(maxRedirections: number, trail: readonly Hop[], outcome: Outcome = "not-executed") {
    const path = trail.map(({ address, answer }) => `${address} (${answer})`).join(" -> ");
    super(`More than ${maxRedirections} redirections: ${path}.`, outcome);
    this.trail = trail;
  }
}

/** So many causes are told in the text of an UnavailableError. */
const MOST_REASONS = 20;

/** No node serves the slot, or no node can be reached. The last attempt of the call was never written to a socket. */
export class UnavailableError extends SlotwireError {
  readonly code = "UNAVAILABLE";
  /**
   * For each node that was tried, by address: the reason why it could not serve the call. Where a slot has no owner, also
   * `topology.leftOut`, by entry. The message names the first 20 of them.
   */
  readonly causes: ReadonlyMap<string, unknown>;

  /** @param advice  A sentence that says what the user can do, if there is anything to do. */
  constructor(
    what: string,
    causes: ReadonlyMap<string, unknown> = new Map(),
    outcome: Outcome = "not-executed",
    advice?: string,
  ) {
    const reasons: string[] = [];
    for (const [address, cause] of causes) {
      if (reasons.length === MOST_REASONS) break;
      reasons.push(`${address}${reasonOf(cause)}`);
    }
    if (causes.size > MOST_REASONS) reasons.push(`and ${causes.size - MOST_REASONS} more`);
    const list = reasons.join("; ");
    const message = list === "" ? `${what}.` : `${what}: ${list}.`;
    super(advice === undefined ? message : `${message} ${advice}`, outcome, causes.values().next().value);
    this.causes = causes;
  }
}

/**
 * `maxPendingPerNode`, `maxPendingBytesPerNode` or another bound was reached. The call was not sent. The error has no
 * `address` where the call has no node: its slot has no owner, or it takes several steps.
 */
export class QueueFullError extends SlotwireError {
  readonly code = "QUEUE_FULL";
  constructor(address: string | undefined, bound: string) {
    super(`Too much is waiting for ${address ?? "nodes that are not known yet"}: ${bound}.`, "not-executed");
    if (address !== undefined) Object.assign(this, { address });
  }
}

/** The credentials are wrong, or the server refused them, or the server needs credentials and none were given. */
export class AuthError extends SlotwireError {
  readonly code = "AUTH";
  /** The address of the node that refused, as the cluster announces it. */
  declare readonly address: string;

  constructor(address: string, reply: string, cause?: unknown) {
    super(`${address} ${refusalOf(reply)}: ${reply}`, "not-executed", cause);
    this.address = address;
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
 * The server sent bytes that are not a valid reply, and the connection was closed. Also thrown, with outcome
 * `executed`, for a valid reply that is nested too deep to decode; the connection then stays open.
 */
export class ProtocolError extends SlotwireError {
  readonly code = "PROTOCOL";

  constructor(message: string, outcome: Outcome = "unknown") {
    super(message, outcome);
  }
}

/** The client is closed. `outcome` is `unknown` when the client was closed while the call was in flight. */
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

recognise(ReplyError, "ReplyError", "REPLY");
recognise(CrossSlotError, "CrossSlotError", "CROSSSLOT");
recognise(InvalidArgumentError, "InvalidArgumentError", "INVALID_ARGUMENT");
recognise(DeadlineError, "DeadlineError", "DEADLINE");
recognise(AbortedError, "AbortedError", "ABORTED");
recognise(ConnectionLostError, "ConnectionLostError", "CONNECTION_LOST");
recognise(RedirectionsError, "RedirectionsError", "REDIRECTIONS");
recognise(UnavailableError, "UnavailableError", "UNAVAILABLE");
recognise(QueueFullError, "QueueFullError", "QUEUE_FULL");
recognise(AuthError, "AuthError", "AUTH");
recognise(ProtocolError, "ProtocolError", "PROTOCOL");
recognise(ClosedError, "ClosedError", "CLOSED");
