import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { InvalidArgumentError } from "../../src/errors.ts";
import { readScriptFile } from "../../src/files/script-file.ts";
import { conversionOf, parseReturns } from "../../src/files/script-returns.ts";
import { scriptFolder } from "../support/script-folder.ts";

/** Reads the first of `files`. */
function read(files: Readonly<Record<string, string | Buffer>>) {
  return readScriptFile(join(scriptFolder(files), Object.keys(files)[0] as string));
}

/** Asserts that reading the first of `files` fails, with this text after the folder's name. */
function refuses(files: Readonly<Record<string, string | Buffer>>, message: RegExp): void {
  const folder = scriptFolder(files);
  assert.throws(
    () => readScriptFile(join(folder, Object.keys(files)[0] as string)),
    (error: unknown) => {
      assert.ok(error instanceof InvalidArgumentError, String(error));
      assert.match(error.message.replaceAll(`${folder}/`, ""), message);
      return true;
    },
  );
}

describe("readScriptFile", () => {
  it("takes name and number of keys from the file's name, and nothing that is not said", () => {
    const { origin, placeOf, file, ...acquire } = read({ "acquire-2.lua": "return 1" });
    assert.deepEqual(acquire, { name: "acquire", source: "return 1", numberOfKeys: 2 });
    assert.match(file, /acquire-2\.lua$/);
    assert.deepEqual(origin(1), { file, line: 1, text: "return 1" });
    assert.equal(placeOf("keys"), file);
    const { name, numberOfKeys } = read({ "get-or-set.lua": "return 1" });
    assert.deepEqual([name, numberOfKeys], ["get-or-set", undefined]);
    assert.deepEqual(read({ "x-y-10.lua": "return 1" }).numberOfKeys, 10);
    assert.equal(read({ "none-0.lua": "return 1" }).numberOfKeys, 0);
  });

  it("reads @keys, @args and @returns wherever they have a line of their own", () => {
    const source = "-- @keys lock owner\nlocal a = 1\n  ---@args ttl\n--@returns integer | null\nreturn a -- @args x\n";
    const { keys, args, returns, numberOfKeys, source: sent } = read({ "acquire.lua": source });
    assert.deepEqual([keys, args, numberOfKeys], [["lock", "owner"], ["ttl"], 2]);
    assert.deepEqual(returns, { type: "integer", orNull: true });
    assert.equal(sent, source);
  });

  it("takes '...' for any number, no name for none", () => {
    const open = read({ "a.lua": "-- @keys ...\n-- @args ttl ...\nreturn 1" });
    assert.deepEqual([open.keys, open.numberOfKeys, open.args], [undefined, undefined, undefined]);
    const none = read({ "a.lua": "-- @keys\n-- @args\nreturn 1" });
    assert.deepEqual([none.keys, none.numberOfKeys, none.args], [[], 0, []]);
  });

  it("leaves what others write after an @ alone", () => {
    const { keys, args } = read({ "a.lua": "---@param x number\n---@return string\n-- @keyspace k\n-- a @keys b\n" });
    assert.deepEqual([keys, args], [undefined, undefined]);
  });

  const hidden: [string, string][] = [
    ["a long comment", "--[[\n-- @keys a\n]]\nreturn 1"],
    ["a long comment with a level", "--[==[\n]]\n-- @keys a\n]==]\nreturn 1"],
    ["a long string", "local s = [[\n-- @keys a\n]]\nreturn s"],
    ["a long string with a level, after a string", "local s = ']]' .. [=[ ]]\n-- @keys a\n]=]\nreturn s"],
    ["a string that goes on", "local s = 'it\\'s\\\n-- @keys a'\nreturn s"],
  ];
  for (const [where, source] of hidden) {
    it(`takes what is inside ${where} for text`, () => {
      assert.equal(read({ "a.lua": source }).keys, undefined);
      assert.deepEqual(read({ "a.lua": `${source}\n-- @keys b` }).keys, ["b"]);
    });
  }

  const open: [string, string][] = [
    ["a closed long comment", "--[[ x ]]"],
    ["brackets in a string", 'local s = "[[" .. \'--[[\' .. "\\"[["'],
    ["brackets in a comment", "-- not [[ a string"],
    ["an index of an index", "local x = t[u[1]]"],
    ["a long string that ends on its line", "local x = [[ ' ]] .. [=[ ]] ]=]"],
    ["an escaped backslash", "local x = 'a\\\\' -- '"],
  ];
  for (const [what, line] of open) {
    it(`is not misled by ${what}`, () => {
      assert.deepEqual(read({ "a.lua": `${line}\n-- @keys b\nreturn 1` }).keys, ["b"]);
    });
  }

  it("gives the comment at the top, without its @ lines", () => {
    const top = (text: string) => read({ "a.lua": text }).description;
    assert.equal(
      top("#!lua flags=no-writes\n\n-- @keys a\n\n-- Takes\n--   a lock.\n-- @args b\n\n-- detail\nreturn 1"),
      "Takes\n  a lock.",
    );
    assert.equal(
      top("--[[\n  Takes a lock.\n\n    Input: x\n]]\n\n-- Includes\nreturn 1"),
      "Takes a lock.\n\n  Input: x",
    );
    assert.equal(top("--- One.\n  --- Two.\n"), "One.\nTwo.");
    assert.equal(top("local a = 1 -- no\n-- no\n"), undefined);
  });

  it("sends a file without includes byte for byte, except a byte order mark", () => {
    const source = "-- é\r\n\r\nreturn '😀'\r\n\t";
    assert.equal(read({ "a.lua": source }).source, source);
    assert.equal(read({ "a.lua": `\uFEFF${source}` }).source, source);
  });
});

