import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { defineScript } from "../../src/index.ts";
import { replyErrorOf } from "../../src/scripts/script-error.ts";
import { scriptFolder } from "../support/script-folder.ts";

const script = defineScript({ name: "acquire", source: "local a = 1\n\n  return redis.call('incr', KEYS[1])  \n" });
const { sha } = script;
const source = "return redis.call('incr', KEYS[1])";

describe("replyErrorOf", () => {
  // As the servers word them: Redis 7 and 8 and Valkey 8, Valkey 9, Redis 6, and all when they compile.
  const located = [
    `ERR user_script:3: attempt to index field '?' (a nil value) script: ${sha}, on @user_script:3.`,
    `ERR value is not an integer or out of range script: ${sha}, on @user_script:3.`,
    `MY table script: ${sha}, on @user_script:3.`,
    "ERR user_script:3: user_script:1: rethrown script: on @user_script:3.",
    `ERR Error running script (call to f_${sha}): @user_script:3: ERR value is not an integer or out of range`,
    `ERR Error running script (call to f_${sha}): @user_script:3: @user_script: 3: Unknown Redis command`,
    `ERR Error running script (call to f_${sha}): @enable_strict_lua:15: user_script:3: Script attempted to`,
    "ERR user_function:3: boom script: acquire, on @user_function:3.",
    "ERR user_function:3: boom script: on @user_function:3.",
    "ERR Error compiling script (new function): user_script:3: unexpected symbol near '='",
    "ERR Error compiling script (new function): user_script:5: 'end' expected near '<eof>'",
  ];
  for (const reply of located) {
    it(`finds line 3 by ${JSON.stringify(reply)}`, () => {
      const error = replyErrorOf(reply, "executed", script);
      assert.deepEqual([error.script, error.file, error.line, error.sourceLine], ["acquire", undefined, 3, source]);
      assert.equal(error.reply, reply);
      assert.equal(error.message, `${reply} (script "acquire", line 3: ${source})`);
    });
  }

  const silent = [
    "MY error",
    "MY user_script:3: error",
    "NOSCRIPT No matching script.",
    `ERR boom script: ${"0".repeat(40)}, on @user_script:3.`,
    `ERR boom script: ${sha}, on @user_script:99.`,
    `ERR boom script: ${sha}, on error(1):1.`,
    `ERR boom script: ${sha}, on @user_script:0.`,
    "ERR Error running script (call to f_): @user_script:3: boom",
  ];
  for (const reply of silent) {
    it(`says nothing of a line for ${JSON.stringify(reply)}`, () => {
      const { line, sourceLine, file, message } = replyErrorOf(reply, "executed", script);
      assert.deepEqual([line, sourceLine, file], [undefined, undefined, undefined]);
      assert.equal(message, `${reply} (script "acquire")`);
    });
  }

  it("names the file that the line is in, be it included, and its line there", () => {
    const folder = scriptFolder({
      "acquire.lua": "-- @include 'shared/check'\nreturn check()",
      "shared/check.lua": "-- checks\nlocal function check()\n  error('no')\nend",
    });
    const fromFile = defineScript({ file: join(folder, "acquire.lua") });
    const at = (line: number) =>
      replyErrorOf(`ERR no script: ${fromFile.sha}, on @user_script:${line}.`, "executed", fromFile);
    const inner = at(3);
    const included = join(folder, "shared/check.lua");
    assert.deepEqual([inner.file, inner.line, inner.sourceLine], [included, 3, "error('no')"]);
    assert.equal(inner.message, `${inner.reply} (script "acquire", ${included}:3: error('no'))`);
    assert.deepEqual([at(5).file, at(5).line], [join(folder, "acquire.lua"), 2]);
  });

  it("cuts a long line, so that no whole script is in an error", () => {
    const packed = defineScript({ name: "packed", source: `local a = '${"x".repeat(5000)}' error(a)` });
    const { sourceLine, message } = replyErrorOf(
      `ERR boom script: ${packed.sha}, on @user_script:1.`,
      "executed",
      packed,
    );
    assert.match(sourceLine as string, /^local a = 'x{108}…$/);
    assert.ok(message.length < 250);
  });

  it("says nothing of a script where none was run", () => {
    const error = replyErrorOf("ERR no", "not-executed", undefined);
    assert.deepEqual([error.message, error.script, error.outcome], ["ERR no", undefined, "not-executed"]);
  });
});
