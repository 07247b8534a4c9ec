import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { traitsOf } from "../../src/commands/traits.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import type { Argument } from "../../src/protocol/reply.ts";

const traits = (line: string) => {
  const [name = "", ...args] = line.split(" ");
  return traitsOf(name, args);
};

describe("the keys of a command", () => {
  const rows: [string, string[]][] = [
    ["GET k", ["k"]],
    ["get k", ["k"]],
    ["SET k v EX 10", ["k"]],
    ["MGET a b c", ["a", "b", "c"]],
    ["MSET a 1 b 2", ["a", "b"]],
    ["DEL a b", ["a", "b"]],
    ["HSET h f v", ["h"]],
    ["ZUNION 2 a b", ["a", "b"]],
    ["ZUNIONSTORE d 2 a b", ["d", "a", "b"]],
    ["SINTERCARD 2 a b LIMIT 5", ["a", "b"]],
    ["LMPOP 2 a b LEFT", ["a", "b"]],
    ["SORT a STORE b", ["a", "b"]],
    ["BITOP AND d a b", ["d", "a", "b"]],
    ["OBJECT ENCODING k", ["k"]],
    ["MEMORY USAGE k", ["k"]],
    ["XINFO STREAM k", ["k"]],
    ["XGROUP CREATE k g $", ["k"]],
    ["XADD k * f v", ["k"]],
    ["XREAD COUNT 1 STREAMS a b 0 0", ["a", "b"]],
    ["XREADGROUP GROUP g c STREAMS a >", ["a"]],
    ["EVAL return 1 k a", ["k"]],
    ["EVALSHA sha 2 k l a", ["k", "l"]],
    ["EVAL_RO return 0 a b", []],
    ["FCALL f 1 k a", ["k"]],
    ["SPUBLISH channel m", ["channel"]],
    ["PUBLISH channel m", []],
    ["PING", []],
    ["DBSIZE", []],
    ["SCRIPT LOAD x", []],
    ["CONFIG GET save", []],
    ["GET", []],
  ];
  for (const [line, keys] of rows) {
    it(`${line} has ${keys.length === 0 ? "none" : keys.join(", ")}`, () => {
      assert.deepEqual(traits(line).keys, keys);
    });
  }

  it("are given as they came, of whatever kind they are", () => {
    const args: Argument[] = [Buffer.from([0xff]), 1n, 7, "v"];
    const { keys } = traitsOf("MSET", args);
    assert.deepEqual(keys, [args[0], args[2]]);
    assert.equal(keys[0], args[0]);
  });

  it("are counted by a number, a bigint, a text or a Buffer alike", () => {
    for (const count of [2, 2n, "2", Buffer.from("2")]) {
      assert.deepEqual(traitsOf("EVAL", ["return 1", count, "k", "l", "a"]).keys, ["k", "l"]);
    }
  });

  it("are never more than the arguments: another number of keys is refused before it is believed", () => {
    for (const count of ["2", "100", "4294967295", "-1", "1.5", "k"]) {
      assert.throws(() => traits(`EVAL x ${count} k`), {
        code: "INVALID_ARGUMENT",
        message: "EVAL: argument 2 must be the number of keys; accepted is a whole number from 0 to 1.",
      });
    }
    assert.throws(() => traits("ZUNION 1000000000 k"), { code: "INVALID_ARGUMENT" });
    assert.deepEqual(traits("EVAL x").keys, [], "one that is missing is the server's to refuse");
  });

  it("of a command that nobody knows are its first argument", () => {
    assert.deepEqual(traits("JSON.SET k $ 1"), {
      keys: ["k"],
      slot: undefined,
      readOnly: false,
      runsCode: false,
      blocking: undefined,
    });
    assert.deepEqual(traits("MYMODULE.THING").keys, []);
  });
});

describe("readOnly", () => {
  for (const line of [
    "GET k",
    "MGET a b",
    "HGETALL h",
    "ZRANGE z 0 1",
    "EVAL_RO x 1 k",
    "EVALSHA_RO s 1 k",
    "SINTERCARD 1 a",
  ]) {
    it(`holds for ${line}`, () => assert.equal(traits(line).readOnly, true));
  }
  for (const line of [
    "SET k v",
    "INCR k",
    "GETDEL k",
    "GETSET k v",
    "EVAL x 1 k",
    "EVALSHA s 1 k",
    "FCALL f 1 k",
    "SORT k",
    "XREADGROUP GROUP g c STREAMS s >",
    "SPOP k",
    "JSON.GET k",
    "PUBLISH c m",
  ]) {
    it(`does not hold for ${line}`, () => assert.equal(traits(line).readOnly, false));
  }
});

