import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Guard } from "../../src/testing/guard.ts";

/** A seed that never ends ends with this process. */
const guard = new Guard();

/** What a process that tried seeds had to say. */
export interface Tried {
  readonly isKept: boolean;
  readonly output: string;
}

/** What the process is started with. */
export interface RunOptions {
  /** The path of a simulator in one file, in place of the sources. */
  readonly bundle?: string;
  /** Only seeds whose runs have a cache. */
  readonly isCached?: boolean | undefined;
}

/** Tries seeds in a process of their own, so that several can be at work, until one breaks a promise. */
export function runSeeds(first: number, count: number, { bundle, isCached }: RunOptions = {}): Promise<Tried> {
  const checks = new URL("../support/checks-invariants.mjs", import.meta.url).href;
  const sources = ["--import", "tsx", fileURLToPath(new URL("main.ts", import.meta.url))];
  const args = ["--import", checks, ...(bundle === undefined ? sources : [bundle])];
  args.push("--first", String(first), "--seeds", String(count), "--stop-after", "1");
  if (isCached) args.push("--cached");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    guard.watch(child);
    child.on("error", reject);
    child.on("close", (code) => resolve({ isKept: code === 0, output: output.trim() }));
  });
}
