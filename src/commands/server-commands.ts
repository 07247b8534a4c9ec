import type { Argument, Reply } from "../protocol/reply.ts";
import { textOf } from "./keys.ts";
import type { Join, Spread } from "./spread.ts";

/** A command as a server describes it. */
export interface ServerCommand {
  readonly readOnly: boolean;
  /**
   * The request and response policies that the server publishes. Undefined when there are none that slotwire can
   * follow.
   */
  readonly spread: Spread | undefined;
  /** Where the keys are. Undefined when only the server can say which arguments are keys. */
  readonly keySpecs: readonly KeySpec[] | undefined;
  readonly subcommands: ReadonlyMap<string, ServerCommand>;
}

/** Where to begin, and which arguments from there on are keys. Positions count the command's name as 0. */
interface KeySpec {
  readonly begin: { readonly index: number } | { readonly keyword: string; readonly from: number };
  readonly find:
    | { readonly lastKey: number; readonly step: number; readonly limit: number }
    | { readonly countAt: number; readonly firstKey: number; readonly step: number };
}

const NO_SUBCOMMANDS: ReadonlyMap<string, ServerCommand> = new Map();

/**
 * Parses the reply to COMMAND into descriptions by lower-case name. Entries that do not describe a command are left
 * out.
 * @see https://redis.io/docs/latest/commands/command/
 */
export function parseCommands(reply: Reply): ReadonlyMap<string, ServerCommand> {
  const commands = new Map<string, ServerCommand>();
  for (const entry of Array.isArray(reply) ? reply : []) {
    if (!Array.isArray(entry) || typeof entry[0] !== "string") continue;
    const name = entry[0].toLowerCase();
    // The server names a subcommand "container|subcommand".
    commands.set(name.slice(name.indexOf("|") + 1), parseCommand(entry));
  }
  return commands;
}

function parseCommand(entry: readonly Reply[]): ServerCommand {
  // Tips, key specifications and subcommands exist since Redis 7.0.
  const [, , flags, first, last, step, , tips, specs, subcommands] = entry;
  const isMovable = wordsOf(flags).includes("movablekeys");
  let keySpecs: readonly KeySpec[] | undefined;
  if (Array.isArray(specs) && specs.length > 0) keySpecs = parseKeySpecs(specs);
  else if (!isMovable) keySpecs = rangeSpecs(Number(first), Number(last), Number(step));
  return {
    readOnly: wordsOf(flags).includes("readonly"),
    spread: spreadOfTips(wordsOf(tips)),
    keySpecs,
    subcommands: Array.isArray(subcommands) && subcommands.length > 0 ? parseCommands(subcommands) : NO_SUBCOMMANDS,
  };
}

function wordsOf(reply: Reply | undefined): readonly string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}

function rangeSpecs(first: number, last: number, step: number): readonly KeySpec[] {
  if (!(first > 0)) return [];
  const find = { lastKey: last < 0 ? last : last - first, step: Math.max(1, step), limit: 0 };
  return [{ begin: { index: first }, find }];
}

/** The key specifications. Undefined when one is not understood, or is marked as not finding every key. */
function parseKeySpecs(specs: readonly Reply[]): readonly KeySpec[] | undefined {
  const parsed = specs.map((reply): KeySpec | undefined => {
    const spec = fieldsOf(reply);
    if (wordsOf(spec.get("flags")).includes("incomplete")) return undefined;
    const begin = beginOf(fieldsOf(spec.get("begin_search")));
    const find = findOf(fieldsOf(spec.get("find_keys")));
    return begin && find && { begin, find };
  });
  return parsed.every((spec) => spec !== undefined) ? parsed : undefined;
}

function beginOf(search: ReadonlyMap<string, Reply>): KeySpec["begin"] | undefined {
  const spec = fieldsOf(search.get("spec"));
  if (search.get("type") === "index") return { index: Number(spec.get("index")) };
  if (search.get("type") !== "keyword") return undefined;
  return { keyword: String(spec.get("keyword")).toLowerCase(), from: Number(spec.get("startfrom")) };
}

