import { InvalidArgumentError, SlotwireError, withOutcome } from "../errors.ts";
import { slotOf } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { textOf } from "./keys.ts";

/** How the replies of several nodes, or for several slots, become one. */
export type Join = "first" | "some" | "sum" | "least" | "most" | "every" | "any" | "concatenated";

/** A command that is for many nodes: which ones, and what becomes of their replies. */
export interface Spread {
  readonly nodes: "all" | "primaries";
  readonly join: Join;
}

const all = (join: Join): Spread => ({ nodes: "all", join });
const primaries = (join: Join): Spread => ({ nodes: "primaries", join });

/**
 * The request and response policies that servers publish as command tips, for the commands of the table that have some:
 * by command, or by subcommand. Left to one node are those whose replies nobody says how to join, and PING and RANDOMKEY,
 * which any node can answer.
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
      ["kill", primaries("some")],
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
      // The servers say primaries; but replicas serve scripts that read, and SCRIPT LOAD is for all nodes.
      ["exists", all("every")],
      ["flush", all("first")],
      ["kill", primaries("some")],
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

/** The policy of a command for many nodes; undefined for one that is for one node. */
export function spreadOf(lower: string, args: readonly Argument[]): Spread | undefined {
  const entry = SPREADS.get(lower);
  return entry instanceof Map ? entry.get(textOf(args[0]).toLowerCase()) : (entry as Spread | undefined);
}

/** Commands over many keys that may be sent in parts: arguments a key, and what becomes of the parts' replies. */
const DIVISIBLE: ReadonlyMap<string, { readonly step: number; readonly join: "first" | "sum" | "by-key" }> = new Map([
  ["mget", { step: 1, join: "by-key" }],
  ["mset", { step: 2, join: "first" }],
  ["del", { step: 1, join: "sum" }],
  ["unlink", { step: 1, join: "sum" }],
  ["exists", { step: 1, join: "sum" }],
  ["touch", { step: 1, join: "sum" }],
]);

/** One command in parts, each for one slot. */
export interface Division {
  readonly parts: readonly (readonly Argument[])[];
  /** One reply, or the error of the whole, out of what became of the parts, in their order. */
  join(results: readonly PromiseSettledResult<Reply>[]): Reply;
}

/**
 * Divides the arguments of a command by slot; undefined when it is indivisible, or need not be.
 * @throws {InvalidArgumentError} for a key without a value; that of one slot alone the server refuses.
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
      `${lower.toUpperCase()}: the last key has no value; accepted are keys and values in turn.`,
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

/** One reply out of many. Replies of a kind that the join does not know are taken as the first. */
export function joinReplies(join: Join, replies: readonly Reply[]): Reply {
  const [first = null] = replies;
  if (join === "concatenated") return replies.every(Array.isArray) ? replies.flat(1) : first;
  // Where each node answers for several things, they are joined one by one.
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
 * The replies of many nodes, or to many parts, or the error that the whole command rejects with: the first that any had,
 * for `some` only when every one had one. The outcome is that of the whole.
 */
export function repliesOf(join: Join, results: readonly PromiseSettledResult<Reply>[]): readonly Reply[] {
  const replies = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failures = results.flatMap((result): unknown[] => (result.status === "rejected" ? [result.reason] : []));
  const [first] = failures;
  if (failures.length === 0 || (join === "some" && replies.length > 0)) return replies;
  if (!(first instanceof SlotwireError)) throw first;
  const outcomes = failures.map((failure) => (failure instanceof SlotwireError ? failure.outcome : "unknown"));
  if (replies.length > 0 || outcomes.includes("executed")) throw withOutcome(first, "executed");
  throw outcomes.includes("unknown") ? withOutcome(first, "unknown") : first;
}

/** `repliesOf`, joined. */
export function joinResults(join: Join, results: readonly PromiseSettledResult<Reply>[]): Reply {
  return joinReplies(join, repliesOf(join, results));
}
