import { createInterface } from "node:readline";
import { startCluster } from "../testing/start-cluster.ts";
import { JSON_OPTION, numberOf, type Options, readArguments, refuseWords } from "./arguments.ts";
import type { Command } from "./command.ts";
import { Session } from "./session.ts";
import { Shell } from "./shell.ts";
import { COMMANDS } from "./shell-commands.ts";
import type { Terminal } from "./terminal.ts";

const OPTIONS = {
  primaries: { type: "string", value: "N", says: "the number of primaries; default 3" },
  replicas: { type: "string", value: "N", says: "the number of replicas of each primary; default 1" },
  server: {
    type: "string",
    value: "PATH",
    says: "a redis-server or valkey-server; by default one is found or fetched",
  },
  ...JSON_OPTION,
} as const satisfies Options;

const PROMPT = "slotwire> ";
const FOREVER_MS = 2 ** 30;
const UNDER_WAY_MS = 5000;

/** `slotwire cluster`: runs a local cluster, with commands that disturb it. */
export const cluster: Command = {
  usage: "[--primaries N] [--replicas N] [--server PATH] [--json]",
  summary: "a local cluster of real servers, which Ctrl-C ends and removes",
  options: OPTIONS,
  notes: `While the cluster runs, commands are read from standard input, one per line:\n${COMMANDS.map(({ usage, summary }) => `  ${usage.padEnd(28)}${summary}`).join("\n")}`,
  async run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    refuseWords("cluster", words);
    const primaries = numberOf("--primaries", values.primaries, { fallback: 3, least: 1, most: 100 });
    const replicasPerPrimary = numberOf("--replicas", values.replicas, { fallback: 1, least: 0, most: 5 });
    terminal.progress(`starting ${primaries * (1 + replicasPerPrimary)} servers ...`);
    const { server } = values;
    const local = await startCluster({
      primaries,
      replicasPerPrimary,
      ...(server !== undefined && { server }),
      tls: false,
    });
    try {
      // Without background refreshes, the user can see how the client's slot map becomes outdated.
      const session = await Session.openTapped({ ...local.connectOptions, topologyRefreshInterval: 0 });
      terminal.progress("");
      try {
        await serve(new Shell(local, session, values.json === true, terminal), terminal);
      } finally {
        session.close();
      }
    } finally {
      await local.stop();
    }
    return "";
  },
};

/** Performs one line after the other, until `quit`, a signal, or the end of a terminal's input. */
function serve(shell: Shell, terminal: Terminal): Promise<void> {
  const isTerminal = process.stdin.isTTY === true;
  const input = createInterface({
    input: process.stdin,
    prompt: PROMPT,
    ...(isTerminal && { output: process.stdout, completer: (line: string) => [shell.completions(line), line] }),
  });
  return new Promise<void>((resolve) => {
    // Neither the servers nor the signal handlers keep this process alive.
    const alive = setInterval(() => {}, FOREVER_MS);
    let work = Promise.resolve();
    let ended = false;
    const end = () => {
      if (ended) return;
      ended = true;
      process.off("SIGINT", end);
      process.off("SIGTERM", end);
      clearInterval(alive);
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
    process.on("SIGINT", end);
    process.on("SIGTERM", end);
    input.on("SIGINT", end);
    input.on("line", (line) => {
      work = work.then(() => perform(line));
    });
    // When a pipe closes, no more commands come, but the cluster is still wanted.
    input.on("close", () => isTerminal && end());
    // The greeting comes last, because its reader may send a signal at once.
    terminal.write(shell.greeting());
    if (isTerminal) input.prompt();
  });
}
