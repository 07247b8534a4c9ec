import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { ROOT } from "../support/slotwire-cli.ts";

describe("what a process that ends leaves behind: nothing", () => {
  let folder: string;
  const started: ChildProcess[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "slotwire-test-"));
  });
  after(() => {
    for (const child of started) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

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
    started.push(child);
    const [pid] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    child.kill("SIGKILL");
    await gone(() => existsSync(first) || existsSync(second) || isAlive(Number(pid)));
  });

  it("the tour, interrupted by a signal to npm alone while its servers start", async () => {
    const temporary = join(folder, "tour");
    mkdirSync(temporary);
    const env = { ...process.env, TMPDIR: temporary };
    const npm = spawn("npm", ["start"], { cwd: ROOT, env, stdio: ["ignore", "pipe", "ignore"] });
    started.push(npm);
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
  const deadline = Date.now() + 10_000;
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
