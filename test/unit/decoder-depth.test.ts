import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProtocolError, ReplyError } from "../../src/errors.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import { decode } from "../support/collecting-sink.ts";

const nested = (depth: number, core: string) => "*1\r\n".repeat(depth) + core;

function depthOf(reply: Reply): { depth: number; core: Reply } {
  let depth = 0;
  let core = reply;
  while (Array.isArray(core)) {
    core = core[0] as Reply;
    depth++;
  }
  return { depth, core };
}

describe("nesting", () => {
  it("is decoded right down to 1000 arrays", () => {
    for (const depth of [1, 999, 1000]) {
      const [delivery] = decode([nested(depth, ":9007199254740993\r\n")]);
      assert.deepEqual(depthOf((delivery as ["reply", Reply])[1]), { depth, core: 9007199254740993n });
    }
  });

  it("of 1000 arrays is decoded when an error is inside and Buffers are wanted, too", () => {
    const [delivery] = decode([nested(1000, "-ERR x\r\n")], () => true);
    assert.deepEqual(depthOf((delivery as ["reply", Reply])[1]), { depth: 1000, core: new ReplyError("ERR x") });
  });

  for (const depth of [1001, 5000, 8192]) {
    it(`of ${depth} arrays is undecodable, and its neighbours are right`, () => {
      const deep = nested(depth - 1, "*3\r\n:9223372036854775807\r\n-ERR inside\r\n$4\r\nbody\r\n");
      const stream = `:9007199254740993\r\n${deep}:9007199254740995\r\n*1\r\n-ERR after\r\n+end\r\n`;
      const expected = [
        ["reply", 9007199254740993n],
        ["undecodable"],
        ["reply", 9007199254740995n],
        ["reply", [new ReplyError("ERR after")]],
        ["reply", "end"],
      ];
      assert.deepEqual(decode([stream]), expected);
      for (let at = 1; at < stream.length; at += 997) {
        assert.deepEqual(decode([stream.slice(0, at), stream.slice(at)]), expected, `split at ${at}`);
      }
    });
  }

  it("too deep twice in a row, and in one chunk with whole replies on both sides, costs two replies", () => {
    const deep = nested(1001, "+x\r\n");
    assert.deepEqual(decode([`+a\r\n${deep}${deep}+b\r\n${deep}`]), [
      ["reply", "a"],
      ["undecodable"],
      ["undecodable"],
      ["reply", "b"],
      ["undecodable"],
    ]);
  });

  it("of more arrays than a server's Lua can return is refused", () => {
    assert.throws(() => decode([nested(8193, "+x\r\n")]), ProtocolError);
  });

  it("many arrays side by side are not deep", () => {
    const wide = `*3000\r\n${"*1\r\n:1\r\n".repeat(3000)}`;
    const [delivery] = decode([wide]);
    assert.equal((delivery as ["reply", Reply[]])[1].length, 3000);
  });
});
