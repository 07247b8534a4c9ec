import { InvalidArgumentError } from "../../errors.ts";
import type { ConnectTo, LocalCluster } from "../../testing/start-cluster.ts";
import { readArguments } from "../arguments.ts";
import { CALL, explainIn } from "../explain.ts";
import { CHOICE, scriptsOf } from "../scripts.ts";
import { ownersOf } from "../slot.ts";
import { showTopology } from "../topology.ts";
import type { Place, ShellCommand } from "./shell-command.ts";

/** The commands that show the cluster, as the commands of `slotwire` with the same names do. */
export const LOOK_COMMANDS: readonly ShellCommand[] = [
  {
    usage: "topology",
    summary: "draw who owns which slot",
    run: ({ local, actions, json, terminal }) => {
      return showTopology(optionsOf(local), json, terminal, actions.servers.names);
    },
  },
  {
    usage: "explain ...",
    summary: "as `slotwire explain`, with one client that remembers",
    options: CALL,
    run: (place, words) => explainIn(place.session, withAddress(place, words), place.json, place.terminal),
  },
  {
    usage: "scripts ...",
    summary: "as `slotwire scripts`",
    options: CHOICE,
    async run({ local, actions, json, terminal }, words) {
      await actions.look();
      return scriptsOf(optionsOf(local), words, json, terminal, actions.nameOf);
    },
  },
  {
    usage: "slot KEY...",
    summary: "as `slotwire slot`, with the owners",
    async run({ local, actions, json, terminal }, words) {
      const keys = readArguments({}, words).words;
      if (keys.length === 0)
        throw new InvalidArgumentError("KEY is missing; accepted is slot KEY..., as in: slot a {b}c");
      return (await ownersOf(optionsOf(local), keys, json, terminal, actions.servers.names)).text;
    },
  },
];

/** How the cluster is reached, if anything of it runs. */
function optionsOf({ nodes, connectOptions }: LocalCluster): ConnectTo {
  if (nodes.length === 0) throw new Error("no node runs any more; `quit` ends the cluster.");
  return connectOptions;
}

/** The words with the address of a node in place of its name behind --from. */
function withAddress({ actions }: Place, words: readonly string[]): string[] {
  const addressOf = (word: string) => (actions.isName(word) ? actions.addressOf(word) : word);
  const end = words.includes("--") ? words.indexOf("--") : words.length;
  return words.map((word, index) => {
    if (index >= end) return word;
    if (words[index - 1] === "--from") return addressOf(word);
    return word.startsWith("--from=") ? `--from=${addressOf(word.slice("--from=".length))}` : word;
  });
}
