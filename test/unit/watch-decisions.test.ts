import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  canStartOver,
  decideAfterAttempt,
  decideAfterFunction,
  decideAfterScript,
  outcomeOfAnswer,
  type SessionState,
} from "../../src/calls/watch-decisions.ts";
import { AuthError, ConnectionLostError, QueueFullError } from "../../src/errors.ts";
import type { NextStep } from "../../src/routing/next-step-rows.ts";

const FRESH: SessionState = { writes: 0, execSent: false, commandRefused: false, execRefused: false };

describe("a watching session that failed", () => {
  const rows: readonly [when: string, state: Partial<SessionState>, wasLost: boolean, startsOver: boolean][] = [
    ["of which nothing was refused or lost", {}, false, false],
    ["whose connection was lost", {}, true, true],
    ["whose command was refused", { commandRefused: true }, false, true],
    ["that may have written, and was lost", { writes: 1 }, true, false],
    ["that may have written, and was refused", { writes: 1, commandRefused: true }, false, false],
    ["whose transaction was sent and lost", { execSent: true }, true, false],
    ["whose transaction was refused", { execSent: true, execRefused: true }, false, true],
    [
      "whose transaction was sent behind a refusal that the function caught",
      { execSent: true, commandRefused: true },
      false,
      false,
    ],
    [
      "that may have written, and whose transaction was refused",
      { writes: 1, execSent: true, execRefused: true },
      false,
      false,
    ],
  ];
  for (const [when, state, wasLost, startsOver] of rows) {
    it(`${startsOver ? "starts over" : "does not start over"}: one ${when}`, () => {
      assert.equal(canStartOver({ ...FRESH, ...state }, wasLost), startsOver);
    });
  }
});

describe("an attempt of a watching transaction that failed", () => {
  const lost = new ConnectionLostError("a:1", "not-executed");
  const rows: readonly [when: string, attempt: Partial<Parameters<typeof decideAfterAttempt>[0]>, next: string][] = [
    ["got no connection", { failure: lost }, "start-over"],
    ["got none because the credentials were refused", { failure: new AuthError("a:1", "WRONGPASS x") }, "reject"],
    ["got none because too much is waiting", { failure: new QueueFullError("a:1", "1 call") }, "reject"],
    ["had a session that can start over", { sessionCanStartOver: true }, "start-over"],
    ["had a session that cannot", { sessionCanStartOver: false }, "reject"],
    ["was the 31st", { sessionCanStartOver: true, starts: 31 }, "start-over"],
    ["was the 32nd", { sessionCanStartOver: true, starts: 32 }, "reject"],
  ];
  for (const [when, attempt, next] of rows) {
    it(`and ${when}: ${next}`, () => {
      assert.equal(decideAfterAttempt({ starts: 1, sessionCanStartOver: undefined, failure: lost, ...attempt }), next);
    });
  }
});

describe("a script that failed in a session", () => {
  const rows: readonly [isMissing: boolean, loads: number, load: "succeeded" | "denied" | "failed", next: string][] = [
    [false, 1, "succeeded", "tell-call"],
    [false, 1, "denied", "tell-call"],
    [true, 1, "denied", "eval"],
    [true, 1, "failed", "tell-load"],
    [true, 1, "succeeded", "load-again"],
    [true, 31, "succeeded", "load-again"],
    [true, 32, "succeeded", "tell-call"],
  ];
  for (const [isMissing, loads, load, next] of rows) {
    it(`${isMissing ? "is missing" : "has another error"}, after ${loads} loads, the last ${load}: ${next}`, () => {
      assert.equal(decideAfterScript({ isMissing, loads, load }), next);
    });
  }
});

describe("a function that failed in a session", () => {
  it("is loaded once more when it is missing, and never for another error", () => {
    const decided = [decideAfterFunction(true, 1), decideAfterFunction(true, 2), decideAfterFunction(false, 1)];
    assert.deepEqual(decided, ["load-again", "tell-call", "tell-call"]);
  });
});

describe("the outcome of a call of a session that was answered with an error", () => {
  const reject = (outcome: "executed" | "not-executed"): NextStep => ({
    kind: "reject",
    row: "other",
    why: "reply",
    outcome,
    learned: "nothing",
  });
  const retry: NextStep = {
    kind: "retry",
    row: "tryagain",
    to: { kind: "owner" },
    asking: false,
    when: "after-backoff",
    spends: "retry",
    learned: "nothing",
  };
  const plain = { isTransaction: false, isMissingFunction: false };

  it("is that of the decision", () => {
    assert.equal(outcomeOfAnswer(reject("executed"), plain), "executed");
    assert.equal(outcomeOfAnswer(reject("not-executed"), plain), "not-executed");
  });

  it("proves that it did not run where it would be sent again, was discarded whole, or its function is missing", () => {
    assert.equal(outcomeOfAnswer(retry, plain), "not-executed");
    assert.equal(outcomeOfAnswer(reject("executed"), { ...plain, isTransaction: true }), "not-executed");
    assert.equal(outcomeOfAnswer(reject("executed"), { ...plain, isMissingFunction: true }), "not-executed");
  });
});
