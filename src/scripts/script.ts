import { createHash } from "node:crypto";
import { InvalidArgumentError } from "../errors.ts";
import { type LineOrigin, type LuaLine, linesOf } from "../files/lua-lines.ts";
import { readScriptFile, type ScriptFile } from "../files/script-file.ts";
import { conversionOf } from "../files/script-returns.ts";
import { readShebang } from "../files/shebang.ts";
import { kindOf } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { FileResult, ScriptDefinition } from "./script-definition.ts";

/** The keys or arguments of one call: a tuple when the script says how many. */
export type Values<N extends number> = number extends N ? readonly Argument[] : Tuple<N>;
type Tuple<N extends number, T extends readonly Argument[] = readonly []> = T["length"] extends N
  ? T
  : Tuple<N, readonly [...T, Argument]>;

/** The arguments, and the parameters behind them. Arguments may be left out only where a call may have none. */
export type WithArguments<A extends number, Rest extends readonly unknown[] = []> = number extends A
  ? [args?: readonly Argument[], ...rest: Partial<Rest>]
  : A extends 0
    ? [args?: readonly [], ...rest: Partial<Rest>]
    : [args: Values<A>, ...rest: Partial<Rest>];

/** A call of a script as a value, for batches and transactions. */
export interface ScriptCall<T = unknown> {
  /** The script that the call runs. */
  readonly script: Script<number, T>;
  /** A frozen copy. */
  readonly keys: readonly Argument[];
  /** A frozen copy. Printing the call does not show it, because arguments may be secret. */
  readonly args: readonly Argument[];
}

/**
 * A script that has been defined. Frozen.
 * `N` is the number of keys and `A` that of arguments; each is `number` where any will do. `T` is the type of the result.
 */
