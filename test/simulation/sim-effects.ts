import { marksIn } from "./ledger.ts";
import { ErrorReply, type Value } from "./resp.ts";
import type { SimNode } from "./sim-node.ts";
import { behaviourOf, type Redis, shaOf } from "./sim-scripts.ts";
import type { NodeSession } from "./sim-session.ts";

/*
 * What commands do, and how it is noted.
 */

export const WRONG_TYPE_OF_NUMBER = new ErrorReply("ERR value is not an integer or out of range");

export const NUMBERED_KEYS = (args: readonly string[]) => args.slice(3, 3 + Number(args[2]));

/** The calls that are marked in `args` have run. */
export function noted<V extends Value>(session: NodeSession, args: readonly string[], reply: V): V {
  const { node, watchedAtExec, heldAtExec } = session;
  const marks = marksIn(args);
  session.ran.push(...marks);
  node.world.ledger.noteExecution(marks, node.name, watchedAtExec, heldAtExec);
  node.world.history?.noteRan(node, args);
  return reply;
}

export function increment(node: SimNode, key: string): number | undefined {
  const value = Number(node.data.get(key) ?? 0) + 1;
  if (!Number.isInteger(value)) return undefined;
  node.set(key, String(value), "incrby");
  return value;
}

export function load(node: SimNode, source: string, isLoad: boolean): string {
  const sha = shaOf(source);
  if (isLoad) {
    const loads = node.loads.get(sha) ?? { all: 0, needless: 0 };
    loads.all++;
    if (node.scripts.has(sha)) loads.needless++;
    node.loads.set(sha, loads);
  }
  node.scripts.set(sha, source);
  return sha;
}

/** A script stops at the command that fails. What was before that has run. */
class CommandFailed extends Error {}

export function runScript(session: NodeSession, args: readonly string[], bySource: boolean, writes: boolean): Value {
  const { node } = session;
  const { ledger } = node.world;
  const sha = bySource ? load(node, args[1] as string, false) : (args[1] as string).toLowerCase();
  const source = node.scripts.get(sha);
  if (source === undefined) {
    const noScript = "NOSCRIPT No matching script. Please use EVAL.";
    ledger.noteRefusal(marksIn(args), noScript, node.name, false);
    return new ErrorReply(noScript);
  }
  noted(session, args, null);
  const keys = NUMBERED_KEYS(args);
  const write = () => {
    if (!writes) throw new CommandFailed("ERR Write commands are not allowed from read-only scripts.");
    if (!node.isPrimary) throw new CommandFailed("READONLY You can't write against a read only replica.");
  };
  const read = new Set<string>();
  const redis: Redis = {
    get(key) {
      read.add(key);
      return node.read(key);
    },
    set(key, value) {
      write();
      node.set(key, value);
    },
    incr(key) {
      write();
      const value = increment(node, key);
      if (value === undefined) throw new CommandFailed(WRONG_TYPE_OF_NUMBER.text);
      return value;
    },
    spend: (milliseconds) => node.spend(milliseconds),
  };
  try {
    return behaviourOf(source)?.(redis, keys, args.slice(3 + keys.length)) ?? null;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return new ErrorReply(`${error.message} script: ${sha}, on @user_script:1.`);
  } finally {
    // Before 7.2 the keys that a script declares are tracked, if it reads anything; later on those that it reads.
    if (read.size > 0) node.tracking.noteRead(session, node.world.version === 7 ? keys : [...read]);
  }
}
