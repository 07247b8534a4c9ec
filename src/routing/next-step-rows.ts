import type { Outcome } from "../errors.ts";

/** The node of the next attempt. */
export type Target =
  | { readonly kind: "same-node" }
  | { readonly kind: "owner" }
  | { readonly kind: "named"; readonly host: string; readonly port: number };

/** What a failure teaches the client, whatever becomes of the call. */
export type Lesson =
  | "nothing"
  | "slot-moved"
  | "topology-stale"
  | "connection-stale"
  | "script-missing"
  | "loads-denied"
  | "no-read-only-variant";

/** The call is sent again. */
export interface Retry {
  readonly kind: "retry";
  readonly row: RowName;
  readonly to: Target;
  /** An ASKING goes in front of the call, in the same write. */
  readonly asking: boolean;
  /**
   * At once, after a pause, after the shared refresh, or after the load that is under way. `after-rest`: the decision is
   * made once more when the script may be loaded again.
   */
  readonly when: "now" | "after-backoff" | "after-refresh" | "after-load" | "after-rest";
  readonly spends: "redirection" | "retry" | "nothing";
  readonly learned: Lesson;
  /** Set when the call goes on the node's connection for repeats, where it can harm no other one. */
  readonly isApart?: true;
}

/** The caller gets an error. */
export interface Rejection {
  readonly kind: "reject";
  readonly row: RowName;
  /**
   * Which error: the server's words, the lost connection, the failed load, the trail of redirections, or UNAVAILABLE.
   */
  readonly why: "reply" | "lost" | "load" | "redirections" | "unavailable";
  readonly outcome: Outcome;
  readonly learned: Lesson;
}

export type NextStep = Retry | Rejection;

type RetryRow = Pick<Retry, "kind" | "when" | "spends" | "learned" | "isApart"> & { readonly to: Retry["to"]["kind"] };
type RejectRow = Pick<Rejection, "kind" | "why" | "outcome" | "learned">;
/** One row of the decision: what follows after `met`. */
export type Row = (RetryRow | RejectRow) & { readonly met: string };

const retry = (met: string, row: Partial<Omit<RetryRow, "kind">>): Row => ({
  met,
  kind: "retry",
  to: "same-node",
  when: "now",
  spends: "retry",
  learned: "nothing",
  ...row,
});
const atOwner = (met: string, row: Partial<Omit<RetryRow, "kind">> = {}): Row =>
  retry(met, { to: "owner", when: "after-backoff", learned: "topology-stale", ...row });
const redirected = (met: string, row: Partial<Omit<RetryRow, "kind">>): Row =>
  retry(met, { to: "named", spends: "redirection", ...row });
const reject = (met: string, row: Partial<Omit<RejectRow, "kind">>): Row => ({
  met,
  kind: "reject",
  why: "reply",
  outcome: "executed",
  learned: "nothing",
  ...row,
});
const NOT_EXECUTED = { outcome: "not-executed" } as const;

/**
 * Every row of the decision, by the name that counters, channels and tests use. `decideNextStep` chooses the row;
 * src/README.md shows the same table.
 */
