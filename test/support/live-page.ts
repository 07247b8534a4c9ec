import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { CLI, ROOT } from "./slotwire-cli.ts";

/** A `slotwire cluster --web` or `slotwire watch` that runs as a process of its own, as a user starts it. */
export interface LivePage {
  /** The page's address, with its token. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a cluster of three primaries, each with a replica, and its page. */
export function startLivePage(): Promise<LivePage> {
  return startPage("cluster", "--web");
}

/** Starts a command of `slotwire` that has a page. */
export async function startPage(...args: string[]): Promise<LivePage> {
  const process_ = spawn(process.execPath, [CLI, ...args, "--json"], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await Promise.race([
    once(createInterface({ input: process_.stdout }), "line"),
    once(process_, "exit").then(([status]) => Promise.reject(new Error(`slotwire ${args[0]} ended with ${status}`))),
  ])) as [string];
  return { url: JSON.parse(line).web, stop: () => end(process_) };
}

async function end(process_: ChildProcess): Promise<void> {
  if (process_.exitCode !== null) return;
  process_.kill("SIGINT");
  await once(process_, "exit");
}
