import type { CommandHeads } from "../cache/heads.ts";
import { bufferOf } from "../protocol/encode.ts";
import type { Argument, CommandArguments } from "../protocol/reply.ts";

/*
 * What was asked, as one string: two calls have the same look-up only if they send the same bytes. Calls that send the
 * same bytes may have different look-ups, as with a string and a Buffer. Undefined stands for values that may not be
 * valid: the ordinary way checks them.
 */

export function lookupOfCommand({ one, several }: CommandHeads, args: CommandArguments): string | undefined {
  const first = args[0];
  if (args.length === 1) {
    if (typeof first === "string") return one + first;
    if (Array.isArray(first)) return lookupOfCommand({ one, several }, first as readonly Argument[]);
  }
  let lookup = several;
  for (let index = 0; index < args.length; index++) {
    const part = partOf(args[index] as Argument);
    if (part === undefined) return undefined;
    lookup += part;
  }
  return lookup;
}

/** The look-up of a script's call. @param head  Other scripts' heads are no beginning of it. */
export function lookupOfScript(head: string, keys: readonly Argument[], args: readonly Argument[]): string | undefined {
  let lookup = head + keys.length;
  for (let index = 0; index < keys.length; index++) {
    const part = partOf(keys[index] as Argument);
    if (part === undefined) return undefined;
    lookup += part;
  }
  for (let index = 0; index < args.length; index++) {
    const part = partOf(args[index] as Argument);
    if (part === undefined) return undefined;
    lookup += part;
  }
  return lookup;
}

/** One value with its length in front, so that no two lists of values look alike. */
function partOf(value: Argument): string | undefined {
  if (typeof value === "string") return `,${value.length}:${value}`;
  if (typeof value === "number") return Number.isNaN(value) ? undefined : partOf(String(value));
  if (typeof value === "bigint") return partOf(String(value));
  if (value instanceof Uint8Array) return `;${value.length}:${bufferOf(value).toString("latin1")}`;
  return undefined;
}
