import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CredentialsError } from "../../src/connection/handshake.ts";
import { isRefusal, retryDelayMs } from "../../src/connection/retry-policy.ts";
import { AuthError, ConnectionLostError, ReplyError } from "../../src/errors.ts";

const REFUSED = new AuthError("127.0.0.1:7000", "WRONGPASS invalid username-password pair or user is disabled.");

const ROWS: readonly {
  readonly when: string;
  readonly cause: Error;
  /** The longest waits after 0, 1, 2 ... failures in a row. */
  readonly waits: readonly number[];
  readonly tellsRequests: boolean;
}[] = [
  {
    when: "the server refused the credentials",
    cause: REFUSED,
    waits: [1000, 2000, 4000, 8000, 10_000, 10_000],
    tellsRequests: true,
  },
  {
    when: "the provider of credentials failed",
    cause: new CredentialsError("the provider of credentials failed"),
    waits: [1000, 2000, 4000, 8000, 10_000, 10_000],
    tellsRequests: false,
  },
  {
    when: "nothing listens on the port",
    cause: Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }),
    waits: [20, 40, 80, 160, 320, 500, 500],
    tellsRequests: false,
  },
  {
    when: "the server loads its data",
    cause: new ReplyError("LOADING Redis is loading the dataset in memory"),
    waits: [20, 40, 80, 160, 320, 500, 500],
    tellsRequests: false,
  },
  {
    when: "the connection was lost",
    cause: new ConnectionLostError("127.0.0.1:7000", "unknown"),
    waits: [20, 40, 80, 160, 320, 500, 500],
    tellsRequests: false,
  },
];

describe("the wait until the next try to connect", () => {
  for (const { when, cause, waits, tellsRequests } of ROWS) {
    it(`when ${when}: at most ${waits.join(", ")} ms, and at least half of that`, () => {
      assert.deepEqual(
        waits.map((_, failures) => retryDelayMs(cause, failures, 1)),
        waits,
      );
      assert.deepEqual(
        waits.map((_, failures) => retryDelayMs(cause, failures, 0)),
        waits.map((mostMs) => mostMs / 2),
      );
    });

    it(`when ${when}: requests ${tellsRequests ? "are told at once" : "wait"}`, () => {
      assert.equal(isRefusal(cause), tellsRequests);
    });
  }
});
