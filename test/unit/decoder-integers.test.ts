import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decode } from "../support/collecting-sink.ts";
import { seeded } from "../support/random-keys.ts";

const exact: [string, number | bigint][] = [
  ["0", 0],
  ["-1", -1],
  ["1000000000000000", 1_000_000_000_000_000],
  ["9007199254740990", Number.MAX_SAFE_INTEGER - 1],
  ["9007199254740991", Number.MAX_SAFE_INTEGER],
  ["-9007199254740991", Number.MIN_SAFE_INTEGER],
  ["9007199254740992", 2n ** 53n],
  ["-9007199254740992", -(2n ** 53n)],
  ["9007199254740993", 2n ** 53n + 1n],
  ["-9007199254740993", -(2n ** 53n) - 1n],
  ["1000000000000000001", 1_000_000_000_000_000_001n],
  ["9223372036854775806", 2n ** 63n - 2n],
  ["9223372036854775807", 2n ** 63n - 1n],
  ["-9223372036854775808", -(2n ** 63n)],
  ["0000000000000000007", 7],
  ["0009007199254740993", 2n ** 53n + 1n],
];

describe("integers", () => {
  for (const [text, value] of exact) {
    it(`${text} is exact, as a ${typeof value}, alone and in arrays, as strings or Buffers`, () => {
      for (const buffers of [false, true]) {
        assert.deepEqual(
          decode([`:${text}\r\n*2\r\n*1\r\n:${text}\r\n:${text}\r\n`], () => buffers),
          [
            ["reply", value],
            ["reply", [[value], value]],
          ],
        );
      }
    });
  }

  it("of every size keep their places in one nested reply", () => {
    const lines = exact.map(([text]) => `:${text}\r\n`);
    const nested = `*3\r\n*${lines.length}\r\n${lines.join("")}+x\r\n*${lines.length}\r\n${lines.reverse().join("")}`;
    const values = exact.map(([, value]) => value);
    assert.deepEqual(decode([nested]), [["reply", [values, "x", [...values].reverse()]]]);
  });

  it("of every size keep their places in arrays that are cut anywhere, and so do the replies behind them", () => {
    const array = (lines: string[]) => `*${lines.length}\r\n${lines.join("")}`;
    const lines = exact.map(([text]) => `:${text}\r\n`);
    const short = [":1\r\n", ":20\r\n", "*0\r\n", "*1\r\n:3\r\n", ":12345678901234\r\n", "+x\r\n", ":5\r\n"];
    const stream = Buffer.from(`${array([array(lines), array(short)])}:8\r\n${array(short)}`);
    const values = exact.map(([, value]) => value);
    const shortValues = [1, 20, [], [3], 12_345_678_901_234, "x", 5];
    const expected = [[values, shortValues], 8, shortValues].map((reply) => ["reply", reply]);
    for (let at = 1; at <= stream.length; at++) {
      assert.deepEqual(decode([stream.subarray(0, at), stream.subarray(at)]), expected, `cut at ${at}`);
    }
    assert.deepEqual(decode(Array.from(stream, (byte) => Buffer.from([byte]))), expected);
  });

  it("are exact over 5,000 random ones, cut anywhere", () => {
    const random = seeded(5);
    const values = Array.from({ length: 5000 }, () => {
      const digits = 1 + Math.floor(random() * 18);
      const text = Array.from({ length: digits }, () => Math.floor(random() * 10)).join("");
      return BigInt(random() < 0.5 ? text : `-${text}`);
    });
    const stream = Buffer.from(values.map((value) => `:${value}\r\n`).join(""));
    const chunks: Buffer[] = [];
    for (let at = 0; at < stream.length; ) {
      const next = at + 1 + Math.floor(random() * 60);
      chunks.push(stream.subarray(at, next));
      at = next;
    }
    const delivered = decode(chunks);
    assert.equal(delivered.length, values.length);
    delivered.forEach(([, reply], index) => {
      const value = values[index] as bigint;
      const safe = value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER);
      assert.equal(reply, safe ? Number(value) : value);
    });
  });
});
