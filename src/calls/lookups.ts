import type { CommandHeads } from "../cache/heads.ts";
import { bufferOf } from "../protocol/encode.ts";
import type { Argument, CommandArguments } from "../protocol/reply.ts";

/*
 * What was asked, as one string: two calls have the same look-up only if they send the same bytes. Calls that send the
 * same bytes may have different look-ups, as with a string and a Buffer. Undefined stands for values that may not be
 * valid: the ordinary way checks them.
 */

/** What stands in front of a value: its sort and its length. Kept, because it takes longer to make than to look up. */
class Marks {
  readonly #kept: readonly string[];
  readonly #sort: string;

  constructor(sort: string) {
    this.#sort = sort;
    this.#kept = Array.from({ length: 256 }, (_, length) => `${sort}${length}:`);
  }

  of(length: number): string {
    return this.#kept[length] ?? `${this.#sort}${length}:`;
  }
}

const KEY = new Marks(",");
const ARGUMENT = new Marks(";");

export function lookupOfCommand({ one, several }: CommandHeads, args: CommandArguments): string | undefined {
  const first = args[0];
  if (args.length === 1) {
    if (typeof first === "string") return one + first;
    if (typeof first === "number" && !Number.isNaN(first)) return one + first;
    if (Array.isArray(first)) return lookupOfCommand({ one, several }, first as readonly Argument[]);
  }
  return withAll(several, args as readonly Argument[], ARGUMENT);
}

/** The look-up of a script's call. @param head  Other scripts' heads are no beginning of it. */
export function lookupOfScript(head: string, keys: readonly Argument[], args: readonly Argument[]): string | undefined {
  const withKeys = withAll(head, keys, KEY);
  return withKeys === undefined ? undefined : withAll(withKeys, args, ARGUMENT);
}

/** Appends values, each with its mark in front, so that no two lists of values look alike. */
function withAll(head: string, values: readonly Argument[], marks: Marks): string | undefined {
  let lookup = head;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as Argument;
    if (typeof value === "string") lookup = lookup + marks.of(value.length) + value;
    else if (value instanceof Uint8Array) {
      // The same characters are other bytes in a string.
      lookup = `${lookup}b${marks.of(value.length)}${bufferOf(value).toString("latin1")}`;
    } else if (typeof value === "bigint" || (typeof value === "number" && !Number.isNaN(value))) {
      const text = String(value);
      lookup = lookup + marks.of(text.length) + text;
    } else return undefined;
  }
  return lookup;
}
