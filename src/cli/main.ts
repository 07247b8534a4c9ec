#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "../errors.ts";
import type { Command } from "./command.ts";
import { slot } from "./slot.ts";
import { types } from "./types.ts";

const COMMANDS: ReadonlyMap<string, Command> = new Map(Object.entries({ slot, types }));

// Who reads only the first lines, as `head` does, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => error.code === "EPIPE" || fail(error));
try {
  process.stdout.write(await run(process.argv.slice(2)));
} catch (error) {
  fail(error);
}

/** One line, whatever was thrown. The status is set, not exited with, so that what was written is flushed. */
function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`slotwire: ${message.replace(/\s*[\r\n]+\s*/g, " ")}\n`);
  process.exitCode = 1;
}

function run([first, ...args]: string[]): string | Promise<string> {
  if (first === "--help") return help();
  if (first === "--version") return `${version()}\n`;
  const command = COMMANDS.get(first ?? "");
  if (command === undefined) {
    const what = first === undefined ? "no command is given" : `there is no command ${JSON.stringify(first)}`;
    throw new InvalidArgumentError(`${what}; accepted are ${[...COMMANDS.keys()].join(", ")}, --help and --version.`);
  }
  const end = args.indexOf("--");
  const asksForHelp = (end === -1 ? args : args.slice(0, end)).includes("--help");
  return asksForHelp ? `Usage: slotwire ${command.usage}\n\nGives ${command.summary}.\n` : command.run(args);
}

function help(): string {
  const commands = [...COMMANDS.values()].map(({ usage, summary }) => `  ${usage.padEnd(42)}${summary}\n`).join("");
  return `Usage: slotwire COMMAND ...\n\nCommands:\n${commands}\nOptions:\n  --help     this text, or a command's\n  --version  the version of slotwire\n`;
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly version: string }).version;
}
