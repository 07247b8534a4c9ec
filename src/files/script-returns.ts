import type { Reply } from "../protocol/reply.ts";

const WORDS = ["integer", "string", "buffer", "number", "boolean", "null", "array", "any"] as const;

/**
 * The types that `-- @returns` accepts. A caller does not get Lua's types, so the words name the types that it gets:
 *
 * | word | the script returns | the caller gets |
 * | --- | --- | --- |
 * | `integer` | a Lua number; the server drops its fraction | `number` |
 * | `string` | a string, or a status such as OK | `string` |
 * | `buffer` | a string of any bytes | `Buffer` |
 * | `number` | `tostring(number)`, which keeps the fraction | `number` |
 * | `boolean` | `true` or `1` for true; anything else, such as `false`, `nil` or `0`, for false | `boolean` |
 * | `null` | nothing | `null` |
 * | `array` | a table | `Reply[]` |
 * | `any` | anything | `Reply` |
 */
export type ReturnWord = (typeof WORDS)[number];

/** A script's declared result, such as `-- @returns string | null`. */
export interface ScriptReturns {
  readonly type: ReturnWord;
  /** Whether the declaration ends with ` | null`. */
  readonly orNull: boolean;
}

/** What `-- @returns` accepts, for error messages. */
export const RETURNS_ACCEPTED = `one of ${WORDS.join(", ")}, alone or followed by "| null"`;

/** Parses the text behind `-- @returns`. Undefined when it is not valid. */
export function parseReturns(text: string): ScriptReturns | undefined {
  const [, word, orNull] = /^(\w+)(\s*\|\s*null)?$/.exec(text.trim()) ?? [];
  const type = WORDS.find((known) => known === word);
  return type && { type, orNull: orNull !== undefined };
}

/** Options of `defineScript` that convert the server's reply. */
export interface ReturnsConversion {
  readonly replies?: "buffer";
  readonly parse?: (reply: Reply) => unknown;
}

/** The options of `defineScript` that convert a script's reply to the type that its file declares. */
export function conversionOf(returns: ScriptReturns | undefined): ReturnsConversion {
  if (returns?.type === "buffer") return { replies: "buffer" };
  const parse = returns?.type === "boolean" ? isTrue : returns?.type === "number" ? Number : undefined;
  if (parse === undefined) return {};
  return { parse: returns?.orNull ? (reply) => (reply === null ? null : parse(reply)) : (reply) => parse(reply) };
}

function isTrue(reply: Reply): boolean {
  return reply === 1;
}
