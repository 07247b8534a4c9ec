import { InvalidArgumentError } from "../../errors.ts";
import { SLOT_COUNT } from "../../protocol/hash-slot.ts";
import type { LocalCluster } from "../../testing/start-cluster.ts";
import { numberOf, type Options } from "../arguments.ts";
import type { Done, LocalActions } from "../local-actions.ts";
import type { Session } from "../session.ts";
import type { Terminal } from "../terminal.ts";
import type { LiveCluster } from "../web/live-cluster.ts";

/** Everything that the shell's commands work with. */
export interface Place {
  readonly local: LocalCluster;
  /** What changes the cluster, and the names of its nodes. */
  readonly actions: LocalActions;
  /** The session of one client that lives as long as the cluster. */
  readonly session: Session;
  readonly json: boolean;
  readonly terminal: Terminal;
  /** The live page, if there is one. */
  readonly live?: Pick<LiveCluster, "url" | "tell"> | undefined;
}

/** A command that the user can type while the cluster runs. */
export interface ShellCommand {
  /**
   * The command's name and its words, such as `migrate SLOT NODE [KEY]`. `...` at the end stands for any number of words.
   */
  readonly usage: string;
  /** Other names of the command. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** The options that it takes, for its help. */
  readonly options?: Options;
  /** The usage with real words, for errors. */
  readonly example?: string;
  /** Performs the command. Returns the text to print, or a statement of what was done. */
  run(place: Place, words: readonly string[]): Promise<string | Done>;
}

/** The command's name: the first word of its usage. */
export const nameOf = ({ usage }: ShellCommand) => usage.split(" ", 1)[0] as string;

/** @throws {InvalidArgumentError} when words are missing, or too many. */
export function checkWords(command: ShellCommand, words: readonly string[]): void {
  const { usage, example } = command;
  if (usage.endsWith("...")) return;
  const [name, ...wanted] = usage.split(" ");
  const needed = wanted.filter((word) => !word.startsWith("["));
  const asIn = example === undefined ? "" : `, as in: ${example}`;
  const missing = needed.slice(words.length);
  if (missing.length > 0) {
    throw new InvalidArgumentError(
      `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing; accepted is ${usage}${asIn}`,
    );
  }
  if (words.length <= wanted.length) return;
  const extra = JSON.stringify(words[wanted.length]);
  const accepted = wanted.length === 0 ? `${name} takes no words` : `accepted is ${usage}${asIn}`;
  throw new InvalidArgumentError(`${extra} is one word too many; ${accepted}`);
}

/** The number of a slot. */
export function slotNumber(text: string | undefined): number {
  return numberOf("SLOT", text, { least: 0, most: SLOT_COUNT - 1, fallback: 0 });
}
