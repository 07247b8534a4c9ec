import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { CLI, ROOT } from "./slotwire-cli.ts";

/** A `slotwire cluster --web` that runs as a process of its own, as a user starts it. */
export interface LivePage {
  /** The page's address, with its token. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a cluster of three primaries, each with a replica, and its page. */
export async function startLivePage(): Promise<LivePage> {
  const process_ = spawn(process.execPath, [CLI, "cluster", "--web", "--json"], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await Promise.race([
    once(createInterface({ input: process_.stdout }), "line"),
    once(process_, "exit").then(([status]) => Promise.reject(new Error(`slotwire cluster ended with ${status}`))),
  ])) as [string];
  return { url: JSON.parse(line).web, stop: () => end(process_) };
}

async function end(process_: ChildProcess): Promise<void> {
  if (process_.exitCode !== null) return;
  process_.kill("SIGINT");
  await once(process_, "exit");
}
