import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Scripted nodes of one cluster, in a process of their own. */
export interface Fleet {
  readonly seed: string;
  stop(): void;
}

/**
 * @param count   The nodes that are announced, all of them primaries.
 * @param dead    So many of them listen nowhere.
 * @param ranges  The ranges of slots; they are dealt out to the nodes in turn.
 */
export async function startFleet(count: number, dead: number, ranges: number): Promise<Fleet> {
  const child = fork(fileURLToPath(new URL("scripted-fleet.ts", import.meta.url)), { execArgv: process.execArgv });
  const ready = new Promise<string>((resolve, reject) => {
    child.once("message", (said) => resolve((said as { seed: string }).seed));
    child.once("exit", () => reject(new Error("the scripted nodes have ended")));
  });
  child.send({ count, dead, ranges });
  return { seed: await ready, stop: () => child.kill("SIGKILL") };
}
