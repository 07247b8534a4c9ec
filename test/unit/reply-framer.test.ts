import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_DECODED_DEPTH, OversizedReplyError, ReplyFramer } from "../../src/protocol/reply-framer.ts";

const scan = (framer: ReplyFramer, text: string, start = 0) => {
  framer.scan(Buffer.from(text), start);
  const { firstEnd, lastEnd, tooDeepEnd } = framer;
  return { firstEnd, lastEnd, tooDeepEnd };
};

describe("ReplyFramer", () => {
  it("finds where the first and the last whole reply of a chunk end", () => {
    const framer = new ReplyFramer();
    assert.deepEqual(scan(framer, "+a\r\n:1\r\n$3\r\nab"), { firstEnd: 4, lastEnd: 8, tooDeepEnd: -1 });
    assert.deepEqual(scan(framer, "c\r\n*1\r\n+x\r\n-"), { firstEnd: 3, lastEnd: 11, tooDeepEnd: -1 });
  });

  it("finds none in a chunk that ends none", () => {
    const framer = new ReplyFramer();
    assert.deepEqual(scan(framer, "*2\r\n+a\r\n"), { firstEnd: -1, lastEnd: -1, tooDeepEnd: -1 });
    assert.deepEqual(scan(framer, ""), { firstEnd: -1, lastEnd: -1, tooDeepEnd: -1 });
    assert.deepEqual(scan(framer, "+b\r\n"), { firstEnd: 4, lastEnd: 4, tooDeepEnd: -1 });
  });

  it("is not misled by what stands inside a bulk string", () => {
    const framer = new ReplyFramer();
    assert.deepEqual(scan(framer, "$11\r\n*9\r\n$-1\r\n:x\r\n"), { firstEnd: 18, lastEnd: 18, tooDeepEnd: -1 });
  });

  it("stops after a reply too deep to decode, and goes on from there", () => {
    const framer = new ReplyFramer();
    const deep = `${"*1\r\n".repeat(MAX_DECODED_DEPTH + 1)}+x\r\n`;
    const chunk = `+a\r\n${deep}+b\r\n`;
    const tooDeepEnd = 4 + deep.length;
    assert.deepEqual(scan(framer, chunk), { firstEnd: 4, lastEnd: 4, tooDeepEnd });
    assert.deepEqual(scan(framer, chunk, tooDeepEnd), {
      firstEnd: chunk.length,
      lastEnd: chunk.length,
      tooDeepEnd: -1,
    });
  });

  it("notes integers past 2^53 only, exact and in order", () => {
    const framer = new ReplyFramer();
    scan(framer, ":9007199254740991\r\n:9007199254740993\r\n*1\r\n:-9007199254740995\r\n:-9007199254740991\r\n");
    assert.deepEqual(framer.bigIntegers, [9007199254740993n, -9007199254740995n]);
  });

  it("notes errors inside arrays, not those that stand alone", () => {
    const framer = new ReplyFramer();
    scan(framer, "-ERR alone\r\n*1\r\n+x\r\n-ERR alone\r\n");
    assert.equal(framer.sawNestedError, false);
    scan(framer, "*1\r\n-ERR inside\r\n");
    assert.equal(framer.sawNestedError, true);
  });
});

describe("the bound of a reply", () => {
  const framed = (most: number, ...chunks: string[]) => {
    const framer = new ReplyFramer(most);
    for (const chunk of chunks) framer.scan(Buffer.from(chunk), 0);
    return framer.isBetweenReplies;
  };
  const refuses = (most: number, ...chunks: string[]) =>
    assert.throws(
      () => framed(most, ...chunks),
      (error: unknown) => {
        assert.ok(error instanceof OversizedReplyError, String(error));
        assert.deepEqual([error.code, error.name], ["PROTOCOL", "ProtocolError"]);
        assert.match(error.message, /`maxReplyBytes`/);
        return true;
      },
    );

  it("allows a bulk string of exactly its bytes, and refuses a longer one when it is announced", () => {
    assert.equal(framed(100, "$100\r\n", `${"x".repeat(100)}\r\n`), true);
    refuses(100, "$101\r\n");
    assert.equal(framed(10_000_000_000, "$4294967296\r\n"), false);
  });

  it("counts 8 bytes for each element that an array announces, nested ones too", () => {
    assert.equal(framed(80, "*10\r\n"), false);
    refuses(80, "*11\r\n");
    refuses(80, "*5\r\n*6\r\n");
    refuses(1000, "*90\r\n$500\r\n");
  });

  it("is met by bytes that nothing announces: a line without end, and small elements", () => {
    refuses(1000, "+", ...Array.from({ length: 11 }, () => "x".repeat(100)));
    refuses(1000, "*100\r\n", ...Array.from({ length: 99 }, () => "$5\r\nabcde\r\n"));
  });

  it("is each reply's own, whether replies share chunks or not", () => {
    assert.equal(framed(100, ...Array.from({ length: 50 }, () => `+${"x".repeat(90)}\r\n`)), true);
    assert.equal(framed(100, Array.from({ length: 50 }, () => `*2\r\n$5\r\nabcde\r\n:1\r\n`).join("")), true);
    assert.equal(framed(100, `${"+x\r\n".repeat(100)}+ab`, `c\r\n${"+x\r\n".repeat(100)}`), true);
  });
});
