import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { loadScripts } from "../../src/index.ts";
import { loadScriptFiles } from "../../src/scripts/load-scripts.ts";
import { isScript } from "../../src/scripts/script.ts";
import { scriptFolder } from "../support/script-folder.ts";

const lua = "return 1";

describe("loadScripts", () => {
  const files = {
    "acquire.lua": "-- @keys lock owner\n-- @args ttl\n-- @returns boolean\nreturn 1",
    "release-1.lua": "return 1",
    "toString.lua": "return 1",
    "_shared.lua": "return 1",
  };

  it("gives a frozen object of scripts by name, and nothing else", () => {
    const folder = scriptFolder(files);
    const scripts = loadScripts(folder);
    assert.ok(Object.isFrozen(scripts));
    assert.deepEqual(Object.keys(scripts), ["acquire", "release", "toString"]);
    assert.equal(scripts.constructor, undefined);
    const { acquire, release } = scripts;
    assert.ok(isScript(acquire) && isScript(release));
    assert.deepEqual([acquire.keys, acquire.args, acquire.parse?.(1)], [["lock", "owner"], ["ttl"], true]);
    assert.deepEqual([release.name, release.numberOfKeys, release.file], ["release", 1, join(folder, "release-1.lua")]);
    assert.deepEqual(Object.keys(loadScripts(pathToFileURL(folder))), Object.keys(scripts));
  });

  it("gives the scripts that are wanted, if they are there", () => {
    const folder = scriptFolder(files);
    const scripts = loadScripts(folder, { names: ["toString", "acquire"] });
    assert.deepEqual(Object.keys(scripts), ["toString", "acquire"]);
    assert.equal(scripts.acquire.name, "acquire");
    assert.throws(() => loadScripts(folder, { names: ["acquire", "relaese"] }), {
      code: "INVALID_ARGUMENT",
      message: `${folder}: no script is called "relaese"; its scripts are acquire, release, toString.`,
    });
  });

  it("refuses what is no option, and what is no folder", () => {
    const refused: [unknown, unknown, RegExp][] = [
      ["lua", { recursiv: true }, /no option "recursiv"; accepted are recursive, names/],
      ["lua", { recursive: 1 }, /recursive is .*; accepted is true or false/],
      ["lua", { names: "acquire" }, /names is .*; accepted is an array of names/],
      ["lua", null, /the options are null; accepted is an object/],
      [undefined, {}, /The folder is undefined; accepted is a path or file: URL/],
      ["no/such", {}, /^no\/such: there is no such folder in .*; accepted is a folder of \.lua files/],
    ];
    for (const [folder, options, message] of refused) {
      assert.throws(() => loadScripts(folder as string, options as object), { code: "INVALID_ARGUMENT", message });
    }
  });
});

describe("loadScriptFiles", () => {
  it("reads the scripts of a folder, sorted by path, and not what others include", () => {
    const folder = scriptFolder({
      "b.lua": "-- @include 'includes/x'\n-- @include '_y'\nreturn 1",
      "a-2.lua": lua,
      "B.lua": lua,
      "_y.lua": "-- y",
      ".hidden.lua": lua,
      "readme.md": "",
      "includes/x.lua": "-- x",
      "sub/c.lua": lua,
    });
    const scripts = loadScriptFiles(folder);
    assert.deepEqual(
      scripts.map(({ name, numberOfKeys }) => [name, numberOfKeys]),
      [
        ["B", undefined],
        ["a", 2],
        ["b", undefined],
      ],
    );
    assert.equal(scripts[2]?.source, "-- x\n-- y\nreturn 1");
  });

  it("goes into sub-folders when it is told to", () => {
    const folder = scriptFolder({
      "b.lua": lua,
      "a/z.lua": lua,
      "a/includes/x.lua": lua,
      "a/b/c.lua": lua,
      "_shared/d.lua": lua,
      "b-c/e.lua": lua,
    });
    const paths = loadScriptFiles(folder, { recursive: true }).map(({ file }) => file.slice(folder.length + 1));
    assert.deepEqual(paths, ["a/b/c.lua", "a/z.lua", "b-c/e.lua", "b.lua"]);
  });

  it("reads a folder that is itself called includes", () => {
    const folder = scriptFolder({ "includes/a.lua": lua });
    assert.equal(loadScriptFiles(join(folder, "includes")).length, 1);
  });

  it("refuses two scripts of one name, naming both files", () => {
    const folder = scriptFolder({ "a-1.lua": lua, "a-2.lua": lua });
    assert.throws(() => loadScriptFiles(folder), {
      code: "INVALID_ARGUMENT",
      message: `${join(folder, "a-1.lua")} and ${join(folder, "a-2.lua")} are both called "a"; accepted is one script a name.`,
    });
    const nested = scriptFolder({ "a.lua": lua, "x/a.lua": lua });
    assert.equal(loadScriptFiles(nested).length, 1);
    assert.throws(() => loadScriptFiles(nested, { recursive: true }), { message: /a\.lua and .*x\/a\.lua are both/ });
  });

  it("refuses a folder without scripts, and one that is not there", () => {
    const folder = scriptFolder({ "_a.lua": lua, "includes/b.lua": lua, "c.txt": lua });
    assert.throws(() => loadScriptFiles(folder), {
      code: "INVALID_ARGUMENT",
      message: /: no script is in this folder;/,
    });
    assert.throws(() => loadScriptFiles(join(folder, "no")), { code: "INVALID_ARGUMENT", message: /no such folder/ });
    assert.throws(() => loadScriptFiles(join(folder, "c.txt")), { code: "INVALID_ARGUMENT", message: /\(ENOTDIR\)/ });
  });

  it("passes on what is wrong with a file", () => {
    const folder = scriptFolder({ "a.lua": lua, "b.lua": "\n-- @returns what" });
    assert.throws(() => loadScriptFiles(folder), { code: "INVALID_ARGUMENT", message: /b\.lua:2: @returns is "what"/ });
  });
});
