import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, type as osType, release, totalmem } from "node:os";

/** The machine and the versions of a measurement. */
export interface BenchEnvironment {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly server: string;
  readonly slotwire: string;
  /** The commit of the working copy, with a "+" if there are changes; "unknown" outside a working copy. */
  readonly commit: string;
}

export function describeEnvironment(server: string): BenchEnvironment {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${osType()} ${release()}`,
    node: process.version,
    server,
    slotwire: version,
    commit: commit(),
  };
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
