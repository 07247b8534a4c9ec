import { InvalidArgumentError } from "../../errors.ts";
import { optionLines } from "../arguments.ts";
import { jsonOf, lineOf, textOf } from "../printable.ts";
import { wordsOf } from "../words.ts";
import { COMMANDS, commandNamed } from "./commands.ts";
import { greetingOf } from "./greeting.ts";
import { withProgress } from "./progress.ts";
import { checkWords, nameOf, type Place, type ShellCommand } from "./shell-command.ts";

/** Performs the lines that a user types while a local cluster runs. */
export class Shell {
  readonly #place: Place;
  #ended = false;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Whether `quit` was typed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The text that says where the cluster is and how to connect to it. */
  greeting(): string {
    return greetingOf(this.#place);
  }

  /** What the last word of the line can be: a command, or the name of a node. Returned with that word, as readline wants it. */
  completions(line: string): [completions: string[], word: string] {
    const word = line.slice(line.lastIndexOf(" ") + 1);
    const [first = ""] = line.trimStart().split(" ", 1);
    const isFirst = line.trimStart() === first;
    if (isFirst) return [allNames().filter((name) => name.startsWith(word)), word];
    if (!commandNamed(first)?.usage.includes("NODE")) return [[], word];
    return [this.#place.actions.names.filter((name) => name.startsWith(word.toUpperCase())), word];
  }

  #helpOf({ usage, summary, options = {} }: ShellCommand): string {
    const lines = [`${usage}: ${summary}`, ...optionLines(options)];
    return this.#place.json
      ? `${jsonOf({ usage, summary, options: Object.keys(options) })}\n`
      : `${lines.join("\n")}\n`;
  }

  /** Performs a line and returns the text to print. A failure is returned as text, too. */
  async perform(line: string): Promise<string> {
    const { json, terminal, actions, live } = this.#place;
    try {
      const [name, ...words] = wordsOf(line);
      if (name === undefined) return "";
      const command = commandNamed(name);
      if (command === undefined) {
        throw new InvalidArgumentError(
          `there is no command ${JSON.stringify(name)}; accepted are ${COMMANDS.map(nameOf).join(", ")}.`,
        );
      }
      if (words[0] === "--help") return this.#helpOf(command);
      checkWords(command, words);
      this.#ended = name === "quit" || this.#ended;
      const result = await withProgress(terminal, actions, line, () => command.run(this.#place, words));
      if (typeof result === "string") return result;
      // Calls tell the page of themselves.
      live?.tell(name, `${line.trim()}: ${result.done}`, "done");
      if (json) return `${jsonOf(result)}\n`;
      return textOf([result.done, ...(result.details ?? []).map((line) => `  ${line}`)], terminal.paint);
    } catch (error) {
      if (!json) return `${lineOf(error)}\n`;
      return `${jsonOf({ error: error instanceof Error ? error.message : String(error) })}\n`;
    }
  }
}

function allNames(): string[] {
  return COMMANDS.flatMap((command) => [nameOf(command), ...(command.aliases ?? [])]);
}
