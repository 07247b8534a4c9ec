import { getKeyIndexes, list } from "@ioredis/commands";
import { InvalidArgumentError } from "../errors.ts";
import { bufferOf } from "../protocol/encode.ts";
import type { Argument } from "../protocol/reply.ts";

const LISTED: ReadonlySet<string> = new Set(list);

/** Whether the library's table has the command. For any other command the server is asked. */
export function isListed(lower: string): boolean {
  return LISTED.has(lower);
}

/**
 * The positions of a listed command's keys among its arguments, counted from 0. `COMMAND GETKEYS` finds the same keys,
 * but counts the command's name as position 0.
 */
export function keyPositionsOf(lower: string, args: readonly Argument[]): readonly number[] {
  const find = CORRECTED.get(lower);
  if (find !== undefined) return find(args);
  const [first] = args;
  // The library reads only the number of arguments and, for subcommands, the first argument.
  if (!(first instanceof Uint8Array)) return getKeyIndexes(lower, args as (string | number)[]);
  return getKeyIndexes(lower, [textOf(first), ...(args.slice(1) as string[])]);
}

type Finder = (args: readonly Argument[]) => readonly number[];

/**
 * Commands that the library reads differently from the servers. The library takes the patterns of SORT for keys, uses
 * every STORE where servers use the last one, and mistakes values for option names. It also trusts any number of keys
 * and builds a list of that length.
 */
const CORRECTED: ReadonlyMap<string, Finder> = new Map<string, Finder>([
  ["sort", (args) => [0, ...lastTarget(args, 1, { limit: 2, get: 1, by: 1 }, ["store"])]],
  ["sort_ro", () => [0]],
  ["georadius", (args) => [0, ...lastTarget(args, 5, {}, ["store", "storedist"])]],
  ["georadiusbymember", (args) => [0, ...lastTarget(args, 4, {}, ["store", "storedist"])]],
  ["migrate", keysOfMigrate],
  ["xread", keysOfRead],
  ["xreadgroup", keysOfRead],
  ...["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"].map((name) => counted(name, 1)),
  ...["blmpop", "bzmpop"].map((name) => counted(name, 1)),
  ...["zunionstore", "zinterstore", "zdiffstore"].map((name) => counted(name, 1, { before: [0] })),
  ...["zunion", "zinter", "zdiff", "zintercard", "lmpop", "zmpop"].map((name) => counted(name, 0)),
  ...["sintercard", "sunioncard", "sdiffcard"].map((name) => counted(name, 0)),
  counted("msetex", 0, { step: 2 }),
]);

/** A command whose argument at `at` is the number of keys. The keys follow; `step` is the distance between two keys. */
function counted(
  name: string,
  at: number,
  { step = 1, before = [] }: { readonly step?: number; readonly before?: readonly number[] } = {},
): [string, Finder] {
  return [
    name,
    (args) => {
      if (args.length <= at) return before;
      const text = textOf(args[at]);
      const most = Math.floor((args.length - at - 1) / step);
      if (!/^\d{1,9}$/.test(text) || Number(text) > most) {
        throw new InvalidArgumentError(
          `${name.toUpperCase()}: argument ${at + 1} must be the number of keys; accepted is a whole number from 0 to ${most}.`,
        );
      }
      const positions = [...before];
      for (let key = 0; key < Number(text); key++) positions.push(at + 1 + key * step);
      return positions;
    },
  ];
}

/**
 * The position behind the last of `words`, searched from `start` on. `skipped` names the options that have values, with
 * the number of values; these are not compared with `words`.
 */
function lastTarget(
  args: readonly Argument[],
  start: number,
  skipped: Readonly<Record<string, number>>,
  words: readonly string[],
): number[] {
  let target: number | undefined;
  for (let at = start; at < args.length; at++) {
    const word = textOf(args[at]).toLowerCase();
    if (words.includes(word) && at + 1 < args.length) target = ++at;
    else at += skipped[word] ?? 0;
  }
  return target === undefined ? [] : [target];
}

/** `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p | AUTH2 u p] [KEYS key ...]` */
function keysOfMigrate(args: readonly Argument[]): readonly number[] {
  if (args.length < 3 || textOf(args[2]) !== "") return [2];
  for (let at = 5; at < args.length; at++) {
    const word = textOf(args[at]).toLowerCase();
    if (word === "auth") at++;
    else if (word === "auth2") at += 2;
    else if (word === "keys") return args.map((_, index) => index).slice(at + 1);
  }
  return [2];
}

/** The options of XREAD and XREADGROUP, each with its number of values. */
const READ_OPTIONS: Readonly<Record<string, number>> = { block: 1, count: 1, group: 2, claim: 1 };

/** The keys of XREAD and XREADGROUP: the first half of the arguments behind STREAMS. */
function keysOfRead(args: readonly Argument[]): readonly number[] {
  for (let at = 0; at < args.length; at++) {
    const word = textOf(args[at]).toLowerCase();
    if (word === "streams") {
      const streams = Math.floor((args.length - at - 1) / 2);
      return Array.from({ length: streams }, (_, index) => at + 1 + index);
    }
    at += READ_OPTIONS[word] ?? 0;
  }
  return [];
}

/** An argument as text. Each byte of a Buffer or Uint8Array becomes one character. */
export function textOf(arg: Argument | undefined): string {
  return arg instanceof Uint8Array ? bufferOf(arg).toString("latin1") : String(arg);
}
