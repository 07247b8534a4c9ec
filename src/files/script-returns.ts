import type { Reply } from "../protocol/reply.ts";

const WORDS = ["integer", "string", "buffer", "number", "boolean", "null", "array", "any"] as const;

/**
 * What `-- @returns` can say. Lua's own types are not what arrives, so these are named for what the caller gets:
 *
 * | word | the script returns | the caller gets |
 * | --- | --- | --- |
 * | `integer` | a Lua number, its fraction lost | `number` |
 * | `string` | a string or a status such as OK | `string` |
 * | `buffer` | a string of any bytes | `Buffer` |
 * | `number` | `tostring(number)`, to keep the fraction | `number` |
 * | `boolean` | `true` or `1`; anything else, as `false`, `nil` and `0`, is false | `boolean` |
 * | `null` | nothing | `null` |
 * | `array` | a table | `Reply[]` |
 * | `any` | anything | `Reply` |
 */
export type ReturnWord = (typeof WORDS)[number];

/** What a script is said to return: `-- @returns string | null`. */
export interface ScriptReturns {
  readonly type: ReturnWord;
  /** It ends in ` | null`. */
  readonly orNull: boolean;
}

/** What `-- @returns` accepts, for messages. */
export const RETURNS_ACCEPTED = `one of ${WORDS.join(", ")}, alone or followed by "| null"`;

/** Reads what follows `-- @returns`; nothing when it is none of the words. */
export function parseReturns(text: string): ScriptReturns | undefined {
  const [, word, orNull] = /^\s*(\w+)\s*(\|\s*null)?\s*$/.exec(text) ?? [];
  const type = WORDS.find((known) => known === word);
  return type && { type, orNull: orNull !== undefined };
}

/** How a definition turns the server's reply into what `returns` says: options of `defineScript`. */
export interface ReturnsConversion {
  readonly replies?: "buffer";
  readonly parse?: (reply: Reply) => unknown;
}

/** The options of `defineScript` that make a script's reply what its file says it is. */
export function conversionOf(returns: ScriptReturns | undefined): ReturnsConversion {
  if (returns?.type === "buffer") return { replies: "buffer" };
  const parse = returns?.type === "boolean" ? isTrue : returns?.type === "number" ? Number : undefined;
  if (parse === undefined) return {};
  return { parse: returns?.orNull ? (reply) => (reply === null ? null : parse(reply)) : (reply) => parse(reply) };
}

function isTrue(reply: Reply): boolean {
  return reply === 1;
}
