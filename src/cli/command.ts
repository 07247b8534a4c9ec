import type { Options } from "./arguments.ts";
import type { Terminal } from "./terminal.ts";

/** A subcommand of `slotwire`. */
export interface Command {
  /** The words behind the command's name, such as `KEY...`. */
  readonly usage: string;
  /** What the command gives, without a full stop. */
  readonly summary: string;
  readonly options: Options;
  /** Sentences for `--help`. */
  readonly notes?: string;
  /** Performs the command. The result is written to standard output. A thrown error ends the command with status 1. */
  run(args: string[], terminal: Terminal): string | Promise<string>;
}
