import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InvalidArgumentError } from "../../src/errors.ts";
import { binaryOf, bulk, encodeCommand, inOnePiece, kindOf } from "../../src/protocol/encode.ts";
import type { Argument } from "../../src/protocol/reply.ts";
import { randomKeys } from "../support/random-keys.ts";

const bytesOf = (binary: string) => Buffer.from(binary, "latin1");

/** The command again, by a reader of its own. */
function readBack(frame: string): Buffer[] {
  const bytes = bytesOf(frame);
  let at = 0;
  const number = (mark: string) => {
    const end = bytes.indexOf("\r\n", at);
    const line = bytes.toString("latin1", at, end);
    assert.equal(line[0], mark);
    at = end + 2;
    return Number(line.slice(1));
  };
  const args = Array.from({ length: number("*") }, () => {
    const length = number("$");
    const value = bytes.subarray(at, at + length);
    assert.equal(bytes.toString("latin1", at + length, at + length + 2), "\r\n");
    at += length + 2;
    return value;
  });
  assert.equal(at, bytes.length, "nothing follows the last argument");
  return args;
}

describe("encodeCommand", () => {
  it("writes an array of bulk strings", () => {
    assert.equal(encodeCommand(["SET", "k", "value"]), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n");
    assert.equal(encodeCommand(["PING"]), "*1\r\n$4\r\nPING\r\n");
    assert.equal(encodeCommand(["ECHO", ""]), "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n");
  });

  it("counts bytes, not characters", () => {
    assert.equal(encodeCommand(["é€😀"]), `*1\r\n$9\r\n${Buffer.from("é€😀").toString("latin1")}\r\n`);
  });

  it("sends numbers and bigints as decimal text", () => {
    const cases: [Argument, string][] = [
      [0, "0"],
      [-0, "0"],
      [-17, "-17"],
      [1.5, "1.5"],
      [1e21, "1e+21"],
      [Number.POSITIVE_INFINITY, "Infinity"],
      [2n ** 70n, "1180591620717411303424"],
      [-1n, "-1"],
    ];
    for (const [value, text] of cases) assert.deepEqual(readBack(encodeCommand([value])), [Buffer.from(text)]);
  });

  it("passes every byte of a Buffer and of a Uint8Array untouched", () => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    assert.deepEqual(readBack(encodeCommand([Buffer.from(all), all])), [Buffer.from(all), Buffer.from(all)]);
  });

  it("sends of a view only the bytes that it shows", () => {
    const whole = Uint8Array.from([1, 2, 3, 4, 5]);
    assert.deepEqual(readBack(encodeCommand([whole.subarray(1, 3)])), [Buffer.from([2, 3])]);
    assert.deepEqual(readBack(encodeCommand([Buffer.from(whole).subarray(3)])), [Buffer.from([4, 5])]);
  });

  it("sends an unpaired surrogate as U+FFFD, as Node's UTF-8 does", () => {
    assert.deepEqual(readBack(encodeCommand(["\ud83d", "a\ude00b"])), [
      Buffer.from([0xef, 0xbf, 0xbd]),
      Buffer.from([0x61, 0xef, 0xbf, 0xbd, 0x62]),
    ]);
  });

  it("encodes text right at every length, with the odd character anywhere", () => {
    for (const length of [0, 1, 62, 63, 64, 65, 66, 200, 1022, 1023, 1024, 1025, 100_000]) {
      const ascii = "x".repeat(length);
      for (const text of [ascii, `${ascii}é`, `é${ascii}`, `${ascii}\x7f`, `${ascii}\x80`, `${ascii}\ud800`]) {
        assert.deepEqual(readBack(encodeCommand([text])), [Buffer.from(text)], `${length} characters`);
      }
    }
  });

  it("can be read back, whatever the arguments hold", () => {
    const values = randomKeys(2000, 7);
    for (let index = 0; index < values.length; index += 5) {
      const args = values.slice(index, index + 5);
      assert.deepEqual(
        readBack(encodeCommand(args)),
        args.map((arg) => Buffer.from(arg)),
      );
    }
  });

  it("names the position of an argument of the wrong kind", () => {
    assert.throws(() => encodeCommand(["SET", "k", null as never]), {
      code: "INVALID_ARGUMENT",
      outcome: "not-executed",
      message: "argument 3 is null; accepted are string, Buffer, Uint8Array, number (not NaN) and bigint.",
    });
  });
});

describe("binaryOf", () => {
  const refused: [string, unknown, RegExp][] = [
    ["undefined", undefined, /is undefined;/],
    ["null", null, /is null;/],
    ["NaN", Number.NaN, /is NaN;/],
    ["a boolean", true, /is of type boolean;/],
    ["a symbol", Symbol("s3cret"), /is of type symbol;/],
    ["a function", () => "s3cret", /is of type function;/],
    ["an array", ["s3cret"], /is an array;/],
    ["an object", { password: "s3cret" }, /is of type object;/],
    ["a Date", new Date(0), /is of type object;/],
    ["a boxed string", Object("s3cret"), /is of type object;/],
    ["an ArrayBuffer", new ArrayBuffer(2), /is of type object;/],
    ["a Uint16Array", new Uint16Array(2), /is of type object;/],
    ["a DataView", new DataView(new ArrayBuffer(2)), /is of type object;/],
  ];
  for (const [what, value, message] of refused) {
    it(`refuses ${what}, saying what it is and not what it holds`, () => {
      assert.throws(
        () => binaryOf(value as Argument, "key", 1),
        (error: unknown) => {
          assert.ok(error instanceof InvalidArgumentError);
          assert.match(error.message, /^key 2 is /);
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /s3cret/);
          return true;
        },
      );
    });
  }
});

describe("bulk, inOnePiece and kindOf", () => {
  it("bulk states the length at every size", () => {
    for (const length of [0, 1, 1023, 1024, 70_000]) {
      assert.equal(bulk("x".repeat(length)), `$${length}\r\n${"x".repeat(length)}\r\n`);
    }
  });

  it("inOnePiece changes no byte", () => {
    const binary = String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte));
    assert.equal(inOnePiece(binary + binary), binary + binary);
  });

  it("kindOf never shows a value", () => {
    const values = [12345, "12345", [12345], { a: 12345 }, 12345n];
    for (const value of values) assert.doesNotMatch(kindOf(value), /12345/);
  });
});
