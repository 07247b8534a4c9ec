import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { ProtocolError, ReplyError } from "../../src/errors.ts";
import { ReplyDecoder } from "../../src/protocol/decoder.ts";
import { CollectingSink, type Delivery, decode } from "../support/collecting-sink.ts";

/** Every kind of reply, with what it becomes when odd replies are wanted as Buffers. */
const MIXED: [string, Delivery][] = [
  ["+OK\r\n", ["reply", "OK"]],
  ["$5\r\nhéllo\r\n".replace("$5", "$6"), ["reply", Buffer.from("héllo")]],
  [":-12\r\n", ["reply", -12]],
  [":9223372036854775807\r\n", ["reply", 2n ** 63n - 1n]],
  ["$-1\r\n", ["reply", null]],
  ["*-1\r\n", ["reply", null]],
  ["*0\r\n", ["reply", []]],
  ["-ERR boom\r\n", ["error", "ERR boom"]],
  ["$0\r\n\r\n", ["reply", ""]],
  ["*2\r\n$4\r\n\r\n\r\n\r\n-ERR in here\r\n", ["reply", [Buffer.from("\r\n\r\n"), new ReplyError("ERR in here")]]],
  ["*3\r\n*1\r\n:9007199254740993\r\n*-1\r\n$3\r\n€\r\n", ["reply", [[9007199254740993n], null, "€"]]],
  ["+\r\n", ["reply", Buffer.from("")]],
  ["-\r\n", ["error", ""]],
  [":-9007199254740992\r\n", ["reply", -(2n ** 53n)]],
];
const STREAM = Buffer.from(MIXED.map(([bytes]) => bytes).join(""));
const EXPECTED = MIXED.map(([, delivery]) => delivery);
const oddOnes = (index: number) => index % 2 === 1;