describe("runsCode", () => {
  for (const name of ["EVAL", "evalsha", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"]) {
    it(`holds for ${name}`, () => assert.equal(traitsOf(name, ["x", 1, "k"]).runsCode, true));
  }
  for (const name of ["GET", "SET", "SCRIPT", "FUNCTION", "JSON.GET"]) {
    it(`does not hold for ${name}`, () => assert.equal(traitsOf(name, ["k", "v"]).runsCode, false));
  }
});

describe("refused are", () => {
  const refused = (line: string, why: RegExp) =>
    assert.throws(
      () => traits(line),
      (error: unknown) => {
        assert.ok(error instanceof InvalidArgumentError, line);
        assert.match(error.message, why);
        assert.match(error.message, new RegExp(`^${(line.split(" ")[0] as string).toUpperCase()} `));
        assert.doesNotMatch(error.message, /^(CLIENT|CLUSTER|SCRIPT) cannot/);
        return true;
      },
    );

  it("commands that turn a connection into a stream, and those that end it: the methods are named", () => {
    refused("Monitor", /stream of messages/);
    for (const name of ["SUBSCRIBE", "psubscribe", "Ssubscribe"]) {
      refused(`${name} c`, new RegExp(`stream of messages; ${name.toLowerCase()}\\(\\) has connections for that`));
    }
    for (const name of ["UNSUBSCRIBE", "punsubscribe", "Sunsubscribe"])
      refused(`${name} c`, /close\(\) of a subscription/);
  });

  it("the parts of a transaction", () => {
    for (const name of ["MULTI", "exec", "DISCARD", "WATCH k", "UNWATCH"]) refused(name, /connection of its own/);
  });

  it("commands that change the state of a connection", () => {
    const names = "AUTH HELLO RESET QUIT SELECT ASKING READONLY READWRITE SYNC PSYNC REPLCONF asking Select".split(" ");
    for (const name of names) refused(name, /state of a connection/);
    for (const sub of ["REPLY OFF", "reply skip", "TRACKING ON", "CACHING YES", "NO-EVICT ON", "no-touch on"]) {
      refused(`CLIENT ${sub}`, /state of a connection/);
    }
    for (const line of ["CLIENT CAPA redirect", "client import-source ON", "SCRIPT DEBUG YES", "CLUSTER SYNCSLOTS x"]) {
      refused(line, /state of a connection/);
    }
  });

  it("commands that wait for what their own connection wrote", () => {
    for (const line of ["WAIT 1 0", "WAITAOF 1 1 0"]) refused(line, /writes of its own connection/);
  });

  it("also where bytes are given for text", () => {
    const bytes = (text: string) => new Uint8Array(Buffer.from(text));
    assert.throws(() => traitsOf("CLIENT", [bytes("REPLY"), "OFF"]), { code: "INVALID_ARGUMENT" });
    assert.deepEqual(traitsOf("EVAL", ["return 1", bytes("1"), "k", "a"]).keys, ["k"]);
  });

  it("not a stream that is called block", () => {
    assert.deepEqual(traitsOf("XREAD", ["STREAMS", "block", "0"]).keys, ["block"]);
  });

  it("not those that only resemble them", () => {
    for (const line of [
      "CLIENT LIST",
      "CLIENT NO",
      "SCRIPT KILL",
      "CLUSTER INFO",
      "LPOP k",
      "XREAD STREAMS s 0",
      "XRANGE s - +",
      "EXECUTE k",
    ]) {
      assert.doesNotThrow(() => traits(line), line);
    }
  });

  const names: unknown[] = ["", " ", "GET k", "GET\r\nFLUSHALL", "é", undefined, null, 5, ["GET"], {}];
  for (const name of names) {
    it(`names that are not one word: ${JSON.stringify(name)}`, () => {
      assert.throws(() => traitsOf(name as string, []), { code: "INVALID_ARGUMENT", message: /A command's name is / });
    });
  }
});
