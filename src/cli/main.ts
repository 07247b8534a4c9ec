#!/usr/bin/env node
import { perform } from "./commands.ts";
import { lineOf } from "./printable.ts";
import { processTerminal } from "./terminal.ts";

// A reader that closes the pipe after the first lines, such as `head`, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => error.code === "EPIPE" || fail(error));
try {
  process.stdout.write(await perform(process.argv.slice(2), processTerminal));
} catch (error) {
  fail(error);
}

/**
 * Reports an error as one line. Only the exit status is set, without an exit, so that pending output is still flushed.
 */
function fail(error: unknown): void {
  processTerminal.warn(lineOf(error));
  process.exitCode = 1;
}
