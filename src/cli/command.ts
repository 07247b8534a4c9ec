/** A subcommand of `slotwire`. */
export interface Command {
  /** As in `slot KEY... [--json]`. */
  readonly usage: string;
  readonly summary: string;
  /** Does it; the result is what goes to standard output. What it throws ends the command with status 1. */
  run(args: string[]): string | Promise<string>;
}