describe("ReplyDecoder", () => {
  it("gives the same replies wherever the stream is split in two", () => {
    for (let at = 0; at <= STREAM.length; at++) {
      assert.deepEqual(decode([STREAM.subarray(0, at), STREAM.subarray(at)], oddOnes), EXPECTED, `split at ${at}`);
    }
  });

  it("tells the bytes of each reply, and gives the same ones with and without the parser", () => {
    const plain = ["+OK", ":0", ":-7", ":123456789012345", "$0\r\n", "$-1", "$5\r\n€xy", "$3\r\n\r\n:"];
    const replies = ["OK", 0, -7, 123456789012345, "", null, "€xy", "\r\n:"];
    // An array in front makes the framer and the parser read all that came with it.
    for (const ahead of ["", "*0\r\n"]) {
      const bytes: number[] = [];
      const sink = new CollectingSink();
      const decoder = new ReplyDecoder(sink);
      const onReply = sink.onReply.bind(sink);
      sink.onReply = (reply) => {
        bytes.push(decoder.takeReplyBytes());
        onReply(reply);
      };
      decoder.push(Buffer.from(`${ahead}${plain.join("\r\n")}\r\n`));
      const skip = ahead === "" ? 0 : 1;
      assert.deepEqual(
        sink.delivered.slice(skip),
        replies.map((reply) => ["reply", reply]),
      );
      assert.deepEqual(
        bytes.slice(skip),
        plain.map((each) => Buffer.byteLength(each) + 2),
      );
    }
  });

  it("leaves to the framer what only begins like an integer or a bulk string", () => {
    const broken = [
      ":",
      ":-",
      ":1x",
      ":1\n",
      ":+1",
      ":1\rx",
      "$",
      "$1\r\nab\r",
      "$-2\r\n",
      "$-01\r\n",
      "$1\r\na\n\n",
      "$x",
    ];
    for (const each of broken) {
      assert.throws(() => decode([`:1\r\n${each}\r\n`]), ProtocolError, JSON.stringify(each));
      assert.throws(() => decode([`*0\r\n${each}\r\n`]), ProtocolError, JSON.stringify(each));
    }
    assert.deepEqual(decode([":007\r\n$02\r\nab\r\n:-0\r\n"]), decode([":007\r\n", "$02\r\nab", "\r\n:-", "0\r\n"]));
  });

  it("gives the same replies in chunks of any one size", () => {
    for (let size = 1; size < 40; size++) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < STREAM.length; at += size) chunks.push(STREAM.subarray(at, at + size));
      assert.deepEqual(decode(chunks, oddOnes), EXPECTED, `chunks of ${size}`);
    }
  });

  it("tells OK by its bytes wherever it stands, and what only begins like it, Buffers wanted or not", () => {
    const replies = ["OK", "OK", "OX", "XK", "OKAY", "OK", "O", "OK", "OK", "", "OK"];
    const bytes = Buffer.from(replies.map((text) => `+${text}\r\n`).join(""));
    for (const wanted of [() => false, oddOnes, () => true]) {
      const expected = replies.map((text, index) => ["reply", wanted(index) ? Buffer.from(text) : text]);
      for (let at = 0; at <= bytes.length; at++) {
        assert.deepEqual(decode([bytes.subarray(0, at), bytes.subarray(at)], wanted), expected, `split at ${at}`);
      }
    }
    const inside = "*2\r\n$5\r\n+OK\r\n\r\n+OK\r\n+OK\r\n";
    for (let at = 0; at <= inside.length; at++) {
      assert.deepEqual(decode([inside.slice(0, at), inside.slice(at)]), [
        ["reply", ["+OK\r\n", "OK"]],
        ["reply", "OK"],
      ]);
    }
    for (const broken of ["+OK\n", "+OK\rx"]) assert.throws(() => decode([`+OK\r\n${broken}`]), ProtocolError);
  });

  it("delivers a reply with its last byte, and not before", () => {
    for (const [bytes] of MIXED) {
      const sink = new CollectingSink();
      const decoder = new ReplyDecoder(sink);
      const whole = Buffer.from(bytes);
      decoder.push(whole.subarray(0, -1));
      assert.equal(sink.delivered.length, 0, JSON.stringify(bytes));
      decoder.push(whole.subarray(-1));
      assert.equal(sink.delivered.length, 1, JSON.stringify(bytes));
    }
  });

  it("keeps the null bulk string and the null array apart from the empty ones", () => {
    assert.deepEqual(decode(["$-1\r\n*-1\r\n$0\r\n\r\n*0\r\n*3\r\n$-1\r\n*-1\r\n*0\r\n"]), [
      ["reply", null],
      ["reply", null],
      ["reply", ""],
      ["reply", []],
      ["reply", [null, null, []]],
    ]);
  });

  it("makes an error inside an array a ReplyError with the server's text, also two arrays deep and beside others", () => {
    const [delivery] = decode(["*3\r\n:1\r\n-WRONGTYPE no\r\n*2\r\n-ERR inner\r\n+x\r\n"]);
    const [, reply] = delivery as ["reply", [number, ReplyError, [ReplyError, string]]];
    assert.ok(reply[1] instanceof ReplyError && reply[2][0] instanceof ReplyError);
    assert.equal(reply[1].reply, "WRONGTYPE no");
    assert.equal(reply[1].code, "REPLY");
    assert.equal(reply[1].outcome, "executed");
    assert.equal(reply[2][0].reply, "ERR inner");
    assert.equal(reply[2][1], "x");
  });

  it("gives errors inside arrays as ReplyError when Buffers are wanted, too", () => {
    assert.deepEqual(
      decode(["*2\r\n-ERR é\r\n$1\r\nx\r\n"], () => true),
      [["reply", [new ReplyError("ERR é"), Buffer.from("x")]]],
    );
  });

  it("passes the error's text untouched, whatever is wanted", () => {
    for (const buffers of [true, false]) {
      assert.deepEqual(
        decode(["-MOVED 1 é:7000 \r\n"], () => buffers),
        [["error", "MOVED 1 é:7000 "]],
      );
    }
  });

  it("switches between strings and Buffers from one reply to the next, within one chunk", () => {
    const delivered = decode(["$1\r\na\r\n$1\r\nb\r\n-ERR c\r\n+d\r\n*1\r\n$1\r\ne\r\n$1\r\nf\r\n"], oddOnes);
    assert.deepEqual(delivered, [
      ["reply", "a"],
      ["reply", Buffer.from("b")],
      ["error", "ERR c"],
      ["reply", Buffer.from("d")],
      ["reply", ["e"]],
      ["reply", Buffer.from("f")],
    ]);
  });

  it("asks what is wanted after the reply before it was taken, not earlier", () => {
    const sink = new CollectingSink();
    let buffers = false;
    const decoder = new ReplyDecoder({
      nextWantsBuffers: () => buffers,
      onReply: (reply) => {
        sink.onReply(reply);
        buffers = reply === "switch";
      },
      onErrorReply: (text) => sink.onErrorReply(text),
      onUndecodable: () => sink.onUndecodable(),
    });
    decoder.push(Buffer.from("+switch\r\n+x\r\n+y\r\n"));
    decoder.push(Buffer.from("+switch\r\n"));
    decoder.push(Buffer.from("+x\r\n+y\r\n"));
    const round = [
      ["reply", "switch"],
      ["reply", Buffer.from("x")],
      ["reply", "y"],
    ];
    assert.deepEqual(sink.delivered, [...round, ...round]);
  });

  it("gives Buffers that own their bytes: the chunk may be used again", () => {
    const whole = Buffer.from("$3\r\nabc\r\n*2\r\n+def\r\n*1\r\n$3\r\nghi\r\n");
    for (const at of [0, 6, 20]) {
      const sink = new CollectingSink(() => true);
      const decoder = new ReplyDecoder(sink);
      for (const part of [whole.subarray(0, at), whole.subarray(at)]) {
        const chunk = Buffer.from(part);
        decoder.push(chunk);
        chunk.fill("#");
      }
      assert.deepEqual(sink.delivered, [
        ["reply", Buffer.from("abc")],
        ["reply", [Buffer.from("def"), [Buffer.from("ghi")]]],
      ]);
    }
  });

  it("gives Buffers that share nothing with each other", () => {
    const [first, second] = decode(["$3\r\nabc\r\n$3\r\ndef\r\n"], () => true).map(([, reply]) => reply as Buffer);
    first?.fill("#");
    assert.deepEqual(second, Buffer.from("def"));
  });

  it("keeps strings that were cut in the middle of a character whole", () => {
    const whole = Buffer.from(`$9\r\n€😀é\r\n`);
    for (let at = 4; at < whole.length; at++) {
      const chunk = Buffer.from(whole.subarray(0, at));
      const sink = new CollectingSink();
      const decoder = new ReplyDecoder(sink);
      decoder.push(chunk);
      chunk.fill("#");
      decoder.push(whole.subarray(at));
      assert.deepEqual(sink.delivered, [["reply", "€😀é"]]);
    }
  });

  it("takes a 1 MiB string in chunks of 1 KiB, copying each byte a fixed number of times", () => {
    const text = "0123456789abcdef".repeat(2 ** 16);
    const stream = Buffer.from(`$${text.length}\r\n${text}\r\n+next\r\n`);
    let copied = 0;
    const { concat } = Buffer;
    const watched = mock.method(Buffer, "concat", (parts: Uint8Array[], total?: number) => {
      const whole = concat(parts, total);
      copied += whole.length;
      return whole;
    });
    try {
      const sink = new CollectingSink();
      const decoder = new ReplyDecoder(sink);
      for (let at = 0; at < stream.length; at += 1024) decoder.push(stream.subarray(at, at + 1024));
      assert.deepEqual(sink.delivered, [
        ["reply", text],
        ["reply", "next"],
      ]);
    } finally {
      watched.mock.restore();
    }
    assert.ok(copied <= 2 * stream.length, `${copied} bytes were copied`);
  });

  it("lets a ProtocolError of its sink through, and says nothing of any other error's words", () => {
    const failing = (error: Error) => {
      const sink = new CollectingSink();
      sink.onReply = () => {
        throw error;
      };
      return () => new ReplyDecoder(sink).push(Buffer.from("+secret\r\n"));
    };
    const own = new ProtocolError("nobody waits");
    assert.throws(failing(own), (thrown: unknown) => thrown === own);
    assert.throws(failing(new RangeError("secret")), (thrown: unknown) => {
      assert.ok(thrown instanceof ProtocolError);
      assert.doesNotMatch(thrown.message, /secret/);
      assert.equal(thrown.cause, undefined);
      return true;
    });
  });
});
