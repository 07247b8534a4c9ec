import { type Options, optionLines, readArguments, refuseWords } from "../../src/cli/arguments.ts";
import { lineOf } from "../../src/cli/printable.ts";

/** What a benchmark says of itself in `--help`, and the options that it takes. */
export interface BenchCommand<O extends Options = Options> {
  /** As npm knows it: `bench:floor`. It stands in front of each error. */
  readonly name: string;
  /** What one types: `npm run bench:floor --`. */
  readonly typed: string;
  /** The options in short: `[--rounds N] [--only TEXT]`. */
  readonly usage: string;
  /** What the benchmark does, as a sentence without a subject. */
  readonly summary: string;
  readonly options: O;
  /** Sentences for `--help`. */
  readonly notes?: string;
}

export type ValuesOf<O extends Options> = ReturnType<typeof readArguments<O>>["values"];

/** Statuses of a benchmark's process: 1 says that something failed, 2 that it was not asked in words that it knows. */
export const FAILED = 1;
export const MISUSED = 2;

/**
 * The values of the options.
 * @throws {InvalidArgumentError} names what was wrong and what is accepted.
 */
export function readOptions<const O extends Options>(
  { name, options }: BenchCommand<O>,
  args: readonly string[],
): ValuesOf<O> {
  const { values, words } = readArguments(options, args);
  const accepted = Object.keys(options).map((option) => `--${option}`);
  refuseWords(name, words, accepted);
  return values;
}

/** Whether the words ask for help. Behind `--` no word is an option. */
export function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end === -1 ? args : args.slice(0, end)).includes("--help");
}

export function helpOf({ typed, usage, summary, options, notes }: BenchCommand): string {
  const more = notes === undefined ? "" : `\n${notes}\n`;
  const lines = optionLines({ ...options, help: { type: "boolean", says: "this text" } });
  return `Usage: ${`${typed} ${usage}`.trimEnd()}\n\n${summary}\n${more}\nOptions:\n${lines.join("\n")}\n`;
}

/**
 * Reads the command line of a benchmark, before anything is started or sent. Ends the process after `--help`, and with one
 * line when a word is wrong.
 * @param read  Makes settings out of the values; what it throws is such a line.
 */
export function settingsOf<const O extends Options, S>(
  command: BenchCommand<O>,
  read: (values: ValuesOf<O>) => S,
  args: readonly string[] = process.argv.slice(2),
): S {
  try {
    if (asksForHelp(args)) {
      process.stdout.write(helpOf(command));
      process.exit(0);
    }
    return read(readOptions(command, args));
  } catch (error) {
    process.stderr.write(`${command.name}: ${lineOf(error)}\n`);
    process.exit(MISUSED);
  }
}
