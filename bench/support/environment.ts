import { execFileSync } from "node:child_process";
import { environmentOf } from "../../src/cli/bench/environment.ts";
import type { Environment } from "../../src/cli/bench/report.ts";

/** The machine, the versions, and the commit of the working copy: with a "+" if there are changes. */
export function describeEnvironment(server: string, setting: string): Environment {
  return environmentOf({ server, setting, commit: commit() });
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain") === "" ? "" : "+");
  } catch {
    return "unknown";
  }
}
