import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { Guard } from "../../src/testing/guard.ts";
import { startCluster } from "../../src/testing/index.ts";
import { findServer } from "../../src/testing/server-binary.ts";
import { ROOT } from "../support/built-package.ts";

describe("finding a server", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "slotwire-test-"));
    const { path, libraryPath } = await findServer();
    const program = `#!/bin/sh\n${libraryPath && `LD_LIBRARY_PATH='${libraryPath}' `}exec '${path}' "$@"\n`;
    writeFileSync(join(folder, "valkey-server"), program, { mode: 0o755 });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("takes paths that are relative to the working directory, though servers have folders of their own", async () => {
    await using cluster = await startCluster({ primaries: 1, server: relative("", join(folder, "valkey-server")) });
    assert.equal(cluster.nodes.length, 1);
  });

  it("goes by what was asked for, SLOTWIRE_SERVER, the PATH and the cache", async () => {
    const own = join(folder, "valkey-server");
    const empty = join(folder, "empty");
    const saved = { ...process.env };
    try {
      process.env.PATH = `${empty}:${relative("", folder)}`;
      delete process.env.SLOTWIRE_SERVER;
      assert.deepEqual([(await findServer()).source, (await findServer()).path], ["PATH", own]);
      process.env.SLOTWIRE_SERVER = own;
      assert.equal((await findServer()).source, "SLOTWIRE_SERVER");
      assert.equal((await findServer(own)).source, "option");
      process.env.SLOTWIRE_SERVER = "valkey-server";
      assert.deepEqual([(await findServer()).source, (await findServer()).path], ["SLOTWIRE_SERVER", own]);
      process.env.SLOTWIRE_SERVER = empty;
      await assert.rejects(findServer(), /^Error: SLOTWIRE_SERVER names .*empty, which is no server program/);
      delete process.env.SLOTWIRE_SERVER;
      process.env.PATH = empty;
      process.env.SLOTWIRE_CACHE = relative("", join(folder, "cache"));
      const kept = join(folder, "cache", "server", "usr", "bin");
      mkdirSync(kept, { recursive: true });
      copyFileSync(own, join(kept, "valkey-server"));
      assert.deepEqual(
        [(await findServer()).source, (await findServer()).path],
        ["cache", join(kept, "valkey-server")],
      );
    } finally {
      process.env = saved;
    }
  });
});

it("slots are moved between servers that announce names", async (test) => {
  await using cluster = await startCluster({ primaries: 2 });
  const [from, to] = cluster.nodes as [string, string];
  const names = { "cluster-announce-hostname": "localhost", "cluster-preferred-endpoint-type": "hostname" };
  for (const [name, value] of Object.entries(names)) {
    if (String(await cluster.command(from, "CONFIG", "GET", name)) === "") return test.skip("this server has no names");
    for (const address of cluster.nodes) await cluster.command(address, "CONFIG", "SET", name, value);
  }
  await cluster.moveSlots({ slots: [100], to });
  assert.match(String(await cluster.command(to, "CLUSTER", "NODES")), /myself,master .* 100 /);
});

describe("what a process that ends leaves behind: nothing", () => {
  let folder: string;
  let guard: Guard;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "slotwire-test-"));
    guard = new Guard(folder);
  });
  after(() => guard.release());

  it("a guard outlives it, ends what it watches, and removes folders", async () => {
    const [first, second] = [join(folder, "first"), join(folder, "second")];
    for (const each of [first, second]) mkdirSync(each);
    const program = `
      import { spawn } from "node:child_process";
      import { Guard } from "./src/testing/guard.ts";
      const guard = new Guard(${JSON.stringify(first)}, ${JSON.stringify(second)});
      const [watched, ended] = [spawn("sleep", ["60"]), spawn("true")];
      guard.watch(watched);
      guard.watch(ended);
      ended.once("exit", () => console.log(watched.pid));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], { cwd: ROOT });
    guard.watch(child);
    const [pid] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    child.kill("SIGKILL");
    await gone(() => existsSync(first) || existsSync(second) || isAlive(Number(pid)));
  });

  it("the tour, interrupted by a signal to npm alone while its servers start", async () => {
    const temporary = join(folder, "tour");
    mkdirSync(temporary);
    const env = { ...process.env, TMPDIR: temporary };
    const npm = spawn("npm", ["start"], { cwd: ROOT, env, stdio: ["ignore", "pipe", "ignore"] });
    guard.watch(npm);
    const servers = () => readdirSync(temporary).filter((name) => name.startsWith("slotwire-"));
    await gone(() => servers().length === 0);
    npm.kill("SIGINT");
    const [status] = (await once(npm, "exit")) as [number];
    assert.equal(status, 130);
    await gone(() => servers().length > 0);
  });
});

/** Waits until it is not so any more. */
async function gone(isThere: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (isThere()) {
    assert.ok(Date.now() < deadline, String(isThere));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isAlive(pid: number): boolean {
  // A process that nobody waits for any more may stay as a zombie where there is no init.
  try {
    return !/^Z/.test(execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }));
  } catch {
    return false;
  }
}