describe("@include", () => {
  it("puts files in place of its line, each once, from where the including file is", () => {
    const script = read({
      "main-1.lua":
        '#!lua flags=no-writes\n--- @include "lib/one"\n-- @include "./lib/two.lua"\nreturn one() + two()\n',
      "lib/one.lua": "-- @keys of its own\n-- @include './two'\nlocal function one() return two() end",
      "lib/two.lua": "local function two() return 2 end",
    });
    const expected = [
      "#!lua flags=no-writes",
      "-- @keys of its own",
      "local function two() return 2 end",
      "local function one() return two() end",
      "return one() + two()",
      "",
    ];
    assert.equal(script.source, expected.join("\n"));
    assert.deepEqual([script.numberOfKeys, script.keys], [1, undefined]);
  });

  it("knows where each line came from", () => {
    const folder = scriptFolder({
      "a.lua": "local x\n-- @include 'lib/b'\n-- @include 'lib/b'\nreturn b",
      "lib/b.lua": "-- b\r\nlocal b",
    });
    const { origin, source } = readScriptFile(join(folder, "a.lua"));
    const found = [0, 1, 2, 3, 4, 5]
      .map(origin)
      .map((from) => from && { ...from, file: from.file.slice(folder.length) });
    assert.deepEqual(found, [
      undefined,
      { file: "/a.lua", line: 1, text: "local x" },
      { file: "/lib/b.lua", line: 1, text: "-- b" },
      { file: "/lib/b.lua", line: 2, text: "local b" },
      { file: "/a.lua", line: 4, text: "return b" },
      undefined,
    ]);
    assert.equal(source, "local x\n-- b\r\nlocal b\nreturn b");
  });

  it("counts lines as Lua does, whatever ends them", () => {
    const { origin } = read({ "a.lua": "-- 1\r\n-- 2\n\r-- 3\r-- 4\n\nreturn 6" });
    assert.deepEqual(
      [2, 3, 4, 6, 7].map((line) => origin(line)?.text),
      ["-- 2", "-- 3", "-- 4", "return 6", undefined],
    );
  });

  it("includes nothing from inside a string or comment", () => {
    const source = "local s = [[\n-- @include 'missing'\n]]\n--[[\n--- @include 'missing'\n]]\nreturn s";
    assert.equal(read({ "a.lua": source }).source, source);
  });

  it("refuses a circle with the path that closes it", () => {
    const back = { "a.lua": "\n-- @include './b.lua'", "b.lua": "-- @include './a'" };
    refuses(back, /^b\.lua:1: @include ".\/a" closes a circle: a\.lua -> b\.lua -> a\.lua\.$/);
    const inner = { "a.lua": "-- @include 'x/b'", "x/b.lua": "-- @include 'c'", "x/c.lua": "--\n-- @include 'b'" };
    refuses(inner, /^x\/c\.lua:2: .*circle: x\/b\.lua -> x\/c\.lua -> x\/b\.lua\.$/);
    refuses({ "a.lua": "-- @include './a.lua'" }, /^a\.lua:1: .*circle: a\.lua -> a\.lua\.$/);
  });
});

