import { hasFlag } from "@ioredis/commands";
import { InvalidArgumentError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { Argument } from "../protocol/reply.ts";
import { type BlockingTime, blockingTimeOf } from "./blocking.ts";
import { isListed, keyPositionsOf, textOf } from "./keys.ts";
import { type LearnedCommands, specifiedKeys } from "./server-commands.ts";

const STATE = "it changes the state of a connection that others share";

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
    (name): [string, string] => [name, STATE],
  ),
  // Some of what replicas say has no answer: every later one would go to the wrong caller.
  ["replconf", STATE],
]);

/** Subcommands of that kind. Behind SCRIPT DEBUG a server runs nothing by EVALSHA; CLIENT CAPA changes its redirections. */
const REFUSED_SUBCOMMANDS: ReadonlyMap<string, RegExp> = new Map([
  ["client", /^(caching|capa|import-source|no-evict|no-touch|reply|tracking)$/i],
  ["cluster", /^syncslots$/i],
  ["script", /^debug$/i],
]);

/** Subcommands that the server flags `readonly`: their containers are not flagged. */
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
  /** The server flags it `readonly`: it may run twice. */
  readonly readOnly: boolean;
  /** Runs Lua or a function. */
  readonly runsCode: boolean;
  /** The server may keep its connection waiting. */
  readonly blocking: BlockingTime | undefined;
}

/**
 * What is known of a command, by the table or by what was learned of the server. The first argument of one that nobody
 * knows counts as its key.
 * @throws {InvalidArgumentError} for a command that cannot share a connection.
 */
export function traitsOf(name: string, args: readonly Argument[], learned?: LearnedCommands): CommandTraits {
  if (typeof name !== "string" || !/^[\w.|-]+$/.test(name)) {
    const shown = typeof name === "string" ? JSON.stringify(name) : kindOf(name);
    throw new InvalidArgumentError(
      `A command's name is ${shown}; accepted is one word, with what follows it as arguments: command("CONFIG", "GET", "save").`,
    );
  }
  const lower = name.toLowerCase();
  const reason = REFUSED.get(lower);
  if (reason !== undefined) throw refusal(name, reason);
  if (REFUSED_SUBCOMMANDS.get(lower)?.test(textOf(args[0]))) throw refusal(`${name} ${textOf(args[0])}`, STATE);
  if (!isListed(lower)) return unlistedTraits(lower, args, learned);
  return {
    keys: argumentsAt(keyPositionsOf(lower, args), args),
    slot: lower === "cluster" ? slotNamedBy(args) : undefined,
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

/** Only its owner can say what is in a slot: any other node answers 0, or nothing. */
function slotNamedBy([subcommand, slot]: readonly Argument[]): number | undefined {
  if (!/^(countkeysinslot|getkeysinslot)$/i.test(textOf(subcommand))) return undefined;
  const text = textOf(slot);
  // What is no slot the server refuses.
  return /^\d{1,5}$/.test(text) && Number(text) < SLOT_COUNT ? Number(text) : undefined;
}

function argumentsAt(positions: readonly number[], args: readonly Argument[]): Argument[] {
  return positions.map((position) => args[position]).filter((key) => key !== undefined);
}

function refusal(name: string, reason: string): InvalidArgumentError {
  return new InvalidArgumentError(`${name.toUpperCase()} cannot be sent by command(): ${reason}.`);
}
