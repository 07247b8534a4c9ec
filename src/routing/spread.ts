import { ReplyError, SlotwireError } from "../errors.ts";
import { bufferOf } from "../protocol/encode.ts";
import { slotOf } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";

/** How the replies of several nodes, or for several slots, become one. */
export type Join = "first" | "some" | "sum" | "least" | "every" | "concatenated";

/** A command that is for many nodes: which ones, and what becomes of their replies. */
export interface Spread {
  readonly nodes: "all" | "primaries";
  readonly join: Join;
}

const all = (join: Join): Spread => ({ nodes: "all", join });
const primaries = (join: Join): Spread => ({ nodes: "primaries", join });

/**
 * The request and response policies that servers publish as command tips, for the commands that have some.
 * Two words: the command with its subcommand.
 * @see https://redis.io/docs/latest/develop/reference/command-tips/
 */
const SPREADS: ReadonlyMap<string, Spread> = new Map([
  ["config resetstat", all("first")],
  ["config rewrite", all("first")],
  ["config set", all("first")],
  ["dbsize", primaries("sum")],
  ["flushall", primaries("first")],
  ["flushdb", primaries("first")],
  ["function delete", primaries("first")],
  ["function flush", primaries("first")],
  ["function kill", primaries("some")],
  ["function load", primaries("first")],
  ["function restore", primaries("first")],
  ["keys", primaries("concatenated")],
  ["latency reset", all("sum")],
  ["memory purge", primaries("first")],
  ["script exists", all("every")],
  ["script flush", all("first")],
  ["script kill", primaries("some")],
  ["script load", all("first")],
  ["slowlog len", all("sum")],
  ["slowlog reset", all("first")],
  ["wait", primaries("least")],
]);

/** The policy of a command for many nodes; undefined for one that is for one node. */
export function spreadOf(lower: string, args: readonly Argument[]): Spread | undefined {
  const [word] = args;
  const subcommand = word instanceof Uint8Array ? bufferOf(word).toString("latin1") : word;
  return (
    SPREADS.get(lower) ?? SPREADS.get(`${lower} ${typeof subcommand === "string" ? subcommand.toLowerCase() : ""}`)
  );
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
  /** One reply out of those to the parts, in their order. */
  join(replies: readonly Reply[]): Reply;
}

/** Divides the arguments of a command by slot; undefined when it is indivisible, or need not be. */
export function divide(lower: string, args: readonly Argument[]): Division | undefined {
  const rule = DIVISIBLE.get(lower);
  if (rule === undefined || args.length % rule.step !== 0) return undefined;
  const bySlot = new Map<number, { args: Argument[]; positions: number[] }>();
  for (let at = 0; at < args.length; at += rule.step) {
    const slot = slotOf(args[at] as Argument);
    const part = bySlot.get(slot) ?? { args: [], positions: [] };
    bySlot.set(slot, part);
    part.args.push(...args.slice(at, at + rule.step));
    part.positions.push(at / rule.step);
  }
  if (bySlot.size < 2) return undefined;
  const parts = [...bySlot.values()];
  return {
    parts: parts.map((part) => part.args),
    join: (replies) => {
      if (rule.join !== "by-key") return joinReplies(rule.join, replies);
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
  if (join === "sum" && replies.every((reply) => typeof reply === "number")) return replies.reduce((a, b) => a + b, 0);
  if (join === "least" && replies.every((reply) => typeof reply === "number")) return Math.min(...replies);
  if (join === "concatenated" && replies.every(Array.isArray)) return replies.flat(1);
  if (join === "every" && Array.isArray(first) && replies.every(Array.isArray)) {
    return first.map((_, index) => (replies.every((reply) => (reply as Reply[])[index] === 1) ? 1 : 0));
  }
  return first;
}

/**
 * The replies of many nodes as one, or the error that the whole command rejects with: the first that any node had, for
 * `some` only when every node had one. It may have run where it did not fail, which its outcome says.
 */
export function joinResults(join: Join, results: readonly PromiseSettledResult<Reply>[]): Reply {
  const replies = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined || (join === "some" && replies.length > 0)) return joinReplies(join, replies);
  const { reason } = failed;
  if (replies.length > 0 && reason instanceof ReplyError) throw new ReplyError(reason.reply, "executed");
  throw reason instanceof SlotwireError ? reason : new ReplyError(String(reason));
}
