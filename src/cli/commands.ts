import { InvalidArgumentError } from "../errors.ts";
import { VERSION } from "../telemetry/library-version.ts";
import { optionLines } from "./arguments.ts";
import { bench } from "./bench.ts";
import { cluster } from "./cluster.ts";
import type { Command } from "./command.ts";
import { explain } from "./explain.ts";
import { guarded, guardedText } from "./printable.ts";
import { scripts } from "./scripts.ts";
import { slot } from "./slot.ts";
import { subscribe } from "./subscribe.ts";
import type { Terminal } from "./terminal.ts";
import { topology } from "./topology.ts";
import { types } from "./types.ts";
import { watch } from "./watch.ts";

const COMMANDS: ReadonlyMap<string, Command> = new Map(
  Object.entries({ slot, topology, scripts, explain, subscribe, bench, cluster, watch, types }),
);

/** Performs a command line. The result is written to standard output. */
export async function perform(words: readonly string[], terminal: Terminal): Promise<string> {
  return guardedText(await performIn(words, guarded(terminal)), terminal.paint);
}

function performIn([first, ...args]: readonly string[], terminal: Terminal): string | Promise<string> {
  if (first === "--help") return help();
  if (first === "--version") return `${VERSION}\n`;
  const command = COMMANDS.get(first ?? "");
  if (first === undefined || command === undefined) {
    // Any other word may be a URL or a password that was meant for an option.
    const isName = first !== undefined && /^[a-z-]{1,20}$/i.test(first);
    const unknown = isName ? `there is no command "${first}"` : "the first word is no command";
    const what = first === undefined ? "no command is given" : unknown;
    throw new InvalidArgumentError(`${what}; accepted are ${[...COMMANDS.keys()].join(", ")}, --help and --version.`);
  }
  const end = args.indexOf("--");
  const asksForHelp = (end === -1 ? args : args.slice(0, end)).includes("--help");
  return asksForHelp ? helpOf(first, command) : command.run(args, terminal);
}

function helpOf(name: string, { usage, summary, options, notes }: Command): string {
  const more = notes === undefined ? "" : `\n${notes}\n`;
  const lines = optionLines(options).join("\n");
  return `Usage: slotwire ${name} ${usage}\n\nGives ${summary}.\n${more}\nOptions:\n${lines}\n`;
}

function help(): string {
  const commands = [...COMMANDS].map(([name, { usage, summary }]) => `  ${name} ${usage}\n      ${summary}\n`).join("");
  return `Usage: slotwire COMMAND ...\n\nCommands:\n${commands}\nOptions:\n  --help     this text, or the help of a command\n  --version  the version of slotwire\n`;
}
