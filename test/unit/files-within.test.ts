import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { parseReturns } from "../../src/files/script-returns.ts";
import { defineScript, loadScripts } from "../../src/index.ts";
import { cacheFolder } from "../../src/testing/server-binary.ts";
import { scriptFolder } from "../support/script-folder.ts";

const outside = { "outside/shared.lua": "local secret = 1", "in/a.lua": "return 1" };

describe("a folder of scripts", () => {
  it("is not left by an include", () => {
    const folder = scriptFolder({ ...outside, "in/b.lua": '-- @include "../outside/shared"\nreturn 1' });
    assert.throws(() => loadScripts(join(folder, "in")), {
      code: "INVALID_ARGUMENT",
      message: new RegExp(`b\\.lua:1: @include "\\.\\./outside/shared": it is outside of ${join(folder, "in")}: `),
    });
    // Whoever names the file alone names no folder.
    assert.match(defineScript({ file: join(folder, "in/b.lua") }).source, /secret/);
  });

  it("is not left by a link, of a script or of a part of it", () => {
    const folder = scriptFolder(outside);
    symlinkSync(join(folder, "outside/shared.lua"), join(folder, "in/link.lua"));
    assert.throws(() => loadScripts(join(folder, "in")), { message: /link\.lua: it is outside of / });
    const parts = scriptFolder({ ...outside, "in/c.lua": '-- @include "_part/shared"\nreturn 1' });
    symlinkSync(join(parts, "outside"), join(parts, "in/_part"));
    assert.throws(() => loadScripts(join(parts, "in")), {
      message: /c\.lua:1: @include "_part\/shared": it is outside of /,
    });
  });

  it("may be a link itself, and have links and includes within", () => {
    const folder = scriptFolder({
      "in/sub/a.lua": '-- @include "../_shared"\nreturn 1',
      "in/_shared.lua": "local x = 1",
      "in/..dots.lua": "return 2",
    });
    mkdirSync(join(folder, "links"));
    symlinkSync(join(folder, "in"), join(folder, "links/scripts"));
    symlinkSync(join(folder, "in/_shared.lua"), join(folder, "in/b.lua"));
    const scripts = loadScripts(join(folder, "links/scripts"), { recursive: true });
    assert.deepEqual(Object.keys(scripts).sort(), ["a", "b"]);
  });

  it("has no pipe that would be waited for", { timeout: 5000 }, () => {
    const folder = scriptFolder({ "a.lua": '-- @include "pipe"\nreturn 1' });
    execFileSync("mkfifo", [join(folder, "pipe.lua")]);
    assert.throws(() => defineScript({ file: join(folder, "pipe.lua") }), {
      message: /pipe\.lua: it is no regular file\.$/,
    });
    assert.throws(() => defineScript({ file: join(folder, "a.lua") }), {
      message: /a\.lua:1: .*it is no regular file/,
    });
    assert.throws(() => loadScripts(folder), { message: /it is no regular file/ });
  });
});

describe("@returns", () => {
  it("of 40,000 spaces is refused in a moment", () => {
    const start = performance.now();
    assert.equal(parseReturns(`integer${" ".repeat(40_000)}x`), undefined);
    assert.equal(parseReturns(`integer |${" ".repeat(40_000)}nil`), undefined);
    assert.equal(performance.now() - start < 200, true, "it is linear");
    assert.deepEqual(parseReturns(" integer  |  null "), { type: "integer", orNull: true });
  });
});

describe("the folder for a fetched server", () => {
  const { HOME, SLOTWIRE_CACHE, XDG_CACHE_HOME } = process.env;
  afterEach(() => {
    for (const [name, value] of Object.entries({ HOME, SLOTWIRE_CACHE, XDG_CACHE_HOME })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  it("is in no relative XDG_CACHE_HOME, from which a program of the working directory would run", () => {
    delete process.env.SLOTWIRE_CACHE;
    process.env.HOME = "/home/ann";
    for (const relative of ["", ".", "cache", "../cache"]) {
      process.env.XDG_CACHE_HOME = relative;
      assert.equal(cacheFolder(), "/home/ann/.cache/slotwire");
    }
    process.env.XDG_CACHE_HOME = "/var/ann";
    assert.equal(cacheFolder(), "/var/ann/slotwire");
  });
});
