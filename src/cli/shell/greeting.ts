import type { LocalCluster } from "../../testing/start-cluster.ts";
import type { LocalActions } from "../local-actions.ts";
import { jsonOf, quoted, textOf } from "../printable.ts";
import type { Place } from "./shell-command.ts";

/** The text that says where the cluster is and how to connect to it. */
export function greetingOf({ local, actions, json, terminal, live }: Place): string {
  const { nodes, version, pids, authorityFile, connectOptions } = local;
  const { password } = connectOptions;
  if (json) {
    const greeting = {
      nodes,
      names: Object.fromEntries(nodes.map((address) => [address, actions.nameOf(address)])),
      pids: Object.fromEntries(pids),
      server: version,
      cacert: authorityFile ?? null,
      password: password ?? null,
      ...(live !== undefined && { web: live.url }),
    };
    return `${jsonOf(greeting)}\n`;
  }
  const [first = ""] = nodes;
  const port = first.slice(first.lastIndexOf(":") + 1);
  const options = [
    `-p ${port}`,
    ...(password === undefined ? [] : [`-a ${inShellQuotes(password)}`]),
    ...(authorityFile === undefined ? [] : [`--tls --cacert ${inShellQuotes(authorityFile)}`]),
  ];
  const lines = [
    nodes.length === 1 ? "1 node runs:" : `${nodes.length} nodes run:`,
    ...nodeLines(local, actions),
    `  slotwire topology ${options.join(" ")}`,
    `  ${callOf(local)}`,
    ...(live === undefined ? [] : [`  ${live.url}`]),
    "Commands are read from standard input; `help` lists them. Ctrl-C ends the cluster.",
  ];
  return textOf(lines, terminal.paint);
}

/** One line for each primary, with its replicas. */
function nodeLines({ nodes }: LocalCluster, actions: LocalActions): string[] {
  const groups = new Map<string, string[]>();
  for (const address of [...nodes].sort((one, other) => (actions.nameOf(one) < actions.nameOf(other) ? -1 : 1))) {
    const letter = actions.nameOf(address).replace(/\d+$/, "");
    groups.set(letter, [...(groups.get(letter) ?? []), `${actions.nameOf(address)} ${address}`]);
  }
  return [...groups.values()].map((texts) => `  ${texts.join("   ")}`);
}

/** The call that connects a program to the cluster. */
function callOf({ nodes, authorityFile, connectOptions }: LocalCluster): string {
  const { password } = connectOptions;
  const options = [
    `nodes: [${quoted(nodes[0] ?? "")}]`,
    ...(password === undefined ? [] : [`password: ${quoted(password)}`]),
    ...(authorityFile === undefined ? [] : [`tls: { ca: readFileSync(${quoted(authorityFile)}) }`]),
  ];
  return `connect({ ${options.join(", ")} })`;
}

/** A word as a shell reads it. */
function inShellQuotes(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
