import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseErrorReply } from "../../src/protocol/error-reply.ts";
import {
  decideExpiry,
  decideNextStep,
  type Expiry,
  type Failure,
  outcomeOfCall,
  type Situation,
} from "../../src/routing/next-step.ts";
import { ROWS as DECISION, type Retry, type RowName } from "../../src/routing/next-step-rows.ts";

/** A plain script on its first attempt: may not run twice. */
const SCRIPT: Situation = {
  slot: 12182,
  isScript: true,
  isFunction: false,
  atReplica: false,
  runsCode: true,
  isCheckedFirst: false,
  mayRepeat: false,
  node: { host: "10.0.0.1", port: 7000 },
  redirections: 0,
  maxRedirections: 16,
  asking: false,
  asked: [],
  remedy: undefined,
  isListed: () => true,
  loadsDenied: false,
  lossesAlone: 0,
  mayHaveRun: false,
};
/** FCALL of a library's function. */
const FUNCTION: Partial<Situation> = { isScript: false, isFunction: true };
/** A writing command. */
const COMMAND: Partial<Situation> = { isScript: false, runsCode: false };
/** EVALSHA or FCALL by command(). */
const CODE: Partial<Situation> = { isScript: false };
const REPEATABLE: Partial<Situation> = { mayRepeat: true };

const refused = (text: string): Failure => ({ kind: "refusal", refusal: parseErrorReply(text) });
const LOST_UNWRITTEN: Failure = { kind: "lost", written: false };
const LOST_WRITTEN: Failure = { kind: "lost", written: true };
const redirection: Retry = {
  kind: "retry",
  row: "moved-unlisted",
  to: { kind: "named", host: "10.0.0.9", port: 7009 },
  asking: false,
  when: "after-refresh",
  spends: "redirection",
  learned: "slot-moved",
};
const ABORTED = "EXECABORT Transaction discarded because of: ";

const named = (host: string, port: number) => ({ kind: "named", host, port }) as const;
const retry = (step: Partial<Retry>) => ({
  kind: "retry",
  to: { kind: "same-node" },
  asking: false,

  when: "now",
  spends: "retry",
  learned: "nothing",
  ...step,
});
const reject = (
  why: "reply" | "lost" | "load",
  outcome: "not-executed" | "unknown" | "executed",
  learned = "nothing",
) => ({ kind: "reject", why, outcome, learned });
const OWNER_LATER = retry({ to: { kind: "owner" }, when: "after-backoff", learned: "topology-stale" });
const OWNER_LATER_QUIETLY = retry({ to: { kind: "owner" }, when: "after-backoff" });
const TOO_MANY = {
  kind: "reject",
  why: "redirections",
  outcome: "not-executed",
  learned: "topology-stale",
};

interface Row {
  readonly when: string;
  readonly failure: Failure;
  readonly situation?: Partial<Situation>;
  readonly row: RowName;
  readonly expect: object;
}

const MOVED = "MOVED 12182 10.0.0.2:7001";
const ASK = "ASK 12182 10.0.0.2:7001";
const NOSCRIPT = "NOSCRIPT No matching script. Please use EVAL.";
const TRYAGAIN = "TRYAGAIN Multiple keys request during rehashing of slot";
const BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const READONLY = "READONLY You can't write against a read only replica.";
const NOPERM = "NOPERM User alice has no permissions to run the 'evalsha' command";

