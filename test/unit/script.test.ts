import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { InvalidArgumentError } from "../../src/errors.ts";
import { defineScript, isScript } from "../../src/scripts/script.ts";
import type { ScriptDefinition } from "../../src/scripts/script-definition.ts";

const define = (definition: object) =>
  defineScript({ name: "n", source: "return 1", ...definition } as ScriptDefinition);

describe("defineScript", () => {
  it("fills in the defaults", () => {
    const { call, origin, ...script } = defineScript({ name: "one", source: "return 1" });
    assert.equal(typeof call, "function");
    assert.deepEqual([1, 2].map(origin), [{ file: undefined, line: 1, text: "return 1" }, undefined]);
    assert.deepEqual(script, {
      name: "one",
      source: "return 1",
      sha: "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
      numberOfKeys: undefined,
      keys: undefined,
      numberOfArgs: undefined,
      args: undefined,
      readOnly: false,
      idempotent: false,
      replies: "string",
      parse: undefined,
      file: undefined,
    });
  });

  it("keeps what it is given", () => {
    const parse = () => 7;
    const script = define({ numberOfKeys: 2, idempotent: true, replies: "buffer", parse });
    assert.deepEqual([script.numberOfKeys, script.idempotent, script.replies], [2, true, "buffer"]);
    assert.equal(script.parse, parse);
    assert.equal(define({ numberOfKeys: 0 }).numberOfKeys, 0);
  });

  it("takes the number of keys and arguments from their names, and names them when it is wrong", () => {
    const lock = define({ keys: ["lock", "owner"], args: ["ttl"] });
    assert.deepEqual([lock.numberOfKeys, lock.numberOfArgs], [2, 1]);
    assert.throws(() => lock.call(["a"] as never, ["b"] as never), { message: /takes 2 keys \(lock, owner\), not 1/ });
    assert.throws(() => lock.call(["a", "b"] as never, [] as never), { message: /takes 1 argument \(ttl\), not 0/ });
    assert.throws(() => define({ keys: ["a"], numberOfKeys: 2 }), { message: /the number of names in keys/ });
    for (const keys of ["a", [""], ["a", "a"], [1]]) {
      assert.throws(() => define({ keys: keys as never }), {
        message: /keys is .*; accepted is an array of different/,
      });
    }
  });

  it("reads the flags of #!lua: no-writes makes it read-only, no-cluster is refused", () => {
    assert.equal(define({ source: "#!lua flags=no-writes,allow-stale\nreturn 1" }).readOnly, true);
    assert.equal(define({ source: "#!lua name=x flags=allow-oom\nreturn 1" }).readOnly, false);
    assert.equal(define({ readOnly: true }).readOnly, true);
    assert.equal(define({ readOnly: false, source: "#!lua flags=no-writes\nreturn 1" }).readOnly, false);
    assert.throws(() => define({ source: "#!lua flags=no-cluster\nreturn 1" }), {
      code: "INVALID_ARGUMENT",
      message: /"[^"]+" has the flag no-cluster/,
    });
  });

  it("makes calls that hold copies of their keys and arguments", () => {
    const script = define({ numberOfKeys: 1 });
    const keys: [string] = ["a"];
    const call = script.call(keys, ["b"]);
    keys[0] = "changed";
    assert.deepEqual({ keys: call.keys, args: call.args }, { keys: ["a"], args: ["b"] });
    assert.equal(call.script, script);
  });

  it("computes the SHA-1 of the source as it is sent, in UTF-8", () => {
    const source = "return 'é€😀\ud83d' -- \r\n";
    assert.equal(define({ source }).sha, createHash("sha1").update(Buffer.from(source, "utf8")).digest("hex"));
    assert.equal(define({ source: "return 1 " }).sha === define({ source: "return 1" }).sha, false);
  });

  it("gives scripts of one source one SHA-1, whatever their names", () => {
    assert.equal(define({ name: "a" }).sha, define({ name: "b" }).sha);
  });

  it("gives a frozen script", () => {
    assert.ok(Object.isFrozen(define({})));
  });

  it("is not altered by later changes of the definition", () => {
    const definition = { name: "a", source: "return 1" };
    const script = defineScript(definition);
    definition.source = "return 2";
    assert.equal(script.source, "return 1");
  });

  const refused: [object, RegExp][] = [
    [{ name: "" }, /name is "".*a non-empty string/],
    [{ name: 5 }, /name is 5.*a non-empty string/],
    [{ name: undefined }, /name is undefined/],
    [{ source: "" }, /source is "".*a non-empty string of Lua/],
    [{ source: Buffer.from("return 1") }, /source is of type object.*a non-empty string of Lua/],
    [{ source: null }, /source is null/],
    [{ numberOfKeys: -1 }, /numberOfKeys is -1.*a whole number from 0/],
    [{ numberOfKeys: 1.5 }, /numberOfKeys is 1.5.*a whole number from 0/],
    [{ numberOfKeys: Number.NaN }, /numberOfKeys is .*a whole number from 0/],
    [{ numberOfKeys: Number.POSITIVE_INFINITY }, /numberOfKeys is .*a whole number from 0/],
    [{ numberOfKeys: "1" }, /numberOfKeys is "1".*a whole number from 0/],
    [{ numberOfKeys: null }, /numberOfKeys is null/],
    [{ idempotent: 1 }, /idempotent is 1.*true or false/],
    [{ idempotent: null }, /idempotent is null/],
    [{ replies: "buffers" }, /replies is "buffers".*"string" or "buffer"/],
    [{ replies: null }, /replies is null/],
    [{ parse: "JSON.parse" }, /parse is "JSON.parse".*a function/],
    [{ parse: null }, /parse is null/],
    [{ numberOfKey: 1 }, /no option "numberOfKey".*numberOfKeys/],
  ];
  for (const [definition, message] of refused) {
    it(`refuses ${JSON.stringify(definition)}, naming the option and what is accepted`, () => {
      assert.throws(
        () => define(definition),
        (error: unknown) => {
          assert.ok(error instanceof InvalidArgumentError);
          assert.equal(error.outcome, "not-executed");
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  for (const value of [undefined, null, "return 1", 5, []]) {
    it(`refuses ${JSON.stringify(value)} for a definition`, () => {
      assert.throws(() => defineScript(value as unknown as ScriptDefinition), InvalidArgumentError);
    });
  }
});

describe("isScript", () => {
  it("holds for what defineScript returned and for nothing else", () => {
    const script = define({});
    assert.equal(isScript(script), true);
    for (const other of [{ ...script }, Object.create(script), null, undefined, "return 1", () => script, [script]]) {
      assert.equal(isScript(other), false);
    }
  });
});
