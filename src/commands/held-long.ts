import { blockingNames } from "./blocking.ts";
import { isListed } from "./keys.ts";

/** Commands that servers run in a thread, while they serve others, and commands that wait for other servers. */
const IN_THREADS: readonly string[] = ["flushall", "flushdb", "wait", "waitaof", "failover", "shutdown"];

/**
 * Whether a server may keep the caller of a command waiting for long while it serves other connections: it blocks, it
 * runs in a thread, or it belongs to a module. A command that the tables do not list may do either.
 */
export function mayBeHeldLong(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.includes(".") || IN_THREADS.includes(lower) || blockingNames.has(lower) || !isListed(lower);
}
