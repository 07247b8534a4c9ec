import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { builtPackage, ROOT } from "../support/built-package.ts";

const run = promisify(execFile);
const bench = (...args: string[]) =>
  run(process.execPath, ["--import", "tsx", join(ROOT, "bench/nodes.ts"), ...args], { timeout: 120_000 });

describe("the benchmark of many nodes", () => {
  it("states time, memory and stalls of a process that connects, preloads and serves", async () => {
    builtPackage();
    const args = ["--nodes", "3", "--scripts", "2", "--calls", "100", "--in-flight", "8", "--rounds", "1"];
    const { stdout } = await bench(...args);
    assert.match(stdout, /3 scripted nodes in a second process, 2 scripts, 1 round:/);
    for (const what of ["connect and preload, ms", "longest stall of the event loop, ms", "memory in use, MiB more"]) {
      assert.match(stdout, new RegExp(`${what} +[0-9]`));
    }
    // Of 100 calls one lies beyond the p99.
    assert.match(stdout, /p99, ms +-\n/);
    assert.match(stdout, /nodes that hold every script +3 of 3\n/);
    assert.match(stdout, /8 in flight: CPU us\/call +[0-9.]+/);
  });
});
