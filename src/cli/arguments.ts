import { parseArgs } from "node:util";
import { InvalidArgumentError } from "../errors.ts";

/** An option of a command, for `parseArgs` and for people. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for its value in texts, as `FILE`. */
  readonly value?: string;
  readonly says: string;
}

export type Options = Readonly<Record<string, Option>>;

/** `--json`, which every command has that shows something. */
export const JSON_OPTION = { json: { type: "boolean", says: "as JSON, in one line" } } as const satisfies Options;

/** Keeps what begins with a dash and is no option (-1, -0.5, -inf) from being taken for one. */
const NUMBER = /^-(\d|\.\d|inf\b)/i;
const MARK = "\0";

/** What `parseArgs` makes of options. Named, since declarations cannot name all that it is made of. */
type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ readonly args: string[]; readonly options: O; readonly allowPositionals: true }>
>;

/**
 * Reads options, wherever they stand, and what is none; behind `--` nothing is an option.
 * @throws {InvalidArgumentError} naming what is accepted.
 */
export function readArguments<const O extends Options>(
  options: O,
  args: readonly string[],
): { readonly values: Parsed<O>["values"]; readonly words: string[] } {
  const marked = args.map((arg) => (NUMBER.test(arg) ? MARK + arg : arg));
  try {
    const { values, positionals } = parseArgs({ args: marked, options, allowPositionals: true });
    const words = positionals.map((word) => (word.startsWith(MARK) ? word.slice(MARK.length) : word));
    return { values, words };
  } catch (error) {
    const [what = ""] = (error as Error).message.replaceAll(MARK, "").split(/[.\n](?:\s|$)/);
    const accepted = Object.entries(options).map(([name, option]) => nameOf(name, option));
    throw new InvalidArgumentError(
      `${what}; accepted are ${accepted.join(", ")}, --help, and -- before words that begin with a dash.`,
    );
  }
}

/** What a number may be. */
interface Bounds {
  readonly fallback: number;
  readonly least: number;
  readonly most: number;
  /** 1.5 as well. */
  readonly fractions?: boolean;
}

/** A number of an option, or its fallback. */
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

/** A line for each option, for `--help`. */
export function optionLines(options: Options): string[] {
  const rows = Object.entries(options).map(([name, option]) => [
    `${nameOf(name, option)}${option.value === undefined ? "" : ` ${option.value}`}`,
    `${option.says}${option.multiple ? "; can be repeated" : ""}`,
  ]);
  const width = Math.max(...rows.map(([left = ""]) => left.length));
  return rows.map(([left = "", right = ""]) => `  ${left.padEnd(width)}  ${right}`);
}

/** As it is typed: redis-cli's letter where it has one. */
function nameOf(name: string, { short }: Option): string {
  return short === undefined ? `--${name}` : `-${short}, --${name}`;
}

/** `KEY... , ARG...`, as redis-cli has it: keys, a comma as a word of its own, arguments. */
export function keysAndArguments(words: readonly string[]): { keys: string[]; args: string[] } {
  const comma = words.indexOf(",");
  if (comma === -1) return { keys: [...words], args: [] };
  return { keys: words.slice(0, comma), args: words.slice(comma + 1) };
}

/** @throws {InvalidArgumentError} when there are words, for a command that takes options only. */
export function refuseWords(command: string, [first]: readonly string[]): void {
  if (first === undefined) return;
  throw new InvalidArgumentError(`${command} takes options only, and no ${JSON.stringify(first)}.`);
}
