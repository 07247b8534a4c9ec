import { InvalidArgumentError, ReplyError, SlotwireError, withOutcome } from "../errors.ts";
import { slotOf } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { textOf } from "./keys.ts";

/** How the replies of several nodes, or of several parts of a command, are joined into one reply. */
export type Join = "first" | "some" | "sum" | "least" | "most" | "every" | "any" | "concatenated";

/** For a command that is sent to many nodes: the nodes, and how their replies are joined. */
export interface Spread {
  readonly nodes: "all" | "primaries";
  readonly join: Join;
  /**
   * Set for commands that end a running script. A server takes them while it is busy, and only the call of the script is
   * why they are sent: so each goes to its node on a connection of its own, which may be opened while the node is busy.
   */
  readonly endsScripts?: true;
}

const all = (join: Join): Spread => ({ nodes: "all", join });
const primaries = (join: Join): Spread => ({ nodes: "primaries", join });
/** The servers' policy says primaries. But replicas run scripts that only read. */
const KILL: Spread = { nodes: "all", join: "some", endsScripts: true };

/**
 * The request and response policies that servers publish as command tips, by command or by subcommand. A command that
 * is not in this map goes to one node. Among these are commands for whose replies no policy exists, and PING and
 * RANDOMKEY, because any node can answer them.
 * @see https://redis.io/docs/latest/develop/reference/command-tips/
 */
const SPREADS: ReadonlyMap<string, Spread | ReadonlyMap<string, Spread>> = new Map<
  string,
  Spread | ReadonlyMap<string, Spread>
>([
  [
    "acl",
    new Map([
      ["deluser", all("first")],
      ["save", all("first")],
      ["setuser", all("first")],
    ]),
  ],
  [
    "client",
    new Map([
      ["setinfo", all("first")],
      ["setname", all("first")],
    ]),
  ],
  ["cluster", new Map([["slot-stats", primaries("concatenated")]])],
  [
    "config",
    new Map([
      ["resetstat", all("first")],
      ["rewrite", all("first")],
      ["set", all("first")],
    ]),
  ],
  ["dbsize", primaries("sum")],
  ["flushall", primaries("first")],
  ["flushdb", primaries("first")],
  [
    "function",
    new Map([
      ["delete", primaries("first")],
      ["flush", primaries("first")],
      ["kill", KILL],
      ["load", primaries("first")],
      ["restore", primaries("first")],
    ]),
  ],
  ["keys", primaries("concatenated")],
  ["latency", new Map([["reset", all("sum")]])],
  ["memory", new Map([["purge", primaries("first")]])],
  [
    "script",
    new Map([
      // The servers' policy says primaries. But replicas run scripts that only read, so these commands go to all nodes.
      ["exists", all("every")],
      ["flush", all("first")],
      ["kill", KILL],
      ["load", all("first")],
    ]),
  ],
  [
    "slowlog",
    new Map([
      ["get", all("concatenated")],
      ["len", all("sum")],
      ["reset", all("first")],
    ]),
  ],
  ["wait", primaries("least")],
  ["waitaof", primaries("least")],
]);

/** The policy of a command that goes to many nodes. Undefined for a command that goes to one node. */
export function spreadOf(lower: string, args: readonly Argument[]): Spread | undefined {
  const entry = SPREADS.get(lower);
  return entry instanceof Map ? entry.get(textOf(args[0]).toLowerCase()) : (entry as Spread | undefined);
}

/**
 * Commands that may be sent in parts, with their number of arguments per key, and how the parts' replies are joined.
 */
const DIVISIBLE: ReadonlyMap<string, { readonly step: number; readonly join: "first" | "sum" | "by-key" }> = new Map([
  ["mget", { step: 1, join: "by-key" }],
  ["mset", { step: 2, join: "first" }],
  ["del", { step: 1, join: "sum" }],
  ["unlink", { step: 1, join: "sum" }],
  ["exists", { step: 1, join: "sum" }],
  ["touch", { step: 1, join: "sum" }],
]);

/** A command that is divided into parts, one for each slot. */
export interface Division {
  readonly parts: readonly (readonly Argument[])[];
  /**
   * Joins the results of the parts, given in the order of the parts. Throws the error of the whole command if it
   * failed.
   */
  join(results: readonly PromiseSettledResult<Reply>[]): Reply;
}

