import { parseArgs } from "node:util";
import { InvalidArgumentError } from "../errors.ts";

/** An option of a command, for `parseArgs` and for the help text. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  /** The placeholder for the option's value in the help text, such as `FILE`. */
  readonly value?: string;
  readonly says: string;
}

export type Options = Readonly<Record<string, Option>>;

/** `--json`, an option of every command that shows something. */
export const JSON_OPTION = { json: { type: "boolean", says: "as JSON, in one line" } } as const satisfies Options;

/** Words that begin with a dash and are no options: -1, -0.5, -inf. They are marked to hide them from `parseArgs`. */
const NUMBER = /^-(\d|\.\d|inf\b)/i;
const MARK = "\0";

/** The result of `parseArgs`. The type has a name because declaration files cannot spell out all of its parts. */
type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ readonly args: string[]; readonly options: O; readonly allowPositionals: true }>
>;

/**
 * Reads a command line into options and other words. Options may be anywhere; behind `--` no word is an option.
 * @throws {InvalidArgumentError} when the options are not valid; the message names the accepted options.
 */
export function readArguments<const O extends Options>(
  options: O,
  args: readonly string[],
): { readonly values: Parsed<O>["values"]; readonly words: string[] } {
  const marked = args.map((arg) => (NUMBER.test(arg) ? MARK + arg : arg));
  try {
    const { values, positionals } = parseArgs({ args: marked, options, allowPositionals: true });
    const unmarked = Object.entries(values).map(([name, value]) => [name, withoutMark(value)]);
    return { values: Object.fromEntries(unmarked), words: withoutMark(positionals) };
  } catch (error) {
    const [what = ""] = (error as Error).message.replaceAll(MARK, "").split(/[.\n](?:\s|$)/);
    const accepted = [...Object.entries(options).map(([name, option]) => nameOf(name, option)), "--help"];
    throw new InvalidArgumentError(
      `${what}; accepted are ${accepted.join(", ")}, and -- before words that begin with a dash.`,
    );
  }
}

function withoutMark<T>(value: T): T {
  if (Array.isArray(value)) return value.map(withoutMark) as T;
  return typeof value === "string" && value.startsWith(MARK) ? (value.slice(MARK.length) as T) : value;
}

/** The bounds of a number, and its default. */
interface Bounds {
  readonly fallback: number;
  readonly least: number;
  readonly most: number;
  /** Whether fractions such as 1.5 are accepted. */
  readonly fractions?: boolean;
}

/** The number that is the value of an option, or the default. */
export function numberOf(
  name: string,
  text: string | undefined,
  { fallback, least, most, fractions = false }: Bounds,
): number {
  if (text === undefined) return fallback;
  const wording = fractions ? /^\d{1,9}(\.\d{1,9})?$/ : /^\d{1,9}$/;
  const number = wording.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new InvalidArgumentError(
    `${name} is ${JSON.stringify(text)}; accepted is a ${fractions ? "" : "whole "}number from ${least} to ${most}.`,
  );
}

/** The share that an option gives as a percentage: 0.05 for `5%`; undefined without the option. */
export function shareOf(
  name: string,
  text: string | undefined,
  { least, most }: Readonly<Record<"least" | "most", number>>,
): number | undefined {
  if (text === undefined) return undefined;
  const percent = /^\d{1,9}(\.\d{1,9})?%$/.test(text) ? Number(text.slice(0, -1)) : Number.NaN;
  if (percent >= 100 * least && percent <= 100 * most) return percent / 100;
  throw new InvalidArgumentError(
    `${name} is ${JSON.stringify(text)}; accepted is a percentage from ${100 * least}% to ${100 * most}%, such as 5%.`,
  );
}

/** The options for `--help`, one line each. */
export function optionLines(options: Options): string[] {
  const rows = Object.entries(options).map(([name, option]) => [
    `${nameOf(name, option)}${option.value === undefined ? "" : ` ${option.value}`}`,
    `${option.says}${option.multiple ? "; can be repeated" : ""}`,
  ]);
  const width = Math.max(...rows.map(([left = ""]) => left.length));
  return rows.map(([left = "", right = ""]) => `  ${left.padEnd(width)}  ${right}`);
}

/** The option as a user types it, with the letter that redis-cli uses for it, if there is one. */
function nameOf(name: string, { short }: Option): string {
  return short === undefined ? `--${name}` : `-${short}, --${name}`;
}

/** Reads `KEY... , ARG...` as redis-cli does: keys, a comma as a separate word, arguments. */
export function keysAndArguments(words: readonly string[]): { keys: string[]; args: string[] } {
  const comma = words.indexOf(",");
  if (comma === -1) return { keys: [...words], args: [] };
  return { keys: words.slice(0, comma), args: words.slice(comma + 1) };
}

/** @throws {InvalidArgumentError} for a URL in place of a file or folder. It is not shown, because it can hold a password. */
export function refuseUrls(command: string, words: readonly string[]): void {
  if (!words.some((word) => /^(redis|valkey|https?)s?:\/\//i.test(word))) return;
  throw new InvalidArgumentError(`${command} is given a URL as a file or folder; -u is for the URL of a node.`);
}

/** @throws {InvalidArgumentError} when a command that only has options is given a word. */
export function refuseWords(command: string, [first]: readonly string[], options: readonly string[] = []): void {
  if (first === undefined) return;
  // The word is not shown, because it can be a URL or a password that was meant for an option.
  const accepted = options.length === 0 ? "only options" : [...options, "--help"].join(", ");
  throw new InvalidArgumentError(`${command} is given a word that is no option; accepted are ${accepted}.`);
}
