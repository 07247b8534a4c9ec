import { createInterface } from "node:readline";
import type { LocalActions } from "../local-actions.ts";
import type { Terminal } from "../terminal.ts";
import { LoadReports } from "./load-reports.ts";
import type { Shell } from "./shell.ts";

/** How a shell is served. */
export interface Serving {
  /** Aborted by a signal. */
  readonly ended: AbortSignal;
  readonly json: boolean;
  /** Whether the cluster runs on when a pipe closes. */
  readonly keep: boolean;
}

const PROMPT = "slotwire> ";
const FOREVER_MS = 2 ** 30;
const UNDER_WAY_MS = 5000;

/** Performs one line after the other, until `quit`, a signal, or the end of the input. */
export function serve(
  shell: Shell,
  actions: LocalActions,
  { ended: signal, json, keep }: Serving,
  terminal: Terminal,
): Promise<void> {
  const isTerminal = process.stdin.isTTY === true;
  const input = createInterface({
    input: process.stdin,
    prompt: PROMPT,
    ...(isTerminal && { output: process.stdout, completer: (line: string) => shell.completions(line) }),
  });
  return new Promise<void>((resolve) => {
    // Neither the servers nor the signal handlers keep this process alive.
    const alive = setInterval(() => {}, FOREVER_MS);
    let work = Promise.resolve();
    let lines = 0;
    let ended = false;
    const end = () => {
      if (ended) return;
      ended = true;
      signal.removeEventListener("abort", end);
      clearInterval(alive);
      reports?.close();
      input.close();
      process.stdin.destroy();
      if (isTerminal) terminal.write("\n");
      // The command that is under way may be starting a server, and that server must not be left behind.
      const timer = setTimeout(resolve, UNDER_WAY_MS);
      void work.finally(() => {
        clearTimeout(timer);
        resolve();
      });
    };
    const perform = async (line: string) => {
      if (ended) return;
      const text = await shell.perform(line);
      if (ended) return;
      terminal.write(text);
      if (shell.ended) setImmediate(end);
      else if (isTerminal) input.prompt();
    };
    // With --json, whoever drives the shell asks for the errors by `load`.
    const reports = json
      ? undefined
      : new LoadReports(actions, (text) => {
          if (isTerminal) terminal.write("\n");
          terminal.warn(text);
          if (isTerminal) input.prompt(true);
        });
    signal.addEventListener("abort", end);
    input.on("SIGINT", end);
    input.on("line", (line) => {
      lines++;
      work = work.then(() => perform(line));
    });
    input.on("close", () => {
      if (ended || (keep && !isTerminal)) return;
      if (isTerminal) return end();
      if (lines === 0)
        terminal.warn("the input ended before any command, and the cluster with it; --keep lets it run on");
      // The commands in front of the end are still performed.
      work = work.then(() => void setImmediate(end));
    });
    // The greeting comes last, because its reader may send a signal at once.
    terminal.write(shell.greeting());
    if (isTerminal) input.prompt();
    if (signal.aborted) end();
  });
}