const TABLE = {
  "moved-known": redirected("MOVED to a listed node", { learned: "slot-moved" }),
  "moved-in-a-circle": redirected("MOVED to a listed node that has been asked before", {
    when: "after-backoff",
    learned: "slot-moved",
  }),
  "moved-unlisted": redirected("MOVED to a node that is not listed", { when: "after-refresh", learned: "slot-moved" }),
  "moved-to-itself": retry("MOVED that names the node that sent it: another process answers there now", {
    spends: "redirection",
    learned: "connection-stale",
  }),
  "ask-known": redirected("ASK to a listed node", {}),
  "ask-unlisted": redirected("ASK to a node that is not listed", { when: "after-refresh" }),
  "redirection-listed": redirected("the refresh after a redirection lists the node that was named", {
    spends: "nothing",
  }),
  "redirection-unlisted": atOwner("the refresh after a redirection does not list the node", {
    spends: "nothing",
    learned: "nothing",
  }),
  "redirection-foreign": reject("MOVED or ASK for another slot, to a call that runs no code", NOT_EXECUTED),
  "redirections-spent": reject("MOVED or ASK past `maxRedirections`", {
    ...NOT_EXECUTED,
    why: "redirections",
    learned: "topology-stale",
  }),

  "noscript-replay": retry(
    "NOSCRIPT to a call that was queued before the newest load, which has ended or is in front",
    {},
  ),
  "noscript-wait": retry("NOSCRIPT, and another lane's load is under way", { when: "after-load" }),
  "noscript-rest": retry("NOSCRIPT less than 10 ms after the newest load began", {
    when: "after-rest",
    spends: "nothing",
  }),
  "noscript-load": retry("NOSCRIPT: SCRIPT LOAD goes in front", { learned: "script-missing" }),
  "noscript-eval": retry("NOSCRIPT where SCRIPT LOAD is forbidden: by EVAL", { learned: "script-missing" }),
  "noscript-give-up": reject("NOSCRIPT, and the node cannot load the script", {
    ...NOT_EXECUTED,
    why: "load",
    learned: "script-missing",
  }),
  "noscript-foreign": reject("NOSCRIPT to a SHA-1 that is not registered", NOT_EXECUTED),
  "function-replay": retry(
    "no such function, to a call that was queued before the newest load, which has ended or is in front",
    {},
  ),
  "function-wait": retry("no such function, and another lane's load is under way", { when: "after-load" }),
  "function-rest": retry("no such function less than 10 ms after the newest load began", {
    when: "after-rest",
    spends: "nothing",
  }),
  "function-load": retry("no such function: FUNCTION LOAD goes in front", { learned: "script-missing" }),
  "function-give-up": reject("no such function, and the node cannot load the library", {
    ...NOT_EXECUTED,
    why: "load",
    learned: "script-missing",
  }),
  "function-at-replica": atOwner("no such function on a replica, which may be behind its primary"),
  "function-foreign": reject("no such function, to a call that is no function of a registered library", {}),
  "functions-unknown": reject("the server is older than functions", NOT_EXECUTED),
  "scripts-unknown": reject("the server does not know EVALSHA or EVAL, because it was renamed", NOT_EXECUTED),
  "read-only-variant": retry("the server is older than EVALSHA_RO: by EVALSHA", { learned: "no-read-only-variant" }),
  "read-only-variant-foreign": reject("the server is older than EVALSHA_RO, asked for by command()", NOT_EXECUTED),
  "transaction-without-loads": retry("a transaction was discarded because SCRIPT LOAD is forbidden: by EVAL", {
    learned: "loads-denied",
  }),

  tryagain: atOwner("TRYAGAIN", { learned: "nothing" }),
  "tryagain-asking": retry("TRYAGAIN where an ASK led", { when: "after-backoff" }),
  busy: atOwner("BUSY", { learned: "nothing" }),
  "busy-asking": retry("BUSY where an ASK led", { when: "after-backoff" }),
  clusterdown: atOwner("CLUSTERDOWN"),
  loading: atOwner("LOADING"),
  masterdown: atOwner("MASTERDOWN"),
  readonly: atOwner("READONLY to a call that runs no code"),
  "readonly-pinned": reject("READONLY to a call that runs no code, from the only node that it may go to", {
    ...NOT_EXECUTED,
    learned: "topology-stale",
  }),
  "readonly-in-code": reject("READONLY to a call that runs code, which may have run until then", {
    learned: "topology-stale",
  }),
  unblocked: atOwner("UNBLOCKED: the node became a replica while the command waited"),
  "unblocked-in-code": reject("UNBLOCKED to a call that runs code, which cannot wait", {}),
  noperm: reject("NOPERM", NOT_EXECUTED),
  declined: reject("a check before execution said no (OOM, MISCONF, wrong arity, ...) to a call that runs no code", {
    ...NOT_EXECUTED,
  }),
  "out-of-memory-at-first": reject("OOM to a function, or to a script that begins with `#!`: checked before it runs", {
    ...NOT_EXECUTED,
  }),
  other: reject("any other error", {}),

  "lost-unwritten": atOwner("the connection was lost, and no byte of the call was written"),
  "lost-repeatable": atOwner("the connection was lost, and the call may run twice", { isApart: true }),
  "lost-alone": reject("the same, and the call was alone on its connection, twice", {
    why: "lost",
    outcome: "unknown",
    learned: "topology-stale",
  }),
  lost: reject("the connection was lost, and the call may have run", {
    why: "lost",
    outcome: "unknown",
    learned: "topology-stale",
  }),
  "no-node-yet": atOwner("no node is known that may serve the call", { spends: "nothing", learned: "nothing" }),
  "no-node": reject("no such node for 200 ms, and two nodes know none, or all that can be reached", {
    ...NOT_EXECUTED,
    why: "unavailable",
  }),
  "replica-unavailable": retry("a replica has given no sign of life for `unavailableAfter`: it is passed over", {
    to: "owner",
    spends: "nothing",
  }),
  "node-unavailable": reject("the node has given no sign of life for `unavailableAfter`", {
    ...NOT_EXECUTED,
    why: "unavailable",
  }),
  "not-kept": retry("the cache gave a read up: it lost its connections, or the client wrote the key", {
    to: "owner",
    spends: "nothing",
  }),
  "given-up-after-loss": reject(
    "no node can serve it, or its node is unavailable; an earlier attempt was written and lost",
    {
      why: "lost",
      outcome: "unknown",
    },
  ),
} satisfies Record<string, Row>;

/** The name of a row of the decision. */
export type RowName = keyof typeof TABLE;

export const ROWS: Readonly<Record<RowName, Row>> = TABLE;
