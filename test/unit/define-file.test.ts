import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { defineScript } from "../../src/index.ts";
import type { ScriptOptions } from "../../src/scripts/script-definition.ts";
import { scriptFolder } from "../support/script-folder.ts";

/** The path of `acquire.lua` with this text. */
function file(text: string, name = "acquire.lua"): string {
  return join(scriptFolder({ [name]: text }), name);
}

describe("defineScript({ file })", () => {
  it("takes from the file what it says", () => {
    const path = file("#!lua flags=no-writes\n-- @keys lock owner\n-- @args ttl\n-- @returns boolean\nreturn 1");
    const { parse, origin, call, sha, source, ...script } = defineScript({ file: path });
    assert.deepEqual(script, {
      name: "acquire",
      numberOfKeys: 2,
      keys: ["lock", "owner"],
      numberOfArgs: 1,
      args: ["ttl"],
      readOnly: true,
      idempotent: false,
      replies: "string",
      file: path,
    });
    assert.deepEqual([parse?.(1), parse?.(null)], [true, false]);
    assert.deepEqual(origin(5), { file: path, line: 5, text: "return 1" });
    assert.equal(sha, defineScript({ name: "x", source }).sha);
    assert.equal(defineScript({ file: file("-- @returns buffer\nreturn 1") }).replies, "buffer");
    assert.throws(() => call(["a"]), { message: 'Script "acquire" takes 2 keys (lock, owner), not 1.' });
  });

  it("takes a path from the working directory, or a file: URL", () => {
    const path = file("return 1");
    for (const place of [relative(process.cwd(), path), pathToFileURL(path), pathToFileURL(path).href]) {
      assert.equal(defineScript({ file: place }).source, "return 1");
    }
    assert.throws(() => defineScript({ file: "no/such.lua" }), {
      code: "INVALID_ARGUMENT",
      message: `no/such.lua: there is no such file in ${process.cwd()}.`,
    });
  });

  it("puts the definition before the file", () => {
    const path = file("#!lua flags=no-writes\n-- @keys a b\n-- @args c\n-- @returns boolean\nreturn 1");
    const parse = () => 7;
    const script = defineScript({
      file: path,
      name: "mine",
      keys: ["x", "y"],
      args: ["z"],
      readOnly: false,
      replies: "buffer",
      parse,
    });
    assert.deepEqual([script.name, script.keys, script.args], ["mine", ["x", "y"], ["z"]]);
    assert.deepEqual([script.readOnly, script.replies, script.parse], [false, "buffer", parse]);
    const counted = defineScript({ file: path, numberOfKeys: 2 });
    assert.deepEqual([counted.numberOfKeys, counted.keys], [2, ["a", "b"]]);
    const open = defineScript({ file: file("-- @keys a ...\nreturn 1"), numberOfKeys: 3 });
    assert.deepEqual([open.numberOfKeys, open.keys], [3, undefined]);
  });

  const contradictions: [string, string, ScriptOptions, RegExp][] = [
    ["acquire.lua", "\n-- @keys a b", { numberOfKeys: 3 }, /acquire\.lua:2: the definition says 3 keys, the file 2;/],
    ["acquire.lua", "-- @keys a b", { keys: ["a"] }, /acquire\.lua:1: the definition says 1 keys, the file 2;/],
    ["acquire-2.lua", "return 1", { numberOfKeys: 1 }, /acquire-2\.lua: the definition says 1 keys, the file 2;/],
    ["acquire.lua", "-- @args a", { args: ["a", "b"] }, /acquire\.lua:1: the definition says 2 args, the file 1;/],
  ];
  for (const [name, text, options, message] of contradictions) {
    it(`refuses ${JSON.stringify(options)} for ${JSON.stringify(text)} in ${name}`, () => {
      assert.throws(() => defineScript({ ...options, file: file(text, name) }), { code: "INVALID_ARGUMENT", message });
    });
  }

  it("refuses source and file together, no-cluster, and what is wrong in the file, naming the line", () => {
    const path = file("return 1");
    assert.throws(() => defineScript({ file: path, source: "return 1", name: "x" } as never), {
      code: "INVALID_ARGUMENT",
      message: "defineScript takes source or file, not both.",
    });
    assert.throws(() => defineScript({ file: file("#!lua flags=no-cluster\nreturn 1") }), {
      message: /acquire\.lua:1: Script "acquire" has the flag no-cluster: no cluster runs it\.$/,
    });
    assert.throws(() => defineScript({ file: file("\n-- @args a a") }), { message: /acquire\.lua:2: @args has "a"/ });
    assert.throws(() => defineScript({ file: path, parse: 5 as never }), { message: /parse is 5; accepted/ });
    assert.throws(() => defineScript({ file: 5 as never }), { message: /^A script file is a number; accepted/ });
  });
});
