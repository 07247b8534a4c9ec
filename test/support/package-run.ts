import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Guard } from "../../src/testing/guard.ts";

const execute = promisify(execFile);

/**
 * Without what npm tells the scripts that it runs: it is about this package, not about the one in the folder. Without what
 * a test run tells its files, too: a run that a test begins is its own.
 */
export const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("npm_") && !name.startsWith("NODE_TEST_")),
);

/**
 * Runs a program in a folder, within a minute.
 * @returns  What it printed to standard output.
 * @throws {Error} with all that it printed, when it fails.
 */
export function run(folder: string, program: string, ...args: readonly string[]): Promise<string> {
  return runWithin(60_000, folder, program, ...args);
}

/** A program that is still at work when a test is given up ends with the test's process. */
const guard = new Guard();

/** Runs a program in a folder, within `timeout` milliseconds. */
export async function runWithin(
  timeout: number,
  folder: string,
  program: string,
  ...args: readonly string[]
): Promise<string> {
  try {
    const limits = { timeout, maxBuffer: 16 * 1024 * 1024 };
    const running = execute(program, args, { cwd: folder, env: environment, ...limits });
    guard.watch(running.child);
    return (await running).stdout;
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout: string; stderr: string };
    throw new Error([message, stdout, stderr].join("\n"), { cause: error });
  }
}

/** What is in a `node_modules` folder. */
export interface Installed {
  /** Their names, in order. */
  readonly packages: readonly string[];
  /** The sum of their files' sizes. */
  readonly bytes: number;
}

export function installedIn(folder: string): Installed {
  const packages: string[] = [];
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    // What begins with a point is npm's own: its list, and links to commands.
    if (entry.startsWith(".")) continue;
    const stat = statSync(join(folder, entry));
    if (stat.isFile()) bytes += stat.size;
    else if (existsSync(join(folder, entry, "package.json"))) {
      const { name, version } = JSON.parse(readFileSync(join(folder, entry, "package.json"), "utf8"));
      if (name !== undefined && version !== undefined) packages.push(name);
    }
  }
  return { packages: packages.sort(), bytes };
}
