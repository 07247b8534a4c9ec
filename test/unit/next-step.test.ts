import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseErrorReply } from "../../src/protocol/error-reply.ts";
import { decideNextStep, type Failure, type NextStep, type Situation } from "../../src/routing/next-step.ts";

/** A plain script on its first attempt: may not run twice. */
const SCRIPT: Situation = {
  slot: 12182,
  isScript: true,
  isFunction: false,
  atReplica: false,
  runsCode: true,
  mayRepeat: false,
  node: { host: "10.0.0.1", port: 7000 },
  redirections: 0,
  maxRedirections: 16,
  asking: false,
  asked: [],
  remedy: undefined,
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
const ABORTED = "EXECABORT Transaction discarded because of: ";

const named = (host: string, port: number) => ({ kind: "named", host, port }) as const;
const retry = (step: Partial<NextStep>): NextStep =>
  ({
    kind: "retry",
    to: { kind: "same-node" },
    asking: false,
    script: "sha",
    when: "now",
    spends: "retry",
    learned: "nothing",
    ...step,
  }) as NextStep;
const reject = (
  why: "reply" | "lost" | "load",
  outcome: "not-executed" | "unknown" | "executed",
  learned = "nothing",
) => ({ kind: "reject", why, outcome, learned }) as NextStep;
const OWNER_LATER = retry({ to: { kind: "owner" }, when: "after-backoff", learned: "topology-stale" });
const OWNER_LATER_QUIETLY = retry({ to: { kind: "owner" }, when: "after-backoff" });
const TOO_MANY: NextStep = {
  kind: "reject",
  why: "redirections",
  outcome: "not-executed",
  learned: "topology-stale",
};

interface Row {
  readonly when: string;
  readonly failure: Failure;
  readonly situation?: Partial<Situation>;
  readonly expect: NextStep;
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
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED answers an ASKING: plain as well",
    failure: refused(MOVED),
    situation: { asking: true },
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED names no host: the host that answered",
    failure: refused("MOVED 12182 :7003"),
    expect: retry({ to: named("10.0.0.1", 7003), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: 'MOVED names "?": the host that answered',
    failure: refused("MOVED 12182 ?:7003"),
    expect: retry({ to: named("10.0.0.1", 7003), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED names an IPv6 host: that one",
    failure: refused("MOVED 12182 2001:db8::7:7000"),
    expect: retry({ to: named("2001:db8::7", 7000), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED names the node that said it: the same, on a fresh connection",
    failure: refused("MOVED 12182 10.0.0.1:7000"),
    expect: retry({ spends: "redirection", learned: "connection-stale" }),
  },
  {
    when: "MOVED names the node that said it by its port alone: likewise",
    failure: refused("MOVED 12182 :7000"),
    expect: retry({ spends: "redirection", learned: "connection-stale" }),
  },
  {
    when: "MOVED is for another slot: a script made it up, it ran",
    failure: refused("MOVED 5 10.0.0.2:7001"),
    expect: reject("reply", "executed"),
  },
  {
    when: "MOVED answers a call without keys: made up",
    failure: refused(MOVED),
    situation: { slot: -1 },
    expect: reject("reply", "executed"),
  },
  {
    when: "MOVED comes with one redirection left: it is followed",
    failure: refused(MOVED),
    situation: { redirections: 15 },
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED comes when all are spent",
    failure: refused(MOVED),
    situation: { redirections: 16 },
    expect: TOO_MANY,
  },
  {
    when: "MOVED to the same node comes when all are spent",
    failure: refused("MOVED 12182 10.0.0.1:7000"),
    situation: { redirections: 16 },
    expect: TOO_MANY,
  },
  {
    when: "MOVED comes and none is allowed",
    failure: refused(MOVED),
    situation: { maxRedirections: 0 },
    expect: TOO_MANY,
  },
  {
    when: "MOVED for another slot comes when all are spent: still made up",
    failure: refused("MOVED 5 10.0.0.2:7001"),
    situation: { redirections: 16 },
    expect: reject("reply", "executed"),
  },
  {
    when: "MOVED answers a command: the same",
    failure: refused(MOVED),
    situation: COMMAND,
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "MOVED discarded a transaction: the same",
    failure: refused(ABORTED + MOVED),
    situation: COMMAND,
    expect: retry({ to: named("10.0.0.2", 7001), spends: "redirection", learned: "slot-moved" }),
  },
  {
    when: "ASK names a node: at once to that one behind an ASKING, and nothing is learned",
    failure: refused(ASK),
    expect: retry({ to: named("10.0.0.2", 7001), asking: true, spends: "redirection" }),
  },
  {
    when: "ASK names no host: the host that answered",
    failure: refused("ASK 12182 :7003"),
    expect: retry({ to: named("10.0.0.1", 7003), asking: true, spends: "redirection" }),
  },
  {
    when: "ASK is for another slot: made up",
    failure: refused("ASK 12183 10.0.0.2:7001"),
    expect: reject("reply", "executed"),
  },
  { when: "ASK comes when all are spent", failure: refused(ASK), situation: { redirections: 16 }, expect: TOO_MANY },
  {
    when: "NOSCRIPT, and nothing is on its way: load it there and run",
    failure: refused(NOSCRIPT),
    situation: { remedy: "load" },
    expect: retry({ script: "load", learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT, and nothing is known of the node's scripts: load it there and run",
    failure: refused(NOSCRIPT),
    expect: retry({ script: "load", learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT in Valkey's words: the same",
    failure: refused("NOSCRIPT No matching script."),
    situation: { remedy: "load" },
    expect: retry({ script: "load", learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT behind an ASKING: the ASKING is kept, for the first one is spent",
    failure: refused(NOSCRIPT),
    situation: { remedy: "load", asking: true },
    expect: retry({ script: "load", asking: true, learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT, and a newer load is there already: run again as it is",
    failure: refused(NOSCRIPT),
    situation: { remedy: "replay", asking: true },
    expect: retry({ script: "sha", asking: true }),
  },
  {
    when: "NOSCRIPT, and another connection's load is under way: run again after it",
    failure: refused(NOSCRIPT),
    situation: { remedy: "wait", asking: true },
    expect: retry({ script: "sha-after-load", asking: true }),
  },
  {
    when: "NOSCRIPT, and the node refuses SCRIPT LOAD: the source goes along",
    failure: refused(NOSCRIPT),
    situation: { remedy: "eval", asking: true },
    expect: retry({ script: "eval", asking: true, learned: "script-missing" }),
  },
  {
    when: "NOSCRIPT, and the node cannot load it: not executed",
    failure: refused(NOSCRIPT),
    situation: { remedy: "give-up" },
    expect: reject("load", "not-executed", "script-missing"),
  },
  {
    when: "NOSCRIPT to an EVALSHA of the user's own: for the user, not executed",
    failure: refused(NOSCRIPT),
    situation: CODE,
    expect: reject("reply", "not-executed"),
  },
  {
    when: "NOSCRIPT comes when all redirections are spent: none is needed",
    failure: refused(NOSCRIPT),
    situation: { remedy: "load", redirections: 16 },
    expect: retry({ script: "load", learned: "script-missing" }),
  },
  { when: "TRYAGAIN: the slot's owner after a backoff", failure: refused(TRYAGAIN), expect: OWNER_LATER_QUIETLY },
  {
    when: "TRYAGAIN behind an ASKING: the same node, asking again, after a backoff",
    failure: refused(TRYAGAIN),
    situation: { asking: true },
    expect: retry({ asking: true, when: "after-backoff" }),
  },
  { when: "BUSY, the server's own: after a backoff", failure: refused(BUSY), expect: OWNER_LATER_QUIETLY },
  {
    when: "BUSY behind an ASKING: the same node, asking again, after a backoff",
    failure: refused(BUSY),
    situation: { asking: true },
    expect: retry({ asking: true, when: "after-backoff" }),
  },
  {
    when: "BUSY discarded a transaction: after a backoff",
    failure: refused(ABORTED + BUSY),
    situation: COMMAND,
    expect: OWNER_LATER_QUIETLY,
  },
  ...["CLUSTERDOWN The cluster is down", "CLUSTERDOWN Hash slot not served"].map((text) => ({
    when: `${text}: the slot's owner after a backoff`,
    failure: refused(text),
    expect: OWNER_LATER,
  })),
  {
    when: "CLUSTERDOWN behind an ASKING: the owner, without it",
    failure: refused("CLUSTERDOWN The cluster is down"),
    situation: { asking: true },
    expect: OWNER_LATER,
  },
  {
    when: "LOADING: the slot's owner after a backoff",
    failure: refused("LOADING Redis is loading the dataset in memory"),
    expect: OWNER_LATER,
  },
  {
    when: "MASTERDOWN: the slot's owner after a backoff",
    failure: refused("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    expect: OWNER_LATER,
  },
  {
    when: "READONLY to a script: it may have run in part, never again",
    failure: refused(READONLY),
    expect: reject("reply", "executed", "topology-stale"),
  },
  {
    when: "READONLY to a script that may run twice: not again either",
    failure: refused(READONLY),
    situation: REPEATABLE,
    expect: reject("reply", "executed", "topology-stale"),
  },
  {
    when: "READONLY to an EVAL or FCALL of the user's own: not again",
    failure: refused(READONLY),
    situation: CODE,
    expect: reject("reply", "executed", "topology-stale"),
  },
  {
    when: "READONLY to a plain command: the slot's owner after a backoff",
    failure: refused(READONLY),
    situation: COMMAND,
    expect: OWNER_LATER,
  },
  {
    when: "READONLY from the middle of a script, with its SHA-1 behind it",
    failure: refused(`${READONLY} script: 9a5a1b2c, on @user_script:1.`),
    expect: reject("reply", "executed", "topology-stale"),
  },
  { when: "NOPERM to the call: not executed", failure: refused(NOPERM), expect: reject("reply", "not-executed") },
  {
    when: "NOPERM from the middle of a script: executed",
    failure: refused(`${NOPERM} script: 9a5a1b2c, on @user_script:1.`),
    expect: reject("reply", "executed"),
  },
  { when: "the connection is lost, nothing was written", failure: LOST_UNWRITTEN, expect: OWNER_LATER },
  {
    when: "the connection is lost behind an ASK, nothing was written: the owner, without ASKING",
    failure: LOST_UNWRITTEN,
    situation: { asking: true },
    expect: OWNER_LATER,
  },
  {
    when: "the node became a replica while a command was blocked there: the owner, soon",
    failure: refused("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"),
    situation: COMMAND,
    expect: OWNER_LATER,
  },
  {
    when: "somebody unblocked a command: it did not run, and is not sent again",
    failure: refused("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    situation: COMMAND,
    expect: reject("reply", "not-executed"),
  },
  {
    when: "the connection is lost after bytes of a script were handed over: unknown",
    failure: LOST_WRITTEN,
    expect: reject("lost", "unknown", "topology-stale"),
  },
  {
    when: "the connection is lost after bytes of a command were handed over: unknown",
    failure: LOST_WRITTEN,
    situation: COMMAND,
    expect: reject("lost", "unknown", "topology-stale"),
  },
  {
    when: "the connection is lost after bytes of what may run twice were handed over: again",
    failure: LOST_WRITTEN,
    situation: REPEATABLE,
    expect: OWNER_LATER,
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
    expect: reject("reply", "executed"),
  })),
  {
    when: "the function is missing: load its library in front of the call",
    failure: refused("ERR Function not found"),
    situation: { ...FUNCTION, remedy: "load" },
    expect: retry({ script: "load", learned: "script-missing" }),
  },
  {
    when: "the function is missing on a replica, which is behind its primary: the owner",
    failure: refused("ERR Function not found"),
    situation: { ...FUNCTION, atReplica: true, remedy: "load" },
    expect: OWNER_LATER,
  },
  {
    when: "a script says that a function is missing: it has run",
    failure: refused("ERR Function not found"),
    expect: reject("reply", "executed"),
  },
  {
    when: "the server is older than functions",
    failure: refused("ERR unknown command `FCALL`, with args beginning with: `f`, "),
    situation: FUNCTION,
    expect: reject("reply", "not-executed"),
  },
  {
    when: "the server is older than EVALSHA_RO: the same node, without it",
    failure: refused("ERR unknown command `EVALSHA_RO`, with args beginning with: `x`, "),
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
    expect: reject("reply", "not-executed"),
  })),
];

describe("decideNextStep, when", () => {
  for (const { when, failure, situation, expect } of ROWS) {
    it(when, () => assert.deepEqual(decideNextStep(failure, { ...SCRIPT, ...situation }), expect));
  }

  it("the words prove nothing, no call is sent again, even one that may run twice", () => {
    for (const change of [COMMAND, CODE, REPEATABLE, { ...COMMAND, ...REPEATABLE }]) {
      const step = decideNextStep(refused("TRYAGAIN later"), { ...SCRIPT, ...change });
      assert.deepEqual(step, reject("reply", "executed"));
    }
  });
});

describe("decideNextStep, in every situation,", () => {
  const flags = [false, true];
  const remedies: Situation["remedy"][] = ["replay", "wait", "load", "eval", "give-up", undefined];
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
      else assert.ok(!["other", "noperm", "declined"].includes(failure.refusal.kind));
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
      assert.equal(step.spends, redirected ? "redirection" : "retry");
    }
  });

  it("puts ASKING in front only behind an ASK, or to the same node again", () => {
    for (const { situation, failure, step } of all) {
      if (step.kind !== "retry" || !step.asking) continue;
      const byAsk = failure.kind === "refusal" && failure.refusal.kind === "ask";
      assert.ok(byAsk || (situation.asking && step.to.kind === "same-node"));
    }
  });

  it("sends nothing but the SHA-1 unless the script is missing", () => {
    for (const { failure, step } of all) {
      if (step.kind !== "retry" || step.script === "sha") continue;
      assert.ok(failure.kind === "refusal" && failure.refusal.kind === "noscript");
    }
  });

  it("decides the same again", () => {
    for (const { situation, failure, step } of all) assert.deepEqual(decideNextStep(failure, situation), step);
  });
});
