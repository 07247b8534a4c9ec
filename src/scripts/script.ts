import { createHash } from "node:crypto";
import { InvalidArgumentError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";

/** What `defineScript` takes. */
export interface ScriptDefinition<N extends number = number, T = Reply> {
  /** For people: errors, events and reports carry it. Need not be unique. */
  readonly name: string;
  /** The Lua source. */
  readonly source: string;
  /** How many keys each call has. Without it any number is accepted. */
  readonly numberOfKeys?: N;
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
  readonly parse?: (reply: Reply) => T;
}

/** The keys of one call: a tuple when the script says how many. */
export type KeysOf<N extends number> = number extends N ? readonly Argument[] : Tuple<N>;
type Tuple<N extends number, T extends readonly Argument[] = readonly []> = T["length"] extends N
  ? T
  : Tuple<N, readonly [...T, Argument]>;

/** A script that has been defined. Frozen. */
export interface Script<N extends number = number, T = Reply> {
  readonly name: string;
  readonly source: string;
  /** SHA-1 of the source, 40 hexadecimal digits: what EVALSHA calls the script. */
  readonly sha: string;
  readonly numberOfKeys: N | undefined;
  readonly idempotent: boolean;
  readonly replies: "string" | "buffer";
  readonly parse: ((reply: Reply) => T) | undefined;
}

const OPTIONS = ["name", "source", "numberOfKeys", "idempotent", "replies", "parse"];
const defined = new WeakSet<object>();

/**
 * Describes a Lua script, once, for every cluster and call.
 * @throws {InvalidArgumentError} naming the option and what is accepted.
 * @see https://redis.io/docs/latest/develop/programmability/eval-intro/
 */
export function defineScript<const N extends number = number, T = Reply>(
  definition: ScriptDefinition<N, T>,
): Script<N, T> {
  if (typeof definition !== "object" || definition === null) {
    throw new InvalidArgumentError(`defineScript takes an object with name and source, not ${kindOf(definition)}.`);
  }
  for (const option of Object.keys(definition)) {
    if (!OPTIONS.includes(option)) {
      throw new InvalidArgumentError(`defineScript has no option "${option}"; accepted are ${OPTIONS.join(", ")}.`);
    }
  }
  const { name, source, numberOfKeys, idempotent = false, replies = "string", parse } = definition;
  check("name", name, typeof name === "string" && name !== "", "a non-empty string");
  check("source", source, typeof source === "string" && source !== "", "a non-empty string of Lua");
  const countIsValid = numberOfKeys === undefined || (Number.isInteger(numberOfKeys) && numberOfKeys >= 0);
  check("numberOfKeys", numberOfKeys, countIsValid, "a whole number from 0");
  check("idempotent", idempotent, typeof idempotent === "boolean", "true or false");
  check("replies", replies, replies === "string" || replies === "buffer", '"string" or "buffer"');
  check("parse", parse, parse === undefined || typeof parse === "function", "a function");
  const sha = createHash("sha1").update(source, "utf8").digest("hex");
  const script = Object.freeze({ name, source, sha, numberOfKeys, idempotent, replies, parse });
  defined.add(script);
  return script;
}

/** Whether `value` came from `defineScript`. */
export function isScript(value: unknown): value is Script {
  return typeof value === "object" && value !== null && defined.has(value);
}

function check(option: string, value: unknown, valid: boolean, accepted: string): void {
  if (!valid) {
    const shown = typeof value === "string" || typeof value === "number" ? JSON.stringify(value) : kindOf(value);
    throw new InvalidArgumentError(`defineScript: ${option} is ${shown}; accepted is ${accepted}.`);
  }
}
