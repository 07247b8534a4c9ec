import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  decideGroup,
  decideLostPart,
  type GroupDecision,
  type LostPart,
  type TransactionErrors,
} from "../../src/routing/transaction-verdict.ts";

const MOVED = "MOVED 7629 127.0.0.1:7001";
const ABORTED = "EXECABORT Transaction discarded because of previous errors.";
const NOPERM = "NOPERM this user has no permissions to run the 'script|load' command";
const OOM = "OOM command not allowed when used memory > 'maxmemory'.";
const BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

const TABLE: readonly [when: string, errors: Partial<TransactionErrors>, decision: GroupDecision][] = [
  ["MULTI is refused", { multi: "NOPERM x", exec: "ERR EXEC without MULTI" }, { kind: "ran-one-by-one" }],
  ["a call is MOVED", { queued: MOVED, exec: ABORTED }, { kind: "refused", text: MOVED }],
  ["EXEC is MOVED", { exec: MOVED }, { kind: "refused", text: MOVED }],
  [
    "EXEC is TRYAGAIN",
    { exec: "TRYAGAIN Multiple keys request during rehashing of slot" },
    { kind: "refused", text: "TRYAGAIN Multiple keys request during rehashing of slot" },
  ],
  [
    "EXEC meets a busy server",
    { exec: `EXECABORT Transaction discarded because of: ${BUSY}` },
    { kind: "refused", text: `EXECABORT Transaction discarded because of: ${BUSY}` },
  ],
  ["the load is forbidden", { load: NOPERM, exec: ABORTED }, { kind: "discarded", loadsDenied: true }],
  ["one call is forbidden", { queued: NOPERM, exec: ABORTED }, { kind: "discarded", loadsDenied: false }],
  ["the memory is full", { queued: OOM, exec: ABORTED }, { kind: "discarded", loadsDenied: false }],
  [
    "EXEC finds the memory full",
    { exec: `EXECABORT Transaction discarded because of: ${OOM}` },
    { kind: "discarded", loadsDenied: false },
  ],
  ["EXEC says what no known server says", { exec: "ERR proxy: no upstream" }, { kind: "unclear" }],
  ["EXEC says so behind a refusal", { queued: OOM, exec: "ERR proxy: no upstream" }, { kind: "unclear" }],
];

describe("a group of calls, when", () => {
  for (const [when, errors, decision] of TABLE) {
    it(`${when}: ${decision.kind}`, () => {
      const none = { multi: undefined, load: undefined, queued: undefined, exec: "" };
      assert.deepEqual(decideGroup({ ...none, ...errors }), decision);
    });
  }
});

describe("a call of a group that was lost", () => {
  const part: LostPart = { wasWritten: true, mayRepeat: true, isOverwritten: false, isNext: false, isClosed: false };
  for (const [when, facts, expected] of [
    ["may repeat, and waits for others", {}, "takes-its-turn"],
    ["may repeat, and waits for none", { isNext: true }, "lost"],
    ["may not repeat", { mayRepeat: false }, "lost-for-good"],
    ["may not repeat, and waits for none", { mayRepeat: false, isNext: true }, "lost-for-good"],
    ["has a later write of its key behind it", { isOverwritten: true }, "lost-for-good"],
    ["may not repeat, but was not written", { wasWritten: false, mayRepeat: false }, "takes-its-turn"],
    ["was not written, with a later write behind it", { wasWritten: false, isOverwritten: true }, "takes-its-turn"],
    ["was not written, and waits for none", { wasWritten: false, isNext: true }, "lost"],
    ["is one of a client that was closed", { isClosed: true }, "lost"],
  ] as const) {
    it(`${when}: ${expected}`, () => {
      assert.equal(decideLostPart({ ...part, ...facts }), expected);
    });
  }
});