export interface Script<N extends number = number, T = unknown, A extends number = number> {
  /** The name for people: errors, events and reports carry it. */
  readonly name: string;
  /** The Lua that servers get. Included files are part of it. */
  readonly source: string;
  /** SHA-1 of the source, 40 hexadecimal digits. EVALSHA calls the script by it. */
  readonly sha: string;
  /** How many keys each call has; undefined for any number. */
  readonly numberOfKeys: N | undefined;
  /** The names of the keys, where they have any. */
  readonly keys: readonly string[] | undefined;
  /** How many arguments each call has; undefined for any number. */
  readonly numberOfArgs: A | undefined;
  /** The names of the arguments, where they have any. */
  readonly args: readonly string[] | undefined;
  /**
   * Whether the script writes nothing. Then it is run by EVALSHA_RO, on replicas as well where `readFrom` says so, and it is
   * sent again when its outcome is unknown.
   */
  readonly readOnly: boolean;
  /** Whether the script may run twice, the second time late. Then it is sent again when its outcome is unknown. */
  readonly idempotent: boolean;
  /** Strings of the reply as UTF-8 text or as Buffers. */
  readonly replies: "string" | "buffer";
  /** Turns the reply into the result. Without it the reply is the result. */
  readonly parse: ((reply: Reply) => T) | undefined;
  /** The file that the script was read from, as given. */
  readonly file: string | undefined;
  /**
   * The place that a line of `source` came from. Lines are counted from 1, as in the servers' errors. Undefined for a line
   * that `source` does not have.
   */
  origin(line: number): LineOrigin | undefined;
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
type Result<D> = D extends { readonly parse: (reply: Reply) => infer T }
  ? T
  : D extends { readonly file: string | URL }
    ? FileResult
    : Reply;

const OPTIONS = [
  "name",
  "source",
  "file",
  "numberOfKeys",
  "keys",
  "args",
  "readOnly",
  "idempotent",
  "replies",
  "parse",
];
/** Marks the handles of every copy of slotwire that is installed. */
const BRAND = Symbol.for("slotwire.script");

/**
 * Describes a Lua script, once, for every cluster and call.
 * @throws {InvalidArgumentError} naming the option, or the file and line, and what is accepted.
 * @see https://redis.io/docs/latest/develop/programmability/eval-intro/
 */
export function defineScript<const D extends ScriptDefinition>(definition: D): ScriptOf<D> {
  if (typeof definition !== "object" || definition === null) {
    const what = "an object with name and source, or with file";
    throw new InvalidArgumentError(`defineScript takes ${what}, not ${kindOf(definition)}.`);
  }
  for (const option of Object.keys(definition)) {
    if (!OPTIONS.includes(option)) {
      throw new InvalidArgumentError(`defineScript has no option "${option}"; accepted are ${OPTIONS.join(", ")}.`);
    }
  }
  const { source, file } = definition;
  if (source !== undefined && file !== undefined) {
    throw new InvalidArgumentError("defineScript takes source or file, not both.");
  }
  return scriptOf(definition, file === undefined ? undefined : readScriptFile(file)) as unknown as ScriptOf<D>;
}

/**
 * The script of a definition, of a file, or of both.
 * @param marks  Hidden properties of the handle, by which other code recognises it.
 */
export function scriptOf(
  definition: Partial<ScriptDefinition>,
  file?: ScriptFile,
  marks: PropertyDescriptorMap = {},
): Script {
  const converted = conversionOf(file?.returns);
  const { name = file?.name, source = file?.source, readOnly, idempotent = false } = definition;
  const { replies = converted.replies ?? "string", parse = converted.parse } = definition;
  check("name", name, typeof name === "string" && name !== "", "a non-empty string");
  check("source", source, typeof source === "string" && source !== "", "a non-empty string of Lua");
  check("readOnly", readOnly, readOnly === undefined || typeof readOnly === "boolean", "true or false");
  check("idempotent", idempotent, typeof idempotent === "boolean", "true or false");
  check("replies", replies, replies === "string" || replies === "buffer", '"string" or "buffer"');
  check("parse", parse, parse === undefined || typeof parse === "function", "a function");
  const { numberOfKeys, keys, args } = countsOf(definition, file);
  const flags = readShebang(source, name);
  const handle = {
    name,
    source,
    sha: createHash("sha1").update(source, "utf8").digest("hex"),
    numberOfKeys,
    keys: keys && Object.freeze([...keys]),
    numberOfArgs: args?.length,
    args: args && Object.freeze([...args]),
    readOnly: readOnly ?? flags.includes("no-writes"),
    idempotent,
    replies,
    parse,
    file: file?.file,
    origin: file?.origin ?? originOf(source),
    call: (ofKeys: readonly Argument[], ofArgs: readonly Argument[] = []) => new BoundCall(script, ofKeys, ofArgs),
  };
  const script: Script = Object.freeze(Object.defineProperties(handle, { ...marks, [BRAND]: { value: true } }));
  return script;
}

/** The numbers of keys and arguments, and their names. The file and the definition must agree. */
function countsOf(definition: Partial<ScriptDefinition>, file: ScriptFile | undefined) {
  for (const option of ["keys", "args"] as const) {
    const names = definition[option];
    check(option, names, names === undefined || areNames(names), "an array of different non-empty names");
  }
  const { keys = file?.keys, args = file?.args } = definition;
  const { numberOfKeys = definition.keys?.length ?? file?.numberOfKeys } = definition;
  const isCount = numberOfKeys === undefined || (Number.isInteger(numberOfKeys) && numberOfKeys >= 0);
  check("numberOfKeys", numberOfKeys, isCount, "a whole number from 0");
  const named = definition.keys?.length;
  check("numberOfKeys", numberOfKeys, named === undefined || named === numberOfKeys, "the number of names in keys");
  if (file !== undefined) {
    mustAgree(file, "keys", file.numberOfKeys, numberOfKeys);
    mustAgree(file, "args", file.args?.length, args?.length);
  }
  return { numberOfKeys, keys, args };
}

function mustAgree(file: ScriptFile, word: "keys" | "args", ofFile: number | undefined, wanted: number | undefined) {
  if (ofFile === undefined || ofFile === wanted) return;
  throw new InvalidArgumentError(
    `${file.placeOf(word)}: the definition says ${wanted} ${word}, the file ${ofFile}; accepted is one number.`,
  );
}

function originOf(source: string): (line: number) => LineOrigin | undefined {
  let lines: readonly LuaLine[] | undefined;
  return (line) => {
    lines ??= linesOf(source);
    const found = lines[line - 1];
    return found && { file: undefined, line, text: found.text };
  };
}

/** Whether `value` came from `defineScript`, of this copy of slotwire or of another one. */
export function isScript(value: unknown): value is Script {
  return typeof value === "object" && value !== null && Object.hasOwn(value, BRAND);
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

/** Text or JSON that is made of a call does not show its arguments, because they can be secret. */
class BoundCall implements ScriptCall {
  readonly script: Script;
  readonly keys: readonly Argument[];
  readonly #args: readonly Argument[];

  constructor(script: Script, keys: readonly Argument[], args: readonly Argument[]) {
    checkCounts(script, keys, args);
    this.script = script;
    this.keys = Object.freeze([...keys]);
    this.#args = Object.freeze([...args]);
    Object.freeze(this);
  }

  get args(): readonly Argument[] {
    return this.#args;
  }
}

function areNames(names: unknown): boolean {
  return (
    Array.isArray(names) &&
    names.every((name) => typeof name === "string" && name !== "") &&
    new Set(names).size === names.length
  );
}

function check(option: string, value: unknown, valid: boolean, accepted: string): asserts valid {
  if (!valid) {
    const shown = typeof value === "string" || typeof value === "number" ? JSON.stringify(value) : kindOf(value);
    throw new InvalidArgumentError(`defineScript: ${option} is ${shown}; accepted is ${accepted}.`);
  }
}