/**
 * Divides the arguments of a command by slot. Undefined when the command cannot be divided, or when all keys are in one
 * slot.
 * @throws {InvalidArgumentError} when the last key has no value. If all keys are in one slot, the server refuses the
 *   call.
 */
export function divide(lower: string, args: readonly Argument[]): Division | undefined {
  const rule = DIVISIBLE.get(lower);
  if (rule === undefined) return undefined;
  const bySlot = new Map<number, { args: Argument[]; positions: number[] }>();
  for (let at = 0; at < args.length; at += rule.step) {
    const slot = slotOf(args[at] as Argument);
    const part = bySlot.get(slot) ?? { args: [], positions: [] };
    bySlot.set(slot, part);
    part.args.push(...args.slice(at, at + rule.step));
    part.positions.push(at / rule.step);
  }
  if (bySlot.size < 2) return undefined;
  if (args.length % rule.step !== 0) {
    throw new InvalidArgumentError(
      `${lower.toUpperCase()}: the last key has no value; accepted are pairs of a key and a value.`,
    );
  }
  const parts = [...bySlot.values()];
  return {
    parts: parts.map((part) => part.args),
    join: (results) => {
      if (rule.join !== "by-key") return joinResults(rule.join, results);
      const replies = repliesOf("first", results);
      const values: Reply[] = [];
      parts.forEach(({ positions }, index) => {
        const reply = replies[index] as Reply[];
        positions.forEach((position, at) => {
          values[position] = reply[at] as Reply;
        });
      });
      return values;
    },
  };
}

/** Joins many replies into one. If the join does not fit the type of the replies, the result is the first reply. */
export function joinReplies(join: Join, replies: readonly Reply[]): Reply {
  const [first = null] = replies;
  if (join === "concatenated") return replies.every(Array.isArray) ? replies.flat(1) : first;
  // If each node answers with a list, the lists are joined element by element.
  if (Array.isArray(first) && replies.every((reply) => Array.isArray(reply) && reply.length === first.length)) {
    if (join === "first" || join === "some") return first;
    return first.map((_, index) =>
      joinReplies(
        join,
        (replies as Reply[][]).map((reply) => reply[index] as Reply),
      ),
    );
  }
  const fold = FOLDS.get(join);
  return fold !== undefined && replies.length > 0 && replies.every((reply) => typeof reply === "number")
    ? replies.reduce(fold)
    : first;
}

const FOLDS: ReadonlyMap<Join, (a: number, b: number) => number> = new Map<Join, (a: number, b: number) => number>([
  ["sum", (a, b) => a + b],
  ["least", (a, b) => Math.min(a, b)],
  ["most", (a, b) => Math.max(a, b)],
  ["every", (a, b) => (a === 1 && b === 1 ? 1 : 0)],
  ["any", (a, b) => (a === 1 || b === 1 ? 1 : 0)],
]);

/**
 * The replies of all nodes or parts. Throws when the whole command failed, which is when any of them failed; with
 * `some`, only when all of them failed. The error is the first one of those that tell most, with the outcome of the
 * whole command.
 */
function repliesOf(join: Join, results: readonly PromiseSettledResult<Reply>[]): readonly Reply[] {
  const replies = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failures = results.flatMap((result): unknown[] => (result.status === "rejected" ? [result.reason] : []));
  if (failures.length === 0 || (join === "some" && replies.length > 0)) return replies;
  const [first] = join === "some" ? failures.toSorted((a, b) => weightOf(b) - weightOf(a)) : failures;
  if (!(first instanceof SlotwireError)) throw first;
  const outcomes = failures.map((failure) => (failure instanceof SlotwireError ? failure.outcome : "unknown"));
  if (replies.length > 0 || outcomes.includes("executed")) throw withOutcome(first, "executed");
  throw outcomes.includes("unknown") ? withOutcome(first, "unknown") : first;
}

/**
 * How much the failure of one node tells about a command of which one success is enough. A node that is not running a
 * script tells least: the script may run on one that did not answer.
 */
function weightOf(failure: unknown): number {
  if (!(failure instanceof ReplyError)) return 1;
  return failure.reply.startsWith("NOTBUSY ") ? 0 : 2;
}

/** Joins the replies that `repliesOf` returns. */
export function joinResults(join: Join, results: readonly PromiseSettledResult<Reply>[]): Reply {
  return joinReplies(join, repliesOf(join, results));
}
