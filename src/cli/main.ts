#!/usr/bin/env node
import { perform } from "./commands.ts";
import { processTerminal } from "./terminal.ts";

// Who reads only the first lines, as `head` does, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => error.code === "EPIPE" || fail(error));
try {
  process.stdout.write(await perform(process.argv.slice(2), processTerminal));
} catch (error) {
  fail(error);
}

/** One line, whatever was thrown. The status is set, not exited with, so that what was written is flushed. */
function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  processTerminal.progress("");
  process.stderr.write(`slotwire: ${message.replace(/\s*[\r\n]+\s*/g, " ")}\n`);
  process.exitCode = 1;
}
