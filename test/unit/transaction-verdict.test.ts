import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decideGroup, type GroupDecision, type TransactionErrors } from "../../src/routing/transaction-verdict.ts";

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