function findOf(search: ReadonlyMap<string, Reply>): KeySpec["find"] | undefined {
  const spec = fieldsOf(search.get("spec"));
  const number = (name: string) => Number(spec.get(name));
  const step = Math.max(1, number("keystep"));
  if (search.get("type") === "range") return { lastKey: number("lastkey"), step, limit: number("limit") };
  if (search.get("type") !== "keynum") return undefined;
  return { countAt: number("keynumidx"), firstKey: number("firstkey"), step };
}

function fieldsOf(reply: Reply | undefined): ReadonlyMap<string, Reply> {
  const fields = new Map<string, Reply>();
  if (Array.isArray(reply)) {
    for (let at = 0; at + 1 < reply.length; at += 2) fields.set(String(reply[at]), reply[at + 1] as Reply);
  }
  return fields;
}

/** The description of the subcommand that the first argument names, or of the command itself if it names none. */
export function resolved(command: ServerCommand, args: readonly Argument[]): ServerCommand {
  if (command.subcommands.size === 0) return command;
  return command.subcommands.get(textOf(args[0]).toLowerCase()) ?? command;
}

/**
 * The positions of the keys among the arguments, by the server's key specifications. Undefined when the server has to
 * be asked for each call.
 */
export function specifiedKeys({ keySpecs }: ServerCommand, args: readonly Argument[]): readonly number[] | undefined {
  if (keySpecs === undefined) return undefined;
  const found = keySpecs.flatMap((spec) => keysBySpec(spec, args));
  return [...new Set(found)].sort((a, b) => a - b);
}

/**
 * The positions that one specification finds. Empty when the arguments do not fit it; the server then refuses the call.
 */
function keysBySpec({ begin, find }: KeySpec, args: readonly Argument[]): number[] {
  const words = args.length + 1;
  let first = "index" in begin ? begin.index : behindKeyword(begin, args);
  if (!(first > 0 && first < words)) return [];
  let last: number;
  if ("countAt" in find) {
    const count = Number(textOf(args[first + find.countAt - 1]));
    first += find.firstKey;
    last = first + (count - 1) * find.step;
  } else if (find.lastKey >= 0) last = first + find.lastKey;
  else if (find.limit <= 1) last = words + find.lastKey;
  else last = first + Math.floor((words - first) / find.limit) + find.lastKey;
  if (!(last < words)) return [];
  const positions: number[] = [];
  for (let at = first; at <= last; at += find.step) positions.push(at - 1);
  return positions;
}

/**
 * The position behind `keyword`, or 0 if the arguments do not contain it. The search begins at position `from`; a
 * negative `from` searches from the end.
 */
function behindKeyword(
  { keyword, from }: { readonly keyword: string; readonly from: number },
  args: readonly Argument[],
): number {
  const step = from < 0 ? -1 : 1;
  for (let at = from < 0 ? args.length + 1 + from : from; at >= 1 && at <= args.length; at += step) {
    if (textOf(args[at - 1]).toLowerCase() === keyword) return at + 1;
  }
  return 0;
}

const JOINS: ReadonlyMap<string | undefined, Join> = new Map<string | undefined, Join>([
  [undefined, "concatenated"],
  ["all_succeeded", "first"],
  ["one_succeeded", "some"],
  ["agg_sum", "sum"],
  ["agg_min", "least"],
  ["agg_max", "most"],
  ["agg_logical_and", "every"],
  ["agg_logical_or", "any"],
]);

/**
 * The spread that a command's tips describe. Undefined when the command is for one node, or when the tips do not say
 * how to join the replies.
 */
export function spreadOfTips(tips: readonly string[]): Spread | undefined {
  const policy = (name: string) => tips.find((tip) => tip.startsWith(`${name}:`))?.slice(name.length + 1);
  const request = policy("request_policy");
  const join = JOINS.get(policy("response_policy"));
  if (join === undefined || (request !== "all_nodes" && request !== "all_shards")) return undefined;
  return { nodes: request === "all_nodes" ? "all" : "primaries", join };
}

/** What one client has learned from the server about commands that the table does not list. */
export class LearnedCommands {
  known: ReadonlyMap<string, ServerCommand> = new Map();
  /** The server is not asked again before this time, in the clock's milliseconds. */
  nextAt = Number.NEGATIVE_INFINITY;

  /** The description of the command or subcommand, if the server has given one. */
  get(lower: string, args: readonly Argument[]): ServerCommand | undefined {
    const command = this.known.get(lower);
    return command && resolved(command, args);
  }
}
