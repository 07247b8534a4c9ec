import { createHash } from "node:crypto";
import { InvalidArgumentError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { readShebang } from "./shebang.ts";

/** What `defineScript` takes. */
export interface ScriptDefinition {
  /** For people: errors, events and reports carry it. Need not be unique. */
  readonly name: string;
  /** The Lua source. */
  readonly source: string;
  /** How many keys each call has. Without it and `keys` any number is accepted. */
  readonly numberOfKeys?: number;
  /** Names of the keys of each call, in place of `numberOfKeys`. */
  readonly keys?: readonly string[];
  /** Names of the arguments of each call. Without it any number is accepted. */
  readonly args?: readonly string[];
  /**
   * The script writes nothing: it is run by EVALSHA_RO and may be sent again. `#!lua flags=no-writes` says the same.
   * @default false
   */
  readonly readOnly?: boolean;
  /**
   * The script may run twice, the second time late: a call whose outcome is unknown is sent again.
   * @default false
   */
  readonly idempotent?: boolean;
  /**
   * Strings of the reply as UTF-8 text or as Buffers.
   * @default "string"
   */
  readonly replies?: "string" | "buffer";
  /** Turns the reply into the call's result. When it throws, the call rejects with what it threw as the `cause`. */
  readonly parse?: (reply: Reply) => unknown;
}

/** The keys or arguments of one call: a tuple when the script says how many. */
export type Values<N extends number> = number extends N ? readonly Argument[] : Tuple<N>;
type Tuple<N extends number, T extends readonly Argument[] = readonly []> = T["length"] extends N
  ? T
  : Tuple<N, readonly [...T, Argument]>;

/** The arguments, and what follows them: they may only be left out where there may be none. */
export type WithArguments<A extends number, Rest extends readonly unknown[] = []> = number extends A
  ? [args?: readonly Argument[], ...rest: Partial<Rest>]
  : A extends 0
    ? [args?: readonly [], ...rest: Partial<Rest>]
    : [args: Values<A>, ...rest: Partial<Rest>];

/** A call of a script as a value, for batches and transactions. */
export interface ScriptCall<T = unknown> {
  readonly script: Script<number, T>;
  readonly keys: readonly Argument[];
  readonly args: readonly Argument[];
}

/**
 * A script that has been defined. Frozen.
 * `N` is the number of keys, `A` that of arguments, both `number` when any will do; `T` is the type of the result.
 */
export interface Script<N extends number = number, T = unknown, A extends number = number> {
  readonly name: string;
  readonly source: string;
  /** SHA-1 of the source, 40 hexadecimal digits: what EVALSHA calls the script. */
  readonly sha: string;
  readonly numberOfKeys: N | undefined;
  /** The names of the keys, when they have any. */
  readonly keys: readonly string[] | undefined;
  readonly numberOfArgs: A | undefined;
  /** The names of the arguments, when they have any. */
  readonly args: readonly string[] | undefined;
  readonly readOnly: boolean;
  readonly idempotent: boolean;
  readonly replies: "string" | "buffer";
  readonly parse: ((reply: Reply) => T) | undefined;
  /**
   * A call of this script, for `batch([script.call(keys, args), ...])`.
   * @throws {InvalidArgumentError} for a wrong number of keys or arguments.
   */
  call(keys: Values<N>, ...rest: WithArguments<A>): ScriptCall<T>;
}

/** The script that a definition makes. */
export type ScriptOf<D extends ScriptDefinition> = Script<KeyCount<D>, Result<D>, ArgCount<D>>;

type KeyCount<D> = D extends { readonly numberOfKeys: infer N extends number }
  ? N
  : D extends { readonly keys: infer K extends readonly string[] }
    ? K["length"]
    : number;
type ArgCount<D> = D extends { readonly args: infer A extends readonly string[] } ? A["length"] : number;
type Result<D> = D extends { readonly parse: (reply: Reply) => infer T } ? T : Reply;

const OPTIONS = ["name", "source", "numberOfKeys", "keys", "args", "readOnly", "idempotent", "replies", "parse"];
const defined = new WeakSet<object>();

/**
 * Describes a Lua script, once, for every cluster and call.
 * @throws {InvalidArgumentError} naming the option and what is accepted.
 * @see https://redis.io/docs/latest/develop/programmability/eval-intro/
 */
export function defineScript<const D extends ScriptDefinition>(definition: D): ScriptOf<D> {
  if (typeof definition !== "object" || definition === null) {
    throw new InvalidArgumentError(`defineScript takes an object with name and source, not ${kindOf(definition)}.`);
  }
  for (const option of Object.keys(definition)) {
    if (!OPTIONS.includes(option)) {
      throw new InvalidArgumentError(`defineScript has no option "${option}"; accepted are ${OPTIONS.join(", ")}.`);
    }
  }
  const { name, source, keys, args, readOnly = false, idempotent = false, replies = "string", parse } = definition;
  check("name", name, typeof name === "string" && name !== "", "a non-empty string");
  check("source", source, typeof source === "string" && source !== "", "a non-empty string of Lua");
  check("keys", keys, keys === undefined || areNames(keys), "an array of different non-empty names");
  check("args", args, args === undefined || areNames(args), "an array of different non-empty names");
  const { numberOfKeys = keys?.length } = definition;
  const countIsValid = numberOfKeys === undefined || (Number.isInteger(numberOfKeys) && numberOfKeys >= 0);
  check("numberOfKeys", numberOfKeys, countIsValid, "a whole number from 0");
  check(
    "numberOfKeys",
    numberOfKeys,
    keys === undefined || keys.length === numberOfKeys,
    "the number of names in keys",
  );
  check("readOnly", readOnly, typeof readOnly === "boolean", "true or false");
  check("idempotent", idempotent, typeof idempotent === "boolean", "true or false");
  check("replies", replies, replies === "string" || replies === "buffer", '"string" or "buffer"');
  check("parse", parse, parse === undefined || typeof parse === "function", "a function");
  const flags = readShebang(source, name);
  const script: Script = Object.freeze({
    name,
    source,
    sha: createHash("sha1").update(source, "utf8").digest("hex"),
    numberOfKeys,
    keys: keys && Object.freeze([...keys]),
    numberOfArgs: args?.length,
    args: args && Object.freeze([...args]),
    readOnly: readOnly || flags.includes("no-writes"),
    idempotent,
    replies,
    parse,
    call: (ofKeys: readonly Argument[], ofArgs: readonly Argument[] = []) => callOf(script, ofKeys, ofArgs),
  });
  defined.add(script);
  return script as unknown as ScriptOf<D>;
}

/** Whether `value` came from `defineScript`. */
export function isScript(value: unknown): value is Script {
  return typeof value === "object" && value !== null && defined.has(value);
}

/**
 * Checks keys and arguments against what their script takes.
 * @throws {InvalidArgumentError}
 */
export function checkCounts(script: Script, keys: readonly Argument[], args: readonly Argument[]): void {
  if (!Array.isArray(keys) || !Array.isArray(args)) {
    const wrong = Array.isArray(keys) ? "args" : "keys";
    throw new InvalidArgumentError(`${wrong} of script "${script.name}" must be an array.`);
  }
  if (script.numberOfKeys !== undefined && keys.length !== script.numberOfKeys) {
    throw wrongCount(script.name, script.numberOfKeys, "key", script.keys, keys.length);
  }
  if (script.numberOfArgs !== undefined && args.length !== script.numberOfArgs) {
    throw wrongCount(script.name, script.numberOfArgs, "argument", script.args, args.length);
  }
}

function wrongCount(
  script: string,
  wanted: number,
  what: string,
  names: readonly string[] | undefined,
  given: number,
): InvalidArgumentError {
  const named = names === undefined || names.length === 0 ? "" : ` (${names.join(", ")})`;
  return new InvalidArgumentError(
    `Script "${script}" takes ${wanted} ${what}${wanted === 1 ? "" : "s"}${named}, not ${given}.`,
  );
}

function callOf(script: Script, keys: readonly Argument[], args: readonly Argument[]): ScriptCall {
  checkCounts(script, keys, args);
  return Object.freeze({ script, keys: Object.freeze([...keys]), args: Object.freeze([...args]) });
}

function areNames(names: unknown): boolean {
  return (
    Array.isArray(names) &&
    names.every((name) => typeof name === "string" && name !== "") &&
    new Set(names).size === names.length
  );
}

function check(option: string, value: unknown, valid: boolean, accepted: string): void {
  if (!valid) {
    const shown = typeof value === "string" || typeof value === "number" ? JSON.stringify(value) : kindOf(value);
    throw new InvalidArgumentError(`defineScript: ${option} is ${shown}; accepted is ${accepted}.`);
  }
}
