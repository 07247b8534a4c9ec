import type { Options } from "./arguments.ts";
import type { Terminal } from "./terminal.ts";

/** A subcommand of `slotwire`. */
export interface Command {
  /** What stands behind the command's name, as in `KEY...`, without its options. */
  readonly usage: string;
  /** What the command gives, without a full stop. */
  readonly summary: string;
  readonly options: Options;
  /** Sentences for `--help`. */
  readonly notes?: string;
  /** Does it; the result is what goes to standard output. What it throws ends the command with status 1. */
  run(args: string[], terminal: Terminal): string | Promise<string>;
}
