import { hasFlag } from "@ioredis/commands";
import { InvalidArgumentError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import { SLOT_COUNT, slotOf } from "../protocol/hash-slot.ts";
import type { Argument } from "../protocol/reply.ts";
import { type BlockingTime, blockingTimeOf } from "./blocking.ts";
import { isListed, keyPositionsOf, textOf } from "./keys.ts";
import { type LearnedCommands, specifiedKeys } from "./server-commands.ts";

const STATE = "it changes the state of a connection that others share";

/**
 * Commands that are refused with a reason. They change the state of a connection, or answer never, late or more than
 * once. On a shared connection they would harm other calls.
 */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ...["subscribe", "psubscribe", "ssubscribe"].map((name): [string, string] => [
    name,
    `it turns a connection into a stream of messages; ${name}() has connections for that`,
  ]),
  ...["unsubscribe", "punsubscribe", "sunsubscribe"].map((name): [string, string] => [
    name,
    "the connection has no subscriptions; close() of a subscription ends it",
  ]),
  ["monitor", "it turns a connection into a stream of messages"],
  ...["multi", "exec", "discard", "watch", "unwatch"].map((name): [string, string] => [
    name,
    "a transaction needs a connection of its own",
  ]),
  ...["wait", "waitaof"].map((name): [string, string] => [
    name,
    "it waits for the writes of its own connection, and would delay other calls on it",
  ]),
  ...["auth", "hello", "himport", "reset", "quit", "select", "asking", "readonly", "readwrite", "sync", "psync"].map(
    (name): [string, string] => [name, STATE],
  ),
  // The server does not answer some forms of REPLCONF. Every later answer would then go to the wrong caller.
  ["replconf", STATE],
]);

/**
 * Subcommands that are refused for the same reasons. Behind SCRIPT DEBUG a server runs nothing by EVALSHA. CLIENT CAPA
 * changes the server's redirections.
 */
const REFUSED_SUBCOMMANDS: ReadonlyMap<string, RegExp> = new Map([
  ["client", /^(caching|capa|import-source|no-evict|no-touch|reply|tracking)$/i],
  ["cluster", /^syncslots$/i],
  ["script", /^debug$/i],
]);

/** Subcommands that the server flags `readonly` although their container command has no such flag. */
const READING_SUBCOMMANDS: ReadonlyMap<string, RegExp> = new Map([
  ["memory", /^usage$/i],
  ["object", /^(encoding|freq|idletime|refcount)$/i],
  ["xinfo", /^(consumers|groups|stream)$/i],
]);

const RUNS_CODE = new Set(["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"]);

/** How a command is routed and repeated. */
export interface CommandTraits {
  readonly keys: readonly Argument[];
  /** The slot that the command names in place of keys. */
  readonly slot: number | undefined;
  /** Whether the server flags the command `readonly`. Such a command may run twice. */
  readonly readOnly: boolean;
  /** Whether the command runs a script or a function. */
  readonly runsCode: boolean;
  /** Set when the command may block its connection. */
  readonly blocking: BlockingTime | undefined;
}

/**
 * The traits of a command, from the table or from what the server has said. The first argument of an unknown command
 * counts as its key.
 * @throws {InvalidArgumentError} when the name is not valid, or when the command cannot share a connection.
 */
export function traitsOf(name: string, args: readonly Argument[], learned?: LearnedCommands): CommandTraits {
  if (typeof name !== "string" || !/^[\w.|-]+$/.test(name)) {
    const shown = typeof name === "string" ? JSON.stringify(name) : kindOf(name);
    throw new InvalidArgumentError(
      `A command's name is ${shown}; accepted is one word; pass further words as arguments: command("CONFIG", "GET", "save").`,
    );
  }
  const lower = name.toLowerCase();
  const reason = REFUSED.get(lower);
  if (reason !== undefined) throw refusal(name, reason);
  if (REFUSED_SUBCOMMANDS.get(lower)?.test(textOf(args[0]))) throw refusal(`${name} ${textOf(args[0])}`, STATE);
  if (!isListed(lower)) return unlistedTraits(lower, args, learned);
  return {
    keys: argumentsAt(keyPositionsOf(lower, args), args),
    slot: slotNamedBy(lower, args),
    readOnly: hasFlag(lower, "readonly") || READING_SUBCOMMANDS.get(lower)?.test(textOf(args[0])) === true,
    runsCode: RUNS_CODE.has(lower),
    blocking: hasFlag(lower, "blocking") ? blockingTimeOf(lower, args.map(textOf)) : undefined,
  };
}

function unlistedTraits(lower: string, args: readonly Argument[], learned: LearnedCommands | undefined): CommandTraits {
  const command = learned?.get(lower, args);
  const positions = command && specifiedKeys(command, args);
  return {
    keys: positions === undefined ? args.slice(0, 1) : argumentsAt(positions, args),
    slot: undefined,
    readOnly: command?.readOnly ?? false,
    runsCode: false,
    blocking: undefined,
  };
}

/**
 * The slot that CLUSTER COUNTKEYSINSLOT or GETKEYSINSLOT names, because only its owner knows its keys; and the slot of the
 * channel of PUBLISH, so that one client's messages of a channel keep their order.
 */
function slotNamedBy(lower: string, [subcommand, slot]: readonly Argument[]): number | undefined {
  if (lower === "publish") return subcommand === undefined ? undefined : slotOf(subcommand);
  if (lower !== "cluster") return undefined;
  if (!/^(countkeysinslot|getkeysinslot)$/i.test(textOf(subcommand))) return undefined;
  const text = textOf(slot);
  // The server refuses any other text.
  return /^\d{1,5}$/.test(text) && Number(text) < SLOT_COUNT ? Number(text) : undefined;
}

function argumentsAt(positions: readonly number[], args: readonly Argument[]): Argument[] {
  return positions.map((position) => args[position]).filter((key) => key !== undefined);
}

function refusal(name: string, reason: string): InvalidArgumentError {
  return new InvalidArgumentError(`${name.toUpperCase()} cannot be sent by command(): ${reason}.`);
}
