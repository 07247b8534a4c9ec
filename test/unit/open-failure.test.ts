import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ENDED,
  explained,
  isTlsFailure,
  NO_CONNECTION,
  type OpenCircumstances,
} from "../../src/connection/open-failure.ts";
import { AuthError, ProtocolError } from "../../src/errors.ts";

const plain = { tls: false, wasOpen: true };
const early = { tls: true, wasOpen: false };
const late = { tls: true, wasOpen: true };
const coded = (code: string, message = "raw text of OpenSSL") => Object.assign(new Error(message), { code });

const ROWS: readonly (readonly [what: string, failure: Error, given: OpenCircumstances, says: RegExp])[] = [
  [
    "a TLS server's alert",
    new ProtocolError("The server sent byte 21 as a reply's type."),
    plain,
    /if this port expects/,
  ],
  [
    "another protocol",
    new ProtocolError("The server sent byte 72 as a reply's type."),
    plain,
    /Redis or Valkey server\?$/,
  ],
  [
    "an end without an answer",
    coded("ECONNRESET", "read ECONNRESET"),
    plain,
    /^read ECONNRESET; if this port expects TLS/,
  ],
  ["a closed connection", new Error(ENDED), plain, /if this port expects TLS/],
  ["an answer without TLS", coded("ERR_SSL_WRONG_VERSION_NUMBER"), early, /^this port speaks no TLS/],
  ["the same, by another name", coded("ERR_SSL_PACKET_LENGTH_TOO_LONG"), early, /^this port speaks no TLS/],
  ["an end before TLS stood", coded("ECONNRESET"), early, /ended before TLS was agreed on; is this a port for TLS\?$/],
  [
    "silence before TLS stood",
    new Error(`${NO_CONNECTION} within 5 ms`),
    early,
    /^no TLS connection within 5 ms; is this/,
  ],
  [
    "a client without certificate",
    coded("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    late,
    /`tls.cert` and `tls.key`/,
  ],
  [
    "an unknown authority",
    coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify"),
    early,
    /^unable to verify; `tls.ca`/,
  ],
  [
    "another name",
    coded("ERR_TLS_CERT_ALTNAME_INVALID", "not for this name."),
    early,
    /^not for this name; `tls.servername`/,
  ],
];

describe("a connection that cannot be opened, because of", () => {
  for (const [what, failure, given, says] of ROWS) {
    it(`${what}, says what to do`, () => {
      const error = explained(failure, given);
      assert.match(error.message, says);
      assert.equal((error as NodeJS.ErrnoException).code, (failure as NodeJS.ErrnoException).code);
      assert.equal(error instanceof ProtocolError, failure instanceof ProtocolError);
      if (!(error instanceof ProtocolError)) assert.equal(error.cause, failure);
    });
  }

  it("what speaks for itself, is left as it is", () => {
    const refused = coded("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1");
    for (const given of [{ tls: false, wasOpen: false }, early]) assert.equal(explained(refused, given), refused);
    const silent = new Error("no answer to the handshake within 5 ms");
    for (const given of [plain, late]) assert.equal(explained(silent, given), silent);
    const reset = coded("ECONNRESET", "read ECONNRESET");
    assert.equal(explained(reset, late), reset);
    assert.equal(explained(reset, { tls: false, wasOpen: false }), reset);
    const auth = new AuthError("127.0.0.1:1", "WRONGPASS no");
    assert.equal(explained(auth, plain), auth);
  });
});

describe("a failure", () => {
  const rows: [string, Error, boolean][] = [
    ["a certificate that nobody vouches for", coded("DEPTH_ZERO_SELF_SIGNED_CERT"), true],
    ["a certificate that has expired", coded("CERT_HAS_EXPIRED"), true],
    ["a certificate for another name", coded("ERR_TLS_CERT_ALTNAME_INVALID"), true],
    ["an alert", coded("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"), true],
    ["no TLS where it was wanted", explained(coded("ERR_SSL_WRONG_VERSION_NUMBER"), early), true],
    ["TLS where it was not wanted", new ProtocolError("The server sent byte 21 as a reply's type."), true],
    ["another protocol", new ProtocolError("The server sent byte 72 as a reply's type."), false],
    ["nobody listens", coded("ECONNREFUSED"), false],
    ["a lost connection", explained(coded("ECONNRESET", "read ECONNRESET"), early), false],
    ["silence", new Error(`${NO_CONNECTION} within 5 ms`), false],
    ["refused credentials", new AuthError("h:1", "WRONGPASS"), false],
  ];
  for (const [what, failure, isOfTls] of rows) {
    it(`${isOfTls ? "is" : "is not"} one of TLS: ${what}`, () => assert.equal(isTlsFailure(failure), isOfTls));
  }
});
