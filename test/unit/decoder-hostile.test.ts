import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { ProtocolError } from "../../src/errors.ts";
import { ReplyDecoder } from "../../src/protocol/decoder.ts";
import { CollectingSink } from "../support/collecting-sink.ts";

const HOSTILE: [string, string][] = [
  ["an unknown type byte", "?s3cret\r\n"],
  ["an empty line", "\r\n"],
  ["a bare line feed", "\n"],
  ["a zero byte", "\0"],
  ["a space before the type", " +OK\r\n"],
  ["a web server's answer", "HTTP/1.1 400 Bad Request\r\n\r\n"],
  ["an SSH banner", "SSH-2.0-OpenSSH_9.6\r\n"],
  ["a TLS alert", "\x15\x03\x01\x00\x02\x02\x46"],
  ["an inline command", "PING s3cret\r\n"],
  ["a RESP3 map", "%1\r\n+a\r\n+b\r\n"],
  ["a RESP3 null", "_\r\n"],
  ["a RESP3 boolean", "#t\r\n"],
  ["a RESP3 double", ",1.5\r\n"],
  ["a RESP3 push", ">1\r\n+a\r\n"],
  ["a status that ends in a line feed", "+s3cret\n"],
  ["a status with a lone carriage return", "+s3cret\rX"],
  ["an error of two lines", "-ERR s3cret\nmore\r\n"],
  ["an integer without digits", ":\r\n"],
  ["a sign without digits", ":-\r\n"],
  ["an integer with a plus", ":+1\r\n"],
  ["two signs", ":--1\r\n"],
  ["a sign at the end", ":1-\r\n"],
  ["a fraction", ":1.5\r\n"],
  ["an exponent", ":1e3\r\n"],
  ["a hexadecimal integer", ":0x10\r\n"],
  ["a space in an integer", ": 1\r\n"],
  ["an integer of 20 digits", ":10000000000000000000\r\n"],
  ["an integer that ends in a line feed", ":1\n"],
  ["an integer with a lone carriage return", ":1\rX"],
  ["a bulk string without a length", "$\r\n"],
  ["a bulk string of length -2", "$-2\r\n"],
  ["a bulk string of length -0", "$-0\r\n\r\n"],
  ["a bulk string of length -01", "$-01\r\n"],
  ["a bulk string of length -10", "$-10\r\n"],
  ["a bulk string whose length is a word", "$s3cret\r\n"],
  ["a bulk string longer than 512 MiB", "$536870913\r\n"],
  ["a bulk string of 2^63 bytes", "$9223372036854775808\r\n"],
  ["a bulk string longer than it says", "$3\r\ns3cret\r\n"],
  ["a bulk string that ends in a lone carriage return", "$3\r\nabc\rX"],
  ["an empty bulk string that is not empty", "$0\r\ns3cret\r\n"],
  ["a null bulk string with a body", "*2\r\n$-1\r\ns3cret\r\n"],
  ["an array without a length", "*\r\n"],
  ["an array of length -2", "*-2\r\n"],
  ["an array of length -0", "*-0\r\n"],
  ["an array longer than 2^26", "*67108865\r\n"],
  ["an array of 2^32 elements", "*4294967296\r\n"],
  ["arrays that together are longer than 2^26", "*40000000\r\n*40000000\r\n"],
  ["an array with a bad element", "*2\r\n$6\r\ns3cret\r\n?"],
  ["an array with a bad length inside", "*2\r\n:1\r\n$x\r\n"],
  ["an array with an integer without digits", "*3\r\n:1\r\n:\r\n:3\r\n"],
  ["an array with an integer that ends in a letter", "*3\r\n:1\r\n:2x\r\n:3\r\n"],
  ["an array with an integer that ends in a line feed", "*3\r\n:1\r\n:2\n:3\r\n"],
  ["an array with an integer with a lone carriage return", "*3\r\n:1\r\n:2\rX:3\r\n"],
  ["an array with an integer of 20 digits", "*3\r\n:1\r\n:10000000000000000000\r\n:3\r\n"],
];
const GOOD = "$6\r\nbefore\r\n";

/** What was delivered, and what was thrown, by `chunks`. */
function attempt(chunks: readonly Buffer[]): { delivered: readonly unknown[]; thrown: unknown } {
  const sink = new CollectingSink();
  const decoder = new ReplyDecoder(sink);
  try {
    for (const chunk of chunks) decoder.push(chunk);
  } catch (thrown) {
    return { delivered: sink.delivered, thrown };
  }
  return { delivered: sink.delivered, thrown: undefined };
}

function assertRefused(chunks: readonly Buffer[], what: string): void {
  const { delivered, thrown } = attempt(chunks);
  assert.ok(thrown instanceof ProtocolError, `${what}: ${thrown}`);
  assert.equal(thrown.code, "PROTOCOL");
  assert.equal(thrown.cause, undefined);
  assert.match(thrown.message, /^The server sent .{1,80}\.$/s);
  // Nothing of the stream, in no form: redis-parser's own error would carry it all.
  assert.doesNotMatch(inspect(thrown, { depth: 9, showHidden: true }), /s3cret|before|"type":"Buffer"|ParserError/);
  assert.deepEqual(delivered, [["reply", "before"]], what);
}

describe("bytes that are no reply", () => {
  for (const [what, bytes] of HOSTILE) {
    it(`${what}: a ProtocolError that quotes nothing; what came before is delivered, the bad reply is not`, () => {
      const stream = Buffer.from(GOOD + bytes, "latin1");
      assertRefused([stream], "in one chunk");
      for (let at = 1; at < stream.length; at++) {
        assertRefused([stream.subarray(0, at), stream.subarray(at)], `split at ${at}`);
      }
      assertRefused(
        Array.from(stream, (byte) => Buffer.from([byte])),
        "byte by byte",
      );
    });
  }

  it("are noticed at the first byte that no reply can have, without waiting for more", () => {
    for (const prefix of [
      "?",
      "+a\n",
      ":x",
      ":1-",
      "$-2\r\n",
      "$536870913\r\n",
      "*67108865\r\n",
      "$1\r\nab",
      "*1\r\n!",
    ]) {
      assert.ok(attempt([Buffer.from(prefix)]).thrown instanceof ProtocolError, JSON.stringify(prefix));
    }
  });

  it("are told from the largest lengths that are allowed", () => {
    for (const prefix of ["$536870912\r\n", "*67108864\r\n", "*2\r\n*67108862\r\n"]) {
      assert.deepEqual(attempt([Buffer.from(prefix)]), { delivered: [], thrown: undefined }, JSON.stringify(prefix));
    }
  });

  it("declared lengths alone cost no memory", () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    for (let round = 0; round < 5; round++) attempt([Buffer.from("*67108864\r\n$536870912\r\nx")]);
    const after = process.memoryUsage();
    assert.ok(after.heapUsed + after.arrayBuffers - heapUsed - arrayBuffers < 32 * 1024 * 1024);
  });
});