const ROWS: readonly Row[] = [
  {
    when: "MOVED names another node: at once to that one, plain",
    failure: refused(MOVED),
    row: "moved-known",
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED answers an ASKING: plain as well",
    failure: refused(MOVED),
    situation: { asking: true },
    row: "moved-known",
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED names no host: the host that answered",
    failure: refused("MOVED 12182 :7003"),
    row: "moved-known",
    expect: retry({ to: named("10.0.0.1", 7003), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: 'MOVED names "?", a host that it does not know: a refresh shows who is meant',
    failure: refused("MOVED 12182 ?:7003"),
    situation: { isListed: (address) => !address.startsWith("?") },
    row: "moved-unlisted",
    expect: retry({ to: named("?", 7003), when: "after-refresh", spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED names an IPv6 host: that one",
    failure: refused("MOVED 12182 2001:db8::7:7000"),
    row: "moved-known",
    expect: retry({ to: named("2001:db8::7", 7000), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED names the node that said it: the same, on a fresh connection",
    failure: refused("MOVED 12182 10.0.0.1:7000"),
    row: "moved-to-itself",
    expect: retry({ spends: "redirection", learned: "connection-stale" }),
  },
  {
    when: "MOVED names the node that said it by its port alone: likewise",
    failure: refused("MOVED 12182 :7000"),
    row: "moved-to-itself",
    expect: retry({ spends: "redirection", learned: "connection-stale" }),
  },
  {
    when: "MOVED is for another slot: a script made it up, it ran",
    failure: refused("MOVED 5 10.0.0.2:7001"),
    row: "other",
    expect: reject("reply", "executed"),
  },
  {
    when: "MOVED answers a call without keys: made up",
    failure: refused(MOVED),
    situation: { slot: -1 },
    row: "other",
    expect: reject("reply", "executed"),
  },
  {
    when: "MOVED comes with one redirection left: it is followed",
    failure: refused(MOVED),
    situation: { redirections: 15 },
    row: "moved-known",
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED comes when all are spent",
    failure: refused(MOVED),
    situation: { redirections: 16 },
    row: "redirections-spent",
    expect: TOO_MANY,
  },
  {
    when: "MOVED to the same node comes when all are spent",
    failure: refused("MOVED 12182 10.0.0.1:7000"),
    situation: { redirections: 16 },
    row: "redirections-spent",
    expect: TOO_MANY,
  },
  {
    when: "MOVED comes and none is allowed",
    failure: refused(MOVED),
    situation: { maxRedirections: 0 },
    row: "redirections-spent",
    expect: TOO_MANY,
  },
  {
    when: "MOVED for another slot comes when all are spent: still made up",
    failure: refused("MOVED 5 10.0.0.2:7001"),
    situation: { redirections: 16 },
    row: "other",
    expect: reject("reply", "executed"),
  },
  {
    when: "MOVED answers a command: the same",
    failure: refused(MOVED),
    situation: COMMAND,
    row: "moved-known",
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED discarded a transaction: the same",
    failure: refused(ABORTED + MOVED),
    situation: COMMAND,
    row: "moved-known",
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "ASK names a node: at once to that one behind an ASKING, and nothing is learned",
    failure: refused(ASK),
    row: "ask-known",
    expect: retry({ to: named("10.0.0.2", 7001), asking: true, spends: "redirection" }),
  },
  {
    when: "ASK names no host: the host that answered",
    failure: refused("ASK 12182 :7003"),
    row: "ask-known",
    expect: retry({ to: named("10.0.0.1", 7003), asking: true, spends: "redirection" }),
  },
  {
    when: "ASK is for another slot: made up",
    failure: refused("ASK 12183 10.0.0.2:7001"),
    row: "other",
    expect: reject("reply", "executed"),
  },
  {
    when: "ASK comes when all are spent",
    failure: refused(ASK),
    situation: { redirections: 16 },
    row: "redirections-spent",
    expect: TOO_MANY,
  },
  {
    when: "NOSCRIPT, and nothing is on its way: load it there and run",
    failure: refused(NOSCRIPT),
    situation: { remedy: "load" },
    row: "noscript-load",
    expect: retry({ learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT, and nothing is known of the node's scripts: load it there and run",
    failure: refused(NOSCRIPT),
    row: "noscript-load",
    expect: retry({ learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT in Valkey's words: the same",
    failure: refused("NOSCRIPT No matching script."),
    situation: { remedy: "load" },
    row: "noscript-load",
    expect: retry({ learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT behind an ASKING: the ASKING is kept, for the first one is spent",
    failure: refused(NOSCRIPT),
    situation: { remedy: "load", asking: true },
    row: "noscript-load",
    expect: retry({ asking: true, learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT, and a newer load is there already: run again as it is",
    failure: refused(NOSCRIPT),
    situation: { remedy: "replay", asking: true },
    row: "noscript-replay",
    expect: retry({ asking: true }),
  },
  {
    when: "NOSCRIPT, and another connection's load is under way: run again after it",
    failure: refused(NOSCRIPT),
    situation: { remedy: "wait", asking: true },
    row: "noscript-wait",
    expect: retry({ asking: true, when: "after-load" }),
  },
  {
    when: "NOSCRIPT, and the script was loaded a moment ago: decide again after a rest",
    failure: refused(NOSCRIPT),
    situation: { remedy: "rest", asking: true },
    row: "noscript-rest",
    expect: retry({ asking: true, when: "after-rest", spends: "nothing" }),
  },
  {
    when: "NOSCRIPT, and the node refuses SCRIPT LOAD: the source goes along",
    failure: refused(NOSCRIPT),
    situation: { remedy: "eval", asking: true },
    row: "noscript-eval",
    expect: retry({ asking: true, learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT, and the node cannot load it: not executed",
    failure: refused(NOSCRIPT),
    situation: { remedy: "give-up" },
    row: "noscript-give-up",
    expect: reject("load", "not-executed", "script-missing"),
  },
  {
    when: "NOSCRIPT to an EVALSHA of the user's own: for the user, not executed",
    failure: refused(NOSCRIPT),
    situation: CODE,
    row: "noscript-foreign",
    expect: reject("reply", "not-executed"),
  },
  {
    when: "NOSCRIPT comes when all redirections are spent: none is needed",
    failure: refused(NOSCRIPT),
    situation: { remedy: "load", redirections: 16 },
    row: "noscript-load",
    expect: retry({ learned: "script-missing" }),
  },
  {
    when: "TRYAGAIN: the slot's owner after a backoff",
    failure: refused(TRYAGAIN),
    row: "tryagain",
    expect: OWNER_LATER_QUIETLY,
  },
  {
    when: "TRYAGAIN behind an ASKING: the same node, asking again, after a backoff",
    failure: refused(TRYAGAIN),
    situation: { asking: true },
    row: "tryagain-asking",
    expect: retry({ asking: true, when: "after-backoff" }),
  },
  { when: "BUSY, the server's own: after a backoff", failure: refused(BUSY), row: "busy", expect: OWNER_LATER_QUIETLY },
  {
    when: "BUSY behind an ASKING: the same node, asking again, after a backoff",
    failure: refused(BUSY),
    situation: { asking: true },
    row: "busy-asking",
    expect: retry({ asking: true, when: "after-backoff" }),
  },
  {
    when: "BUSY discarded a transaction: after a backoff",
    failure: refused(ABORTED + BUSY),
    situation: COMMAND,
    row: "busy",
    expect: OWNER_LATER_QUIETLY,
  },
  ...["CLUSTERDOWN The cluster is down", "CLUSTERDOWN Hash slot not served"].map((text) => ({
    when: `${text}: the slot's owner after a backoff`,
    failure: refused(text),
    row: "clusterdown" as const,
    expect: OWNER_LATER,
  })),
  {
    when: "CLUSTERDOWN behind an ASKING: the owner, without it",
    failure: refused("CLUSTERDOWN The cluster is down"),
    situation: { asking: true },
    row: "clusterdown",
    expect: OWNER_LATER,
  },
  {
    when: "LOADING: the slot's owner after a backoff",
    failure: refused("LOADING Redis is loading the dataset in memory"),
    row: "loading",
    expect: OWNER_LATER,
  },
  {
    when: "MASTERDOWN: the slot's owner after a backoff",
    failure: refused("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    row: "masterdown",
    expect: OWNER_LATER,
  },
  {
    when: "READONLY to a script: it may have run in part, never again",
    failure: refused(READONLY),
    row: "readonly-in-code",
    expect: reject("reply", "executed", "topology-stale"),
  },
  {
    when: "READONLY to a script that may run twice: not again either",
    failure: refused(READONLY),
    situation: REPEATABLE,
    row: "readonly-in-code",
    expect: reject("reply", "executed", "topology-stale"),
  },
  {
    when: "READONLY to an EVAL or FCALL of the user's own: not again",
    failure: refused(READONLY),
    situation: CODE,
    row: "readonly-in-code",
    expect: reject("reply", "executed", "topology-stale"),
  },
  {
    when: "READONLY to a plain command: the slot's owner after a backoff",
    failure: refused(READONLY),
    situation: COMMAND,
    row: "readonly",
    expect: OWNER_LATER,
  },
  {
    when: "READONLY to a plain command for one node that the user has named: the answer",
    failure: refused(READONLY),
    situation: { ...COMMAND, isPinned: true },
    row: "readonly-pinned",
    expect: reject("reply", "not-executed", "topology-stale"),
  },
  {
    when: "READONLY from the middle of a script, with its SHA-1 behind it",
    failure: refused(`${READONLY} script: 9a5a1b2c, on @user_script:1.`),
    row: "readonly-in-code",
    expect: reject("reply", "executed", "topology-stale"),
  },
  {
    when: "NOPERM to the call: not executed",
    failure: refused(NOPERM),
    row: "noperm",
    expect: reject("reply", "not-executed"),
  },
  {
    when: "NOPERM from the middle of a script: executed",
    failure: refused(`${NOPERM} script: 9a5a1b2c, on @user_script:1.`),
    row: "other",
    expect: reject("reply", "executed"),
  },
  {
    when: "the connection is lost, nothing was written",
    failure: LOST_UNWRITTEN,
    row: "lost-unwritten",
    expect: OWNER_LATER,
  },
  {
    when: "the connection is lost behind an ASK, nothing was written: the owner, without ASKING",
    failure: LOST_UNWRITTEN,
    situation: { asking: true },
    row: "lost-unwritten",
    expect: OWNER_LATER,
  },
  {
    when: "the node became a replica while a command was blocked there: the owner, soon",
    failure: refused("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"),
    situation: COMMAND,
    row: "unblocked",
    expect: OWNER_LATER,
  },
  {
    when: "somebody unblocked a command: it did not run, and is not sent again",
    failure: refused("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    situation: COMMAND,
    row: "declined",
    expect: reject("reply", "not-executed"),
  },
  {
    when: "the connection is lost after bytes of a script were handed over: unknown",
    failure: LOST_WRITTEN,
    row: "lost",
    expect: reject("lost", "unknown", "topology-stale"),
  },
  {
    when: "the connection is lost after bytes of a command were handed over: unknown",
    failure: LOST_WRITTEN,
    situation: COMMAND,
    row: "lost",
    expect: reject("lost", "unknown", "topology-stale"),
  },
  {
    when: "the connection is lost after bytes of what may run twice were handed over: again",
    failure: LOST_WRITTEN,
    situation: REPEATABLE,
    row: "lost-repeatable",
    expect: { ...OWNER_LATER, isApart: true },
  },
  {
    when: "it is lost once more, while it had its connection to itself: again, because the server may have ended",
    failure: LOST_WRITTEN,
    situation: { ...REPEATABLE, lossesAlone: 1 },
    row: "lost-repeatable",
    expect: { ...OWNER_LATER, isApart: true },
  },
  {
    when: "it is lost twice while it had its connection to itself: the call is why",
    failure: LOST_WRITTEN,
    situation: { ...REPEATABLE, lossesAlone: 2 },
    row: "lost-alone",
    expect: { kind: "reject", why: "lost", outcome: "unknown", learned: "topology-stale" },
  },
  ...[
    "ERR any error of a script",
    "MOVEDOUT x",
    "MOVED 99999 10.0.0.2:7001",
    "MOVED 12182 10.0.0.2:0",
    "ASK me",
    "TRYAGAIN later",
    "NOSCRIPT x",
    "ERR inner NOSCRIPT thing",
    "CLUSTERDOWN for tea",
    "LOADING x",
    "BUSY x",
    "READONLY x",
    "EXECABORT Transaction discarded because of previous errors.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "ERR unknown command 'x'",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
  ].map((text) => ({
    when: `${text}: for the user, in the server's words`,
    failure: refused(text),
    row: text.startsWith("UNBLOCKED") ? ("unblocked-in-code" as const) : ("other" as const),
    expect: reject("reply", "executed"),
  })),
  {
    when: "MOVED names a node that answered this call before: there, after a backoff",
    failure: refused(MOVED),
    situation: { asked: ["10.0.0.2:7001", "10.0.0.1:7000"] },
    row: "moved-in-a-circle",
    expect: retry({
      to: named("10.0.0.2", 7001),
      when: "after-backoff",
      spends: "redirection",
      learned: "slot-moved",
    }),
  },
  {
    when: "MOVED names a node that is not listed: after a refresh",
    failure: refused(MOVED),
    situation: { isListed: (address) => address !== "10.0.0.2:7001" },
    row: "moved-unlisted",
    expect: retry({
      to: named("10.0.0.2", 7001),
      when: "after-refresh",
      spends: "redirection",
      learned: "slot-moved",
    }),
  },
  {
    when: "ASK names a node that is not listed: after a refresh, behind an ASKING",
    failure: refused(ASK),
    situation: { isListed: () => false },
    row: "ask-unlisted",
    expect: retry({ to: named("10.0.0.2", 7001), asking: true, when: "after-refresh", spends: "redirection" }),
  },
  {
    when: "the refresh lists the node that a redirection named: there, with its ASKING",
    failure: { kind: "looked-up", listed: true, redirection: { ...redirection, asking: true } },
    row: "redirection-listed",
    expect: retry({ to: redirection.to, asking: true, spends: "nothing" }),
  },
  {
    when: "the refresh does not list the node that a redirection named: the owner after a backoff, without ASKING",
    failure: { kind: "looked-up", listed: false, redirection: { ...redirection, asking: true } },
    situation: { asking: true },
    row: "redirection-unlisted",
    expect: retry({ to: { kind: "owner" }, when: "after-backoff", spends: "nothing" }),
  },
  {
    when: "MOVED is for another slot than that of a command: it did not run",
    failure: refused("MOVED 5 10.0.0.2:7001"),
    situation: COMMAND,
    row: "redirection-foreign",
    expect: reject("reply", "not-executed"),
  },
  {
    when: "a transaction was discarded because SCRIPT LOAD is forbidden: the same node, by EVAL",
    failure: refused("NOPERM this user has no permissions to run the 'script|load' command"),
    situation: { ...COMMAND, loadsDenied: true, asking: true },
    row: "transaction-without-loads",
    expect: retry({ asking: true, learned: "loads-denied" }),
  },
  {
    when: "no node is known for the slot, and one view is all that says so: after a backoff",
    failure: { kind: "no-node", waitedMs: 5000, agreed: false },
    row: "no-node-yet",
    expect: retry({ to: { kind: "owner" }, when: "after-backoff", spends: "nothing" }),
  },
  {
    when: "two nodes agree that nobody owns the slot, and it has been so for a moment only: after a backoff",
    failure: { kind: "no-node", waitedMs: 199, agreed: true },
    row: "no-node-yet",
    expect: retry({ to: { kind: "owner" }, when: "after-backoff", spends: "nothing" }),
  },
  {
    when: "two nodes agree that nobody owns the slot, and it has been so for 200 ms: unavailable",
    failure: { kind: "no-node", waitedMs: 200, agreed: true },
    row: "no-node",
    expect: { kind: "reject", why: "unavailable", outcome: "not-executed", learned: "nothing" },
  },
  {
    when: "nobody owns the slot, and an earlier attempt may have run: the loss is told",
    failure: { kind: "no-node", waitedMs: 200, agreed: true },
    situation: { mayHaveRun: true },
    row: "given-up-after-loss",
    expect: reject("lost", "unknown"),
  },
  {
    when: "the node has given no sign of life for long: unavailable",
    failure: { kind: "unavailable" },
    row: "node-unavailable",
    expect: { kind: "reject", why: "unavailable", outcome: "not-executed", learned: "nothing" },
  },
  {
    when: "a replica has given no sign of life for long: passed over, also where an earlier attempt may have run",
    failure: { kind: "unavailable" },
    situation: { atReplica: true, mayHaveRun: true },
    row: "replica-unavailable",
    expect: retry({ to: { kind: "owner" }, spends: "nothing" }),
  },
  {
    when: "a read for the cache was refused or lost: it goes the ordinary way, at once",
    failure: { kind: "not-kept" },
    row: "not-kept",
    expect: retry({ to: { kind: "owner" }, spends: "nothing" }),
  },
  {
    when: "the node has given no sign of life for long, and an earlier attempt may have run: the loss is told",
    failure: { kind: "unavailable" },
    situation: { mayHaveRun: true },
    row: "given-up-after-loss",
    expect: reject("lost", "unknown"),
  },
  ...(["replay", "wait", "rest", "give-up"] as const).map((remedy) => ({
    when: `the function is missing, and the remedy is ${remedy}`,
    failure: refused("ERR Function not found"),
    situation: { ...FUNCTION, remedy },
    row: `function-${remedy}` as const,
    expect: {
      replay: retry({}),
      wait: retry({ when: "after-load" }),
      rest: retry({ when: "after-rest", spends: "nothing" }),
      "give-up": reject("load", "not-executed", "script-missing"),
    }[remedy],
  })),
  {
    when: "the server is older than EVALSHA_RO, which command() sent: for the user",
    failure: refused("ERR unknown command `EVALSHA_RO`, with args beginning with: `x`, "),
    situation: CODE,
    row: "read-only-variant-foreign",
    expect: reject("reply", "not-executed"),
  },
  {
    when: "the function is missing: load its library in front of the call",
    failure: refused("ERR Function not found"),
    situation: { ...FUNCTION, remedy: "load" },
    row: "function-load",
    expect: retry({ learned: "script-missing" }),
  },
  {
    when: "the function is missing on a replica, which is behind its primary: the owner",
    failure: refused("ERR Function not found"),
    situation: { ...FUNCTION, atReplica: true, remedy: "load" },
    row: "function-at-replica",
    expect: OWNER_LATER,
  },
  {
    when: "a script says that a function is missing: it has run",
    failure: refused("ERR Function not found"),
    row: "function-foreign",
    expect: reject("reply", "executed"),
  },
  {
    when: "the server is older than functions",
    failure: refused("ERR unknown command `FCALL`, with args beginning with: `f`, "),
    situation: FUNCTION,
    row: "functions-unknown",
    expect: reject("reply", "not-executed"),
  },
  ...[
    "ERR unknown command 'EVALSHA', with args beginning with: 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db' '1' 'k' ",
    "ERR unknown command `EVALSHA`, with args beginning with: `e0e1f9fabfc9d4800c877a703b823ac0578ff8db`, `1`, `k`, ",
    "ERR unknown command 'EVAL', with args beginning with: 'return 1' '1' 'k' ",
  ].map((text) => ({
    when: `${text.slice(0, 30)}: it was renamed, and nothing ran`,
    failure: refused(text),
    row: "scripts-unknown" as const,
    expect: reject("reply", "not-executed"),
  })),
  ...[
    "ERR unknown command 'EVALSHA'",
    "ERR unknown command 'GET', with args beginning with: 'k' ",
    "ERR x: unknown command 'EVALSHA', with args beginning with: ",
  ].map((text) => ({
    when: `${text}, to a script: it may be the script's own error`,
    failure: refused(text),
    row: "other" as const,
    expect: reject("reply", "executed"),
  })),
  {
    when: "the server is older than EVALSHA_RO: the same node, without it",
    failure: refused("ERR unknown command `EVALSHA_RO`, with args beginning with: `x`, "),
    row: "read-only-variant",
    expect: retry({ learned: "no-read-only-variant" }),
  },
  ...[
    "OOM command not allowed when used memory > 'maxmemory'.",
    "ERR wrong number of arguments for 'get' command",
    "EXECABORT Transaction discarded because of previous errors.",
  ].map((text) => ({
    when: `${text}, to what runs no code: for the user, and proven not to have run`,
    failure: refused(text),
    situation: COMMAND,
    row: "declined" as const,
    expect: reject("reply", "not-executed"),
  })),
  {
    when: "OOM to a script with #!, or to a function: for the user, and proven not to have run",
    failure: refused("OOM command not allowed when used memory > 'maxmemory'."),
    situation: { isCheckedFirst: true },
    row: "out-of-memory-at-first",
    expect: reject("reply", "not-executed"),
  },
  {
    when: "OOM from the middle of a script with #!, which no server sends: it may be the script's own error",
    failure: refused("OOM command not allowed when used memory > 'maxmemory'. script: 2b58b113, on @user_script:1."),
    situation: { isCheckedFirst: true },
    row: "other",
    expect: reject("reply", "executed"),
  },
];

describe("decideNextStep, when", () => {
  for (const { when, failure, situation, row, expect } of ROWS) {
    it(when, () => assert.deepEqual(decideNextStep(failure, { ...SCRIPT, ...situation }), { ...expect, row }));
  }

  it("the words prove nothing, no call is sent again, even one that may run twice", () => {
    for (const change of [COMMAND, CODE, REPEATABLE, { ...COMMAND, ...REPEATABLE }]) {
      const step = decideNextStep(refused("TRYAGAIN later"), { ...SCRIPT, ...change });
      assert.deepEqual(step, { ...reject("reply", "executed"), row: "other" });
    }
  });
});

describe("decideNextStep, in every situation,", () => {
  const flags = [false, true];
  const remedies: Situation["remedy"][] = ["replay", "wait", "rest", "load", "eval", "give-up", undefined];
  const situations = flags.flatMap((isScript) =>
    flags.flatMap((runsCode) =>
      flags.flatMap((mayRepeat) =>
        flags.flatMap((asking) =>
          [12182, -1].flatMap((slot) =>
            [0, 16].flatMap((redirections) =>
              remedies.map((remedy) => ({
                ...SCRIPT,
                isScript,
                runsCode,
                mayRepeat,
                asking,
                slot,
                redirections,
                remedy,
              })),
            ),
          ),
        ),
      ),
    ),
  );
  const failures = [...new Set(ROWS.map(({ failure }) => failure))];
  const all = situations.flatMap((situation) =>
    failures.map((failure) => ({ situation, failure, step: decideNextStep(failure, situation) })),
  );

  it("sends again what may not run twice only after a proof that it did not run", () => {
    for (const { situation, failure, step } of all) {
      if (situation.mayRepeat || step.kind !== "retry") continue;
      if (failure.kind === "lost") assert.equal(failure.written, false);
      else if (failure.kind === "refusal") assert.ok(!["other", "noperm", "declined"].includes(failure.refusal.kind));
    }
  });

  it("never sends code again after READONLY", () => {
    for (const { situation, failure, step } of all) {
      if (failure.kind === "refusal" && failure.refusal.kind === "readonly" && situation.runsCode) {
        assert.deepEqual([step.kind, step.kind === "reject" && step.outcome], ["reject", "executed"]);
      }
    }
  });

  it("spends a redirection on MOVED and ASK only, and on each that is followed", () => {
    for (const { failure, step } of all) {
      if (step.kind !== "retry") continue;
      const redirected = failure.kind === "refusal" && ["moved", "ask"].includes(failure.refusal.kind);
      const isSearch = ["looked-up", "no-node", "not-kept"].includes(failure.kind);
      // After a rest it is decided once more.
      const isDeferred = step.when === "after-rest";
      assert.equal(step.spends, isSearch || isDeferred ? "nothing" : redirected ? "redirection" : "retry");
    }
  });

  it("puts ASKING in front only behind an ASK, or to the same node again", () => {
    for (const { situation, failure, step } of all) {
      if (step.kind !== "retry" || !step.asking) continue;
      const byAsk = failure.kind === "refusal" && failure.refusal.kind === "ask";
      const isLookedUp = failure.kind === "looked-up" && failure.listed && failure.redirection.asking;
      assert.equal(byAsk || isLookedUp || (situation.asking && step.to.kind === "same-node"), true);
    }
  });

  it("decides the same again", () => {
    for (const { situation, failure, step } of all) assert.deepEqual(decideNextStep(failure, situation), step);
  });
});

describe("the rows of the decision", () => {
  it("are each met by a test above", () => {
    const met = new Set(ROWS.map(({ row }) => row));
    assert.deepEqual(
      Object.keys(DECISION).filter((row) => !met.has(row as RowName)),
      [],
    );
  });

  it("stand in src/README.md as they are in the code", () => {
    const readme = readFileSync(new URL("../../src/README.md", import.meta.url), "utf8");
    const table = /<!-- decision -->\n\n(.*?)\n\n/s.exec(readme)?.[1];
    assert.equal(table, tableOfRows());
  });
});

/** The table of src/README.md. */
function tableOfRows(): string {
  const lines = (Object.keys(DECISION) as RowName[]).map((row) => {
    const { met, learned, ...entry } = DECISION[row];
    const next =
      entry.kind === "retry"
        ? `${{ "same-node": "same node", owner: "the owner", named: "the node that was named" }[entry.to]}, ${entry.when}${entry.isApart ? ", apart" : ""}`
        : `reject, ${entry.outcome}`;
    const spends = entry.kind === "retry" ? entry.spends : "";
    return `| \`${row}\` | ${met} | ${next} | ${learned} | ${spends} |`;
  });
  return ["| row | what was met | next attempt | learned | spends |", "| --- | --- | --- | --- | --- |", ...lines].join(
    "\n",
  );
}

describe("decideExpiry", () => {
  const WAITING: Expiry = {
    hasDeadline: true,
    isInFlight: false,
    wasRefused: false,
    mayHaveRun: false,
    isUnreachable: false,
  };
  const rows: readonly [when: string, expiry: Partial<Expiry>, ends: string][] = [
    ["is in flight: its deadline", { isInFlight: true }, "deadline"],
    ["is in flight and has no deadline: it is waited for", { isInFlight: true, hasDeadline: false }, "wait"],
    [
      "is in flight to a node that lost its connection: its deadline",
      { isInFlight: true, isUnreachable: true },
      "deadline",
    ],
    ["was refused last", { wasRefused: true }, "deadline-after-refusal"],
    [
      "was refused last, and waits for a node without connection",
      { wasRefused: true, isUnreachable: true },
      "deadline-after-refusal",
    ],
    ["waits for a node without connection", { isUnreachable: true }, "unavailable"],
    [
      "waits for a node without connection and has no deadline",
      { isUnreachable: true, hasDeadline: false },
      "unavailable",
    ],
    [
      "waits for a node without connection, and was written and lost before",
      { isUnreachable: true, mayHaveRun: true },
      "deadline",
    ],
    ["waits in a queue", {}, "deadline"],
  ];
  for (const [when, expiry, ends] of rows) {
    it(`of a call that ${when}`, () => assert.equal(decideExpiry({ ...WAITING, ...expiry }), ends));
  }
});

describe("outcomeOfCall", () => {
  it("proves nothing once an attempt was written and lost", () => {
    assert.equal(outcomeOfCall("not-executed", true), "unknown");
    assert.equal(outcomeOfCall("executed", true), "executed");
    assert.equal(outcomeOfCall("not-executed", false), "not-executed");
  });
});
