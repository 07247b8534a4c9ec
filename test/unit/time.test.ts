import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const src = fileURLToPath(new URL("../../src/", import.meta.url));

/** A timer, a tick or a clock, looked up when it is used. */
const DIRECT_USE =
  /(?<![.\w#])(setTimeout|setInterval|setImmediate|queueMicrotask)\(|process\.nextTick\(|performance\.now\(|Date\.now\(|new Date\(\)|AbortSignal\.timeout\(/;

describe("the functions of time that frameworks for tests replace", () => {
  it("are taken when a module is loaded, and looked up nowhere: the command line is a program of its own", () => {
    const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
    const uses = files
      .filter((path) => !path.startsWith("cli/"))
      .flatMap((path) =>
        readFileSync(join(src, path), "utf8")
          .split("\n")
          .filter((line) => DIRECT_USE.test(line) && !/^\s*(\*|\/\/|\/\*)/.test(line))
          .map((line) => `${path}: ${line.trim()}`),
      );
    assert.deepEqual(uses, []);
  });
});