describe("readScriptFile refuses, naming file and line:", () => {
  const refused: [string, Readonly<Record<string, string | Buffer>>, RegExp][] = [
    [
      "keys against the file's name",
      { "acquire-2.lua": "\n-- @keys a" },
      /^acquire-2\.lua:2: @keys names 1 .* says 2;/,
    ],
    [
      "any number against it",
      { "acquire-2.lua": "-- @keys a b ..." },
      /^acquire-2\.lua:1: @keys names any number .* 2/,
    ],
    ["a second @keys", { "a.lua": "-- @keys a\n\n-- @keys a" }, /^a\.lua:3: @keys is repeated; .* line 1/],
    ["a name twice", { "a.lua": "-- @args a b a" }, /^a\.lua:1: @args has "a" twice/],
    ["commas", { "a.lua": "-- @keys a, b" }, /^a\.lua:1: @keys has "a,"; accepted are names of letters/],
    ["... before the end", { "a.lua": "-- @args ... a" }, /^a\.lua:1: @args has "\.\.\."; accepted .* at the end/],
    [
      "an unknown @returns",
      { "a.lua": "\n\n-- @returns int" },
      /^a\.lua:3: @returns is "int"; accepted is one of integer, /,
    ],
    ["an empty @returns", { "a.lua": "-- @returns" }, /^a\.lua:1: @returns is ""; accepted/],
    ["more than a word", { "a.lua": "-- @returns integer or so" }, /^a\.lua:1: @returns is "integer or so"; accepted/],
    [
      "@include without quotes",
      { "a.lua": "-- @include b.lua" },
      /^a\.lua:1: @include is followed by "b\.lua"; accepted/,
    ],
    [
      "a missing include",
      { "a.lua": "--\n-- @include 'b'" },
      /^a\.lua:2: @include "b": there is no such file: b\.lua\.$/,
    ],
    [
      "a missing include of an include",
      { "a.lua": "-- @include 'x/b'", "x/b.lua": "\n\n-- @include 'c'" },
      /^x\/b\.lua:3: @include "c": there is no such file: x\/c\.lua\.$/,
    ],
    ["a folder for a file", { "a.lua": "-- @include 'b'", "b.lua/c": "" }, /^a\.lua:1: .* cannot be read \(EISDIR\)/],
    ["#! not in the first line", { "a.lua": "\n#!lua\nreturn 1" }, /^a\.lua:2: #! is only accepted in the first line/],
    [
      "#! in an include",
      { "a.lua": "-- @include 'b'", "b.lua": "#!lua\n" },
      /^b\.lua:1: #! is only accepted in the first/,
    ],
    ["another #!", { "a.lua": "#!/usr/bin/lua\nreturn 1" }, /^a\.lua:1: the first line is .*; accepted is "#!lua"/],
    ["no-cluster", { "a.lua": "#!lua flags=no-cluster\nreturn 1" }, /^a\.lua:1: .*no-cluster: no cluster runs it/],
    ["an empty file", { "a.lua": " \n" }, /^a\.lua:1: the file is empty/],
    ["bytes that are no UTF-8", { "a.lua": Buffer.from("--\n-- \xe9\n", "latin1") }, /^a\.lua:2: .*accepted is UTF-8/],
  ];
  for (const [what, files, message] of refused) {
    it(what, () => refuses(files, message));
  }

  it("a file that is not there, and what is no Lua file", () => {
    const missing = join(scriptFolder({}), "a.lua");
    assert.throws(() => readScriptFile(missing), {
      code: "INVALID_ARGUMENT",
      message: `${missing}: there is no such file.`,
    });
    for (const path of ["a.txt", ".lua", "", 5, undefined, new URL("http://a/b.lua"), "file://%"]) {
      assert.throws(() => readScriptFile(path as string), {
        code: "INVALID_ARGUMENT",
        message: /^A script file is .*; accepted is the path or file: URL of a \.lua file\.$/,
      });
    }
  });
});

describe("conversionOf", () => {
  const cases: [string, unknown, unknown][] = [
    ["integer", 5, 5],
    ["string | null", null, null],
    ["boolean", 1, true],
    ["boolean", 0, false],
    ["boolean", null, false],
    ["boolean | null", null, null],
    ["boolean | null", 1, true],
    ["number", "1.5", 1.5],
    ["number | null", null, null],
    ["number|null", "-2", -2],
    ["array", [1], [1]],
    ["any", "x", "x"],
  ];
  for (const [said, reply, result] of cases) {
    it(`makes ${JSON.stringify(reply)} ${JSON.stringify(result)} where @returns says ${said}`, () => {
      const { parse = (same: unknown) => same } = conversionOf(parseReturns(said));
      assert.deepEqual(parse(reply as string), result);
    });
  }

  it("asks for Buffers where @returns says buffer", () => {
    assert.deepEqual(conversionOf(parseReturns("buffer | null")), { replies: "buffer" });
    assert.deepEqual(conversionOf(undefined), {});
  });
});
