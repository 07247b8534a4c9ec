import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { distrust } from "../../src/connection/certificates.ts";
import { CredentialsError } from "../../src/connection/handshake.ts";
import { explained } from "../../src/connection/open-failure.ts";
import { isRefusal, retryDelayMs, UntrustedError } from "../../src/connection/retry-policy.ts";
import { AuthError, ConnectionLostError, InvalidArgumentError, ReplyError } from "../../src/errors.ts";

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
    when: "the certificate is not trusted",
    cause: distrust(Object.assign(new Error("certificate has expired"), { code: "CERT_HAS_EXPIRED" })),
    waits: [1000, 2000, 2000, 2000],
    tellsRequests: false,
  },
  {
    when: "the certificate is not trusted, and the failure has advice",
    cause: explained(distrust(Object.assign(new Error("self-signed"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" })), {
      tls: true,
      wasOpen: false,
    }),
    waits: [1000, 2000, 2000, 2000],
    tellsRequests: false,
  },
  {
    when: "the server does not trust the client's certificate",
    cause: Object.assign(new Error("alert"), { code: "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED" }),
    waits: [1000, 2000, 2000, 2000],
    tellsRequests: false,
  },
  {
    when: "trusts says no",
    cause: new UntrustedError("trusts says no to 10.0.0.1:7000"),
    waits: [1000, 2000, 2000, 2000],
    tellsRequests: false,
  },
  {
    when: "natMap fails",
    cause: new InvalidArgumentError("connect: natMap threw."),
    waits: [1000, 2000, 2000, 2000],
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
