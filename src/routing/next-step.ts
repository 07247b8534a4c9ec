import type { Outcome } from "../errors.ts";
import type { Refusal } from "../protocol/error-reply.ts";
import { formatAddress, isUnknownHost } from "../protocol/node-address.ts";
import type { Remedy } from "../scripts/loaded-scripts.ts";

/** What ended an attempt, if not a reply for the caller. */
export type Failure =
  | { readonly kind: "refusal"; readonly refusal: Refusal }
  /** The connection went; `written` if bytes of the call had been handed to it. */
  | { readonly kind: "lost"; readonly written: boolean };

/** What the decision depends on. */
export interface Situation {
  /** The call's slot, -1 for one without keys. */
  readonly slot: number;
  /** Run by EVALSHA from the registry. */
  readonly isScript: boolean;
  /** Run by FCALL from the registry. */
  readonly isFunction: boolean;
  /** Asked of a replica, which may be behind its primary. */
  readonly atReplica: boolean;
  /** Runs Lua or a function: an error may come from the middle of it. */
  readonly runsCode: boolean;
  /** May be written again when nobody knows whether it ran. */
  readonly mayRepeat: boolean;
  /** The node asked, as announced. */
  readonly node: { readonly host: string; readonly port: number };
  /** MOVED and ASK so far, and how many are allowed. */
  readonly redirections: number;
  readonly maxRedirections: number;
  /** Whether this attempt went behind an ASKING. */
  readonly asking: boolean;
  /** The nodes that answered this call before the present one. */
  readonly asked: readonly string[];
  /** For NOSCRIPT: what the node's scripts need. */
  readonly remedy: Remedy["kind"] | undefined;
}

/** Where the next attempt goes. */
export type Target =
  | { readonly kind: "same-node" }
  | { readonly kind: "owner" }
  | { readonly kind: "named"; readonly host: string; readonly port: number };

/** What a failure teaches, whatever becomes of the call. */
export type Lesson =
  | "nothing"
  | "slot-moved"
  | "topology-stale"
  | "connection-stale"
  | "script-missing"
  | "no-read-only-variant";

export type NextStep =
  | {
      readonly kind: "retry";
      readonly to: Target;
      /** Put ASKING in front, in the same write. */
      readonly asking: boolean;
      /** What is sent of the script. */
      readonly script: "sha" | "load" | "eval" | "sha-after-load";
      readonly when: "now" | "after-backoff";
      readonly spends: "redirection" | "retry";
      readonly learned: Lesson;
    }
  | {
      readonly kind: "reject";
      readonly why: "reply" | "lost" | "load";
      readonly outcome: Outcome;
      readonly learned: Lesson;
    }
  | {
      readonly kind: "reject";
      readonly why: "redirections";
      readonly outcome: "not-executed";
      readonly learned: Lesson;
    };

type Retry = Extract<NextStep, { kind: "retry" }>;

const RETRY: Retry = {
  kind: "retry",
  to: { kind: "same-node" },
  asking: false,
  script: "sha",
  when: "now",
  spends: "retry",
  learned: "nothing",
};
const AT_OWNER_LATER: Retry = { ...RETRY, to: { kind: "owner" }, when: "after-backoff", learned: "topology-stale" };

/**
 * The whole policy on redirections and retries. Pure: no sockets, no clock, no chance.
 *
 * A call is only sent again when the reply proves that it did not run, when no byte of it was sent, or when it may
 * run twice.
 */
export function decideNextStep(failure: Failure, situation: Situation): NextStep {
  if (failure.kind === "lost") {
    if (!failure.written || situation.mayRepeat) return AT_OWNER_LATER;
    return { kind: "reject", why: "lost", outcome: "unknown", learned: "topology-stale" };
  }
  const { refusal } = failure;
  switch (refusal.kind) {
    case "moved":
    case "ask":
      return decideRedirection(refusal, situation);
    case "noscript":
      if (!situation.isScript) return reply("not-executed");
      return decideMissing(situation);
    case "no-function":
      // Whatever else says so runs code of its own.
      if (!situation.isFunction) return reply("executed");
      return situation.atReplica ? AT_OWNER_LATER : decideMissing(situation);
    case "no-functions":
      return reply("not-executed");
    case "tryagain":
    case "busy":
      // Through an ASK, again to the node it named; the owner would only say ASK once more.
      if (situation.asking) return { ...RETRY, asking: true, when: "after-backoff" };
      return { ...RETRY, to: { kind: "owner" }, when: "after-backoff" };
    case "clusterdown":
    case "loading":
    case "masterdown":
      return AT_OWNER_LATER;
    case "readonly":
      // It can come from the middle of a script, and then the first half has run.
      if (situation.runsCode) return reply("executed", "topology-stale");
      return AT_OWNER_LATER;
    case "readonly-within":
      return reply("executed", "topology-stale");
    case "unblocked":
      // A script cannot wait: it made this up.
      return situation.runsCode ? reply("executed") : AT_OWNER_LATER;
    case "noperm":
      return reply("not-executed");
    case "no-read-only-variant":
      if (situation.isScript) return { ...RETRY, asking: situation.asking, learned: "no-read-only-variant" };
      return reply("not-executed");
    case "declined":
      return reply(situation.runsCode ? "executed" : "not-executed");
    case "other":
      return reply("executed");
  }
}

function decideRedirection(refusal: Extract<Refusal, { slot: number }>, situation: Situation): NextStep {
  // For another slot, it is no redirection of this call: a script made it up.
  if (refusal.slot !== situation.slot) return reply("executed");
  if (situation.redirections >= situation.maxRedirections) {
    return { kind: "reject", why: "redirections", outcome: "not-executed", learned: "topology-stale" };
  }
  // No host means the host that answered.
  const host = isUnknownHost(refusal.host) ? situation.node.host : refusal.host;
  const to: Target = { kind: "named", host, port: refusal.port };
  if (refusal.kind === "ask") return { ...RETRY, to, asking: true, spends: "redirection" };
  if (host === situation.node.host && refusal.port === situation.node.port) {
    // The node names itself: whoever answered is not it, so its name leads elsewhere by now.
    return { ...RETRY, spends: "redirection", learned: "connection-stale" };
  }
  // Nodes that send a call round in a circle do not agree yet: give them time.
  const when = situation.asked.includes(formatAddress({ host, port: refusal.port })) ? "after-backoff" : "now";
  return { ...RETRY, to, when, spends: "redirection", learned: "slot-moved" };
}

function decideMissing({ asking, remedy }: Situation): NextStep {
  const again: Retry = { ...RETRY, asking, learned: "script-missing" };
  switch (remedy) {
    case "replay":
      return { ...again, learned: "nothing" };
    case "wait":
      return { ...again, script: "sha-after-load", learned: "nothing" };
    case "eval":
      return { ...again, script: "eval" };
    case "give-up":
      return { kind: "reject", why: "load", outcome: "not-executed", learned: "script-missing" };
    default:
      return { ...again, script: "load" };
  }
}

function reply(outcome: Outcome, learned: Lesson = "nothing"): NextStep {
  return { kind: "reject", why: "reply", outcome, learned };
}
