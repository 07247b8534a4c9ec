import { InvalidArgumentError } from "../errors.ts";
import type { LocalCluster } from "../testing/start-cluster.ts";
import { jsonOf, lineOf, textOf } from "./printable.ts";
import type { Session } from "./session.ts";
import { COMMANDS, nameOf, type Place } from "./shell-commands.ts";
import type { Terminal } from "./terminal.ts";
import { wordsOf } from "./words.ts";

/** Performs the lines that a user types while a local cluster runs. */
export class Shell {
  readonly #place: Place;
  /** The address of the live page, if there is one. */
  readonly #page: string | undefined;
  #ended = false;

  constructor(local: LocalCluster, session: Session, json: boolean, terminal: Terminal, page?: string) {
    this.#place = { local, session, json, terminal };
    this.#page = page;
  }

  /** Whether `quit` was typed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The text that says where the cluster is and how to connect to it. */
  greeting(): string {
    const { local, json, terminal } = this.#place;
    const { nodes, version, pids } = local;
    if (json) {
      return `${jsonOf({ nodes, pids: Object.fromEntries(pids), server: version, web: this.#page })}\n`;
    }
    const [first = ""] = nodes;
    const port = first.slice(first.lastIndexOf(":") + 1);
    const lines = [
      `${nodes.length === 1 ? "1 node runs" : `${nodes.length} nodes run`}: ${nodes.join(" ")}`,
      `  slotwire topology -p ${port}`,
      `  connect({ nodes: [${JSON.stringify(first)}] })`,
      ...(this.#page === undefined ? [] : [`  ${this.#page}`]),
      "Commands are read from standard input; `help` lists them. Ctrl-C ends the cluster.",
    ];
    return textOf(lines, terminal.paint);
  }

  completions(line: string): string[] {
    return COMMANDS.map(nameOf).filter((name) => name.startsWith(line));
  }

  /** Performs a line and returns the text to print. A failure is returned as text, too. */
  async perform(line: string): Promise<string> {
    const { json, terminal } = this.#place;
    try {
      const [name, ...words] = wordsOf(line);
      if (name === undefined) return "";
      const command = COMMANDS.find((each) => nameOf(each) === name);
      if (command === undefined) {
        throw new InvalidArgumentError(
          `there is no command ${JSON.stringify(name)}; accepted are ${COMMANDS.map(nameOf).join(", ")}.`,
        );
      }
      this.#ended = name === "quit" || this.#ended;
      const result = await command.run(this.#place, words);
      if (typeof result === "string") return result;
      return json ? `${jsonOf(result)}\n` : textOf([result.done], terminal.paint);
    } catch (error) {
      if (!json) return `${lineOf(error)}\n`;
      return `${jsonOf({ error: error instanceof Error ? error.message : String(error) })}\n`;
    }
  }
}
