import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { createInterface } from "node:readline";
import { Guard } from "../../src/testing/guard.ts";
import { CLI, ROOT } from "./slotwire-cli.ts";

/** When this process is ended from outside, the guard ends what it started. */
const guard = new Guard();

/** To be called behind the last test of a file. */
export const releaseDriven = () => guard.release();

/** `slotwire cluster`, asked by lines, with a folder of its own for temporary files. */
export class DrivenCluster {
  readonly child: ChildProcess;
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>;
  err = "";
  readonly #lines: AsyncIterator<string>;

  constructor(temporary: string, ...args: string[]) {
    const env = { ...process.env, TMPDIR: temporary };
    const child = spawn(process.execPath, [CLI, "cluster", ...args], { cwd: ROOT, env });
    this.child = child;
    guard.watch(child);
    this.exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve([code, signal])));
    child.stderr.on("data", (text) => {
      this.err += text;
    });
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    assert.ok(!done, `it has ended: ${this.err}`);
    return value;
  }

  /** All lines up to the end. */
  async rest(): Promise<string[]> {
    const lines: string[] = [];
    for (let next = await this.#lines.next(); !next.done; next = await this.#lines.next()) lines.push(next.value);
    return lines;
  }

  async ask<T = Record<string, string>>(command: string): Promise<T> {
    this.child.stdin?.write(`${command}\n`);
    return JSON.parse(await this.line()) as T;
  }
}

export const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Folders of clusters, where the compiler of the tests keeps its cache as well, and servers that run in them. */
export const leftIn = (path: string) => [
  ...readdirSync(path).filter((name) => name.startsWith("slotwire-")),
  ...(existsSync("/proc") ? readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && worksIn(pid, path)) : []),
];

function worksIn(pid: string, path: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).startsWith(path);
  } catch {
    return false;
  }
}
