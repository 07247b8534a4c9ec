import { hasFlag } from "@ioredis/commands";
import type { Argument } from "../protocol/reply.ts";
import { isListed, textOf } from "./keys.ts";
import type { CommandTraits } from "./traits.ts";

/** Why the reply of a command is not kept. */
export type NotCacheable = "not-read-only" | "no-keys" | "blocking" | "nondeterministic" | "unlisted" | "function";

/**
 * Read-only commands whose reply does not follow from their keys and arguments alone: those with the tip
 * `nondeterministic_output` in COMMAND DOCS; those that have an effect that a reply from memory would not have;
 * SORT_RO, which reads keys that servers do not track for it; and XINFO GROUPS, because servers do not tell of what becomes
 * of a stream's groups. `true` stands for all subcommands.
 */
const NONDETERMINISTIC: ReadonlyMap<string, true | RegExp> = new Map<string, true | RegExp>([
  ...[
    "dump",
    "hpttl",
    "hrandfield",
    "hscan",
    "httl",
    "pttl",
    "randomkey",
    "scan",
    "srandmember",
    "sscan",
    "ttl",
    "xpending",
    "zrandmember",
    "zscan",
    "sort_ro",
    "touch",
  ].map((name): [string, true] => [name, true]),
  ["object", true],
  ["memory", true],
  ["xinfo", true],
]);

/** Why the reply of a command with such traits must not be kept; undefined if it may be. */
export function whyNotCacheable(
  lower: string,
  args: readonly Argument[],
  { readOnly, blocking, keys }: CommandTraits,
): NotCacheable | undefined {
  if (!readOnly) return "not-read-only";
  if (blocking !== undefined) return "blocking";
  // The tips of commands of modules are not known, and their servers may not track what they read.
  if (!isListed(lower)) return "unlisted";
  // Another client may replace the function's code.
  if (lower === "fcall_ro") return "function";
  const nondeterministic = NONDETERMINISTIC.get(lower);
  if (nondeterministic === true || nondeterministic?.test(textOf(args[0]))) return "nondeterministic";
  return keys.length === 0 ? "no-keys" : undefined;
}

/** Whether a command reads fields of hashes, each of which can have a time to live of its own: Redis 7.4 on, Valkey 9. */
export function readsFields(lower: string): boolean {
  return FIELDS.test(lower);
}

/** Whether a script may, as far as its source shows. */
export function mentionsFields(source: string): boolean {
  return FIELDS_WITHIN.test(source);
}

const FIELDS = /^h(exists|get|getall|keys|len|mget|strlen|vals)$/;
const FIELDS_WITHIN = /["'[]h(exists|get|getall|keys|len|mget|strlen|vals)["'\]]/i;

/** Whether a command may change keys. A command that no table lists, and that no server calls read-only, may. */
export function mayWriteKeys(name: string, { readOnly, runsCode }: CommandTraits): boolean {
  if (readOnly) return false;
  if (runsCode) return true;
  return (KINDS.get(name) ?? noteKind(name)) !== "harmless";
}

/** As `isListed`, of a name in any case of letters. */
export function isListedName(name: string): boolean {
  return (KINDS.get(name) ?? noteKind(name)) !== "unlisted";
}

/** By the name as it was given: to find out takes longer than all else that a cache costs a write. */
const KINDS = new Map<string, "harmless" | "writes" | "unlisted">();
/** Names come from callers, in any case of letters. */
const MOST_NAMES = 1000;

function noteKind(name: string): "harmless" | "writes" | "unlisted" {
  const lower = name.toLowerCase();
  const kind = !isListed(lower) ? "unlisted" : hasFlag(lower, "write") || lower === "debug" ? "writes" : "harmless";
  if (KINDS.size < MOST_NAMES) KINDS.set(name, kind);
  return kind;
}
