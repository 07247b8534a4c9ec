import type { Lane } from "../connection/lane.ts";
import type { ReplyError } from "../errors.ts";
import { isLoadDenied, parseErrorReply } from "../protocol/error-reply.ts";

/**
 * The client's belief about one script on one node.
 *
 *   (absent) --load queued--> loading --its SHA-1 comes back--> held
 *                                '------ an error comes back --> failed      connection lost while loading --> (absent)
 *
 * Stamps order loads and calls. A call that was queued before the newest load and is answered NOSCRIPT says nothing about
 * the script now. On the load's lane such a call has a lower stamp than `queued`, on any other lane a lower one than
 * `effective`.
 */
export type ScriptState = Loading | Held | Failed;

export interface Loading {
  readonly kind: "loading";
  /** The lane that the load was queued on. Undefined while a connection is prepared that no lane uses yet. */
  readonly lane: Lane | undefined;
  readonly queued: number;
  /** Resolves when the load has ended, in success or not. */
  readonly done: Promise<void>;
  /** Why the load before this one failed, if it did. It stays the last news until this load ends. */
  readonly earlier: ReplyError | undefined;
}

export interface Held {
  readonly kind: "held";
  readonly lane: Lane | undefined;
  readonly queued: number;
  readonly effective: number;
}

export interface Failed {
  readonly kind: "failed";
  readonly cause: ReplyError;
  /** Neither SCRIPT LOAD nor EVAL is allowed. */
  readonly final: boolean;
}

/** The belief when no load is under way. Undefined where the node may or may not have the script. */
export type LoadEnd = Held | Failed | undefined;

/** How a load ended. */
export type LoadOutcome =
  | "held"
  /** The node may or may not have it: the belief is as if the load had never been tried. */
  | "lost"
  | { readonly cause: ReplyError; readonly final: boolean };

/** From this stamp on, calls on `lane` were queued when the node held the script. */
export function heldSince({ lane: loadedOn, queued, effective }: Held, lane: Lane | undefined): number {
  return loadedOn === lane ? queued : effective;
}

/**
 * Whether the node refused a load for a reason that has nothing to do with the script or the user, and that may pass: it
 * has no memory or may not write now, it is busy or loads its data, or it has just become a replica.
 */
export function isPassing(cause: ReplyError): boolean {
  return PASSING.test(cause.reply) || passesSoon(cause);
}

/** Whether the refusal is one that a call is repeated after, until its deadline. */
export function passesSoon({ reply }: ReplyError): boolean {
  return PASSING_SOON.has(parseErrorReply(reply).kind);
}

const PASSING = /^(OOM|MISCONF|NOREPLICAS) /;
const PASSING_SOON: ReadonlySet<string> = new Set(["busy", "loading", "masterdown", "clusterdown", "readonly"]);

/** Whether the node refuses every SCRIPT LOAD, whatever the script. */
export function isDenied(cause: ReplyError): boolean {
  return isLoadDenied(cause.reply);
}
