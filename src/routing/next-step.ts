import type { Outcome } from "../errors.ts";
import type { Refusal } from "../protocol/error-reply.ts";
import { formatAddress, isHostThatAnswered } from "../protocol/node-address.ts";
import type { Remedy } from "../scripts/loaded-scripts.ts";
import { type NextStep, type Retry, ROWS, type RowName, type Target } from "./next-step-rows.ts";

/** Why an attempt is over, or cannot begin, without a reply for the caller. */
export type Failure =
  | { readonly kind: "refusal"; readonly refusal: Refusal }
  /** The connection was lost. `written`: bytes of the call had been handed to its socket. */
  | { readonly kind: "lost"; readonly written: boolean }
  /**
   * A redirection named a node that was not listed. The topology has been refreshed. `listed`: it lists the node now.
   */
  | { readonly kind: "looked-up"; readonly listed: boolean; readonly redirection: Retry }
  /**
   * No node is known that may serve the call. `agreed`: since the call waits, two nodes have known none, or all that can
   * be reached.
   */
  | { readonly kind: "no-node"; readonly waitedMs: number; readonly agreed: boolean }
  /** The node has given no sign of life for `unavailableAfter`, and the call was not written to it. */
  | { readonly kind: "unavailable" }
  /** The cache has given up a read that was to be kept. It is only a read, and begins again. */
  | { readonly kind: "not-kept" };

/** The facts that the decision depends on. */
export interface Situation {
  /** The call's slot, -1 for a call without keys. */
  readonly slot: number;
  /** The call runs a script from the registry, by EVALSHA. */
  readonly isScript: boolean;
  /** The call runs a function of a library from the registry, by FCALL. */
  readonly isFunction: boolean;
  /** The user has named the node that was asked. Another node may not be asked instead. */
  readonly isPinned?: boolean;
  /** The node that was asked is a replica, whose data may be behind its primary's. */
  readonly atReplica: boolean;
  /** The call runs Lua or a function, so that an error may come from the middle of it. */
  readonly runsCode: boolean;
  /** Servers check whether the code may run before they run it: a function, or a script that begins with `#!`. */
  readonly isCheckedFirst: boolean;
  /** The call may be written again when nobody knows whether it ran. */
  readonly mayRepeat: boolean;
  /** The node that was asked, as announced. */
  readonly node: { readonly host: string; readonly port: number };
  /** The number of MOVED and ASK so far, and the number that is allowed. */
  readonly redirections: number;
  readonly maxRedirections: number;
  /** The attempt had an ASKING in front of it. */
  readonly asking: boolean;
  /** The nodes that answered this call so far, including the present one. */
  readonly asked: readonly string[];
  /** How often a connection was lost with no other call on it than this one: then this call is why. */
  readonly lossesAlone: number;
  /** For MOVED and ASK: whether the topology lists a node at an address. */
  readonly isListed: (address: string) => boolean;
  /** For a missing script or function: how the node's copy can be mended. */
  readonly remedy: Remedy["kind"] | undefined;
  /** The call is a transaction that was discarded because SCRIPT LOAD is forbidden. */
  readonly loadsDenied: boolean;
  /** An earlier attempt was written and lost. */
  readonly mayHaveRun: boolean;
}

/** A reply alone can be too large for the server to send. */
const MOST_LOSSES_ALONE = 2;
/** The least time that a call waits for the owner of a slot that has none, because views can be wrong for a moment. */
const OWNERLESS_MS = 200;

/**
 * The whole policy on redirections and retries. Pure: no sockets, no clock and no random numbers.
 *
 * A call is sent again only if the reply proves that it did not run, if no byte of it was sent, or if it may run twice.
 */
export function decideNextStep(failure: Failure, situation: Situation): NextStep {
  switch (failure.kind) {
    case "refusal":
      return decideRefusal(failure.refusal, situation);
    case "lost":
      if (!failure.written) return step("lost-unwritten");
      if (!situation.mayRepeat) return step("lost");
      return step(situation.lossesAlone >= MOST_LOSSES_ALONE ? "lost-alone" : "lost-repeatable");
    case "looked-up":
      return failure.listed ? follow("redirection-listed", failure.redirection) : step("redirection-unlisted");
    case "no-node":
      if (!failure.agreed || failure.waitedMs < OWNERLESS_MS) return step("no-node-yet");
      return step(situation.mayHaveRun ? "given-up-after-loss" : "no-node");
    case "unavailable":
      if (situation.atReplica) return step("replica-unavailable");
      return step(situation.mayHaveRun ? "given-up-after-loss" : "node-unavailable");
    case "not-kept":
      return step("not-kept");
  }
}

