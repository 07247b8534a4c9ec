import { exists, getKeyIndexes, hasFlag } from "@ioredis/commands";
import { InvalidArgumentError } from "../errors.ts";
import { bufferOf, kindOf } from "../protocol/encode.ts";
import type { Argument } from "../protocol/reply.ts";
import { type BlockingTime, blockingTimeOf } from "./blocking.ts";

/** Commands that change what a connection is, or answer never, late or more than once: on a shared one they would harm others. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ...["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "monitor"].map(
    (name): [string, string] => [name, "it turns a connection into a stream of messages"],
  ),
  ...["multi", "exec", "discard", "watch", "unwatch"].map((name): [string, string] => [
    name,
    "a transaction needs a connection of its own",
  ]),
  ...["wait", "waitaof"].map((name): [string, string] => [
    name,
    "it waits for the writes of its own connection, and would delay others there",
  ]),
  ...["auth", "hello", "reset", "quit", "select", "asking", "readonly", "readwrite", "sync", "psync"].map(
    (name): [string, string] => [name, "it changes the state of a connection that others share"],
  ),
]);

const RUNS_CODE = new Set(["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"]);

/** How a command is routed and repeated. */
export interface CommandTraits {
  readonly keys: readonly Argument[];
  /** The server flags it `readonly`: it may run twice. */
  readonly readOnly: boolean;
  /** Runs Lua or a function. */
  readonly runsCode: boolean;
  /** The server may keep its connection waiting. */
  readonly blocking: BlockingTime | undefined;
}

/**
 * What is known of a command. The first argument of one that no table knows counts as its key.
 * @throws {InvalidArgumentError} for a command that cannot share a connection.
 */
export function traitsOf(name: string, args: readonly Argument[]): CommandTraits {
  if (typeof name !== "string" || !/^[\w.|-]+$/.test(name)) {
    const shown = typeof name === "string" ? JSON.stringify(name) : kindOf(name);
    throw new InvalidArgumentError(
      `A command's name is ${shown}; accepted is one word, with what follows it as arguments: command("CONFIG", "GET", "save").`,
    );
  }
  const lower = name.toLowerCase();
  const reason = REFUSED.get(lower) ?? connectionReason(lower, args);
  if (reason !== undefined)
    throw new InvalidArgumentError(`${name.toUpperCase()} cannot be sent by command(): ${reason}.`);
  if (!exists(lower)) return { keys: args.slice(0, 1), readOnly: false, runsCode: false, blocking: undefined };
  const texts = args.map(textOf);
  checkKeyCount(name, lower, texts);
  const keys = getKeyIndexes(lower, texts).map((index) => args[index]);
  return {
    keys: keys.filter((key) => key !== undefined),
    readOnly: hasFlag(lower, "readonly"),
    runsCode: RUNS_CODE.has(lower),
    blocking: blockingTimeOf(lower, texts),
  };
}

function connectionReason(name: string, args: readonly Argument[]): string | undefined {
  if (name === "client" && /^(reply|tracking|caching|no-evict|no-touch)$/i.test(textOf(args[0]))) {
    return "it changes the state of a connection that others share";
  }
  return undefined;
}

/** Where a command says how many keys follow. The table believes any number, and builds a list of that length. */
const KEY_COUNT_AT: ReadonlyMap<string, number> = new Map([
  ...["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"].map((name): [string, number] => [name, 1]),
  ...["zunionstore", "zinterstore", "zdiffstore", "blmpop", "bzmpop"].map((name): [string, number] => [name, 1]),
  ...["zunion", "zinter", "zdiff", "zintercard", "sintercard", "lmpop", "zmpop"].map((name): [string, number] => [
    name,
    0,
  ]),
]);

function checkKeyCount(name: string, lower: string, texts: readonly string[]): void {
  const at = KEY_COUNT_AT.get(lower);
  const text = at === undefined ? undefined : texts[at];
  if (at === undefined || text === undefined) return;
  const most = texts.length - at - 1;
  if (/^\d{1,9}$/.test(text) && Number(text) <= most) return;
  throw new InvalidArgumentError(
    `${name.toUpperCase()}: argument ${at + 1} is to be the number of keys, a whole number from 0 to ${most} here.`,
  );
}

function textOf(arg: Argument | undefined): string {
  return arg instanceof Uint8Array ? bufferOf(arg).toString("latin1") : String(arg);
}