function decideRefusal(refusal: Refusal, situation: Situation): NextStep {
  const { runsCode, isScript, isFunction, asking } = situation;
  if (situation.loadsDenied) return step("transaction-without-loads", asking);
  switch (refusal.kind) {
    case "moved":
    case "ask":
      return decideRedirection(refusal, situation);
    case "noscript":
      return isScript ? decideMissing("noscript", situation) : step("noscript-foreign");
    case "no-function":
      // Any other call can run code of its own, and that code can have made up the answer.
      if (!isFunction) return step("function-foreign");
      return situation.atReplica ? step("function-at-replica") : decideMissing("function", situation);
    case "no-functions":
      return step("functions-unknown");
    case "no-scripts":
      return step("scripts-unknown");
    case "tryagain":
    case "busy":
      // An ASK led here. The owner would only answer ASK again.
      return asking ? step(`${refusal.kind}-asking`, true) : step(refusal.kind);
    case "clusterdown":
    case "loading":
    case "masterdown":
      return step(refusal.kind);
    case "readonly":
      // READONLY can come from the middle of a script, whose first half has run then.
      if (situation.isPinned === true && !runsCode) return step("readonly-pinned");
      return step(runsCode ? "readonly-in-code" : "readonly");
    case "readonly-within":
      return step("readonly-in-code");
    case "unblocked":
      // A script cannot block, so it made up this answer.
      return step(runsCode ? "unblocked-in-code" : "unblocked");
    case "noperm":
      return step("noperm");
    case "no-read-only-variant":
      return isScript ? step("read-only-variant", asking) : step("read-only-variant-foreign");
    case "declined":
      return step(runsCode ? "other" : "declined");
    case "out-of-memory":
      if (!runsCode) return step("declined");
      return step(situation.isCheckedFirst ? "out-of-memory-at-first" : "other");
    case "other":
      return step("other");
  }
}

function decideRedirection(refusal: Extract<Refusal, { slot: number }>, situation: Situation): NextStep {
  const { node, asked } = situation;
  // A redirection for another slot does not answer this call. A script made it up.
  if (refusal.slot !== situation.slot) return step(situation.runsCode ? "other" : "redirection-foreign");
  if (situation.redirections >= situation.maxRedirections) return step("redirections-spent");
  // An empty host means the host that answered.
  const host = isHostThatAnswered(refusal.host) ? node.host : refusal.host;
  const { port } = refusal;
  const to: Target = { kind: "named", host, port };
  const address = formatAddress(to);
  const isListed = situation.isListed(address);
  if (refusal.kind === "ask") return { ...follow(isListed ? "ask-known" : "ask-unlisted", { to, asking: true }) };
  // The node names itself: another process answered, so the node's name leads elsewhere by now.
  if (host === node.host && port === node.port) return step("moved-to-itself");
  if (!isListed) return follow("moved-unlisted", { to, asking: false });
  // Nodes that send a call round in a circle do not agree yet, so they get time.
  return follow(asked.includes(address) ? "moved-in-a-circle" : "moved-known", { to, asking: false });
}

function decideMissing(kind: "noscript" | "function", { asking, remedy = "load" }: Situation): NextStep {
  // A function has no EVAL.
  return step(remedy === "eval" ? "noscript-eval" : `${kind}-${remedy}`, asking);
}

/** The step of a row whose target needs no name. */
function step(row: RowName, asking = false): NextStep {
  const entry = ROWS[row];
  if (entry.kind === "reject") {
    const { why, outcome, learned } = entry;
    return { kind: "reject", row, why, outcome, learned };
  }
  const { when, spends, learned, isApart } = entry;
  const to = entry.to === "owner" ? OWNER : SAME_NODE;
  return { kind: "retry", row, to, asking, when, spends, learned, ...(isApart && { isApart }) };
}

/** The step of a row that goes to a node that a redirection named. */
function follow(row: RowName, { to, asking }: Pick<Retry, "to" | "asking">): Retry {
  return { ...(step(row) as Retry), to, asking };
}

const OWNER: Target = { kind: "owner" };
const SAME_NODE: Target = { kind: "same-node" };

/** The facts that the end of a call's time depends on. */
export interface Expiry {
  /** The call has a deadline. A call without one is given up only while it is not in flight. */
  readonly hasDeadline: boolean;
  readonly isInFlight: boolean;
  /** The last answer was a refusal. */
  readonly wasRefused: boolean;
  /** An earlier attempt was written and lost. UNAVAILABLE says that a call was never written. */
  readonly mayHaveRun: boolean;
  /** The call was meant for a node that has no connection, or for no node while none has one. */
  readonly isUnreachable: boolean;
}

/**
 * What becomes of a call when its time is up. Pure.
 *
 * | the call | its end |
 * | --- | --- |
 * | is in flight and has no deadline | it is waited for |
 * | was refused last, and is not in flight | DEADLINE with the refusal as its cause |
 * | waits for a node that has no connection, and was never written | UNAVAILABLE |
 * | anything else | DEADLINE |
 */
export function decideExpiry(expiry: Expiry): "wait" | "deadline" | "deadline-after-refusal" | "unavailable" {
  if (expiry.isInFlight) return expiry.hasDeadline ? "deadline" : "wait";
  if (expiry.wasRefused) return "deadline-after-refusal";
  return expiry.isUnreachable && !expiry.mayHaveRun ? "unavailable" : "deadline";
}

/**
 * The outcome of a call, from the outcome of its last attempt. Once an attempt was written and lost, no later answer
 * proves that the call did not run.
 */
export function outcomeOfCall(lastAttempt: Outcome, inDoubt: boolean): Outcome {
  return inDoubt && lastAttempt === "not-executed" ? "unknown" : lastAttempt;
}
