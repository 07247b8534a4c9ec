import type { ConnectOptions } from "../options.ts";
import { parseAddress } from "../protocol/node-address.ts";
import { JSON_OPTION, readArguments, refuseWords } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { drawTopology } from "./draw-topology.ts";
import { jsonOf, textOf } from "./printable.ts";
import { type Condition, countOf, isReplica, suspectedBy } from "./study/condition.ts";
import type { ServerState } from "./study/events.ts";
import type { NodeNames } from "./study/node-names.ts";
import { type Survey, surveyOf } from "./study/survey.ts";
import type { Terminal } from "./terminal.ts";

const OPTIONS = { ...CONNECTION, ...JSON_OPTION } as const;

/** `slotwire topology`: shows which node owns which slots, and what is wrong. */
export const topology: Command = {
  usage: "[-h HOST] [-p PORT] [-u URI] ... [--json]",
  summary: "who owns which slots, by the word of each node, and what is wrong",
  options: OPTIONS,
  notes: [
    "Every node is asked for its own view. Primaries are named A, B, C in the order of their slots, A1 is a replica of A.",
    "In a bar, a full cell means that the node owns all of the cell's slots; a shaded cell means that it owns some of them.",
    "The status is 1 if a slot is not served, or if nodes disagree: about owners, about the move of a slot, or about who is",
    "in the cluster. What may be news under way is looked at for 2 seconds. A slot that is half-way between two nodes which",
    "both know it is served, and so are the slots of a primary whose replica is down: the status is 0.",
  ].join("\n"),
  async run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    refuseWords("topology", words);
    const survey = await surveyOf(connectionOf(values, process.env, terminal));
    const text = shown(survey, values.json === true, terminal, adviceFor(survey));
    if (survey.condition.trouble === null) return text;
    terminal.write(text);
    throw new Error(`${survey.condition.trouble}.`);
  },
};

/** @param names  Names that nodes have already. */
export async function showTopology(
  options: ConnectOptions,
  json: boolean,
  terminal: Terminal,
  names?: NodeNames,
): Promise<string> {
  const survey = await surveyOf(options, names);
  return shown(survey, json, terminal, "To end the move: `settle SLOT`.");
}

function adviceFor({ states }: Survey): string {
  const { address } = states.find(({ role }) => role !== null) ?? (states[0] as ServerState);
  return `To end the move: redis-cli --cluster fix ${address}, or \`settle SLOT\` in \`slotwire cluster\`.`;
}

function shown({ states, condition }: Survey, json: boolean, terminal: Terminal, advice: string): string {
  if (json) return `${jsonOf(describe(states, condition))}\n`;
  return textOf(drawTopology({ states, condition, advice }, terminal.width, terminal.paint), terminal.paint);
}

function describe(states: readonly ServerState[], condition: Condition) {
  const { trouble, ranges, unowned, unserved, open, disagreements, unknown } = condition;
  const addressOf = (name: string | null) => states.find((state) => state.name === name)?.address ?? null;
  const replicasOf = (name: string) => states.filter((state) => isReplica(state) && state.primary === name);
  return {
    ok: trouble === null,
    trouble,
    nodes: states.map((state) => {
      const { id, address, name, health, error, role, primary, zone = null } = state;
      const { fail, suspect } = suspectedBy(name, states);
      const { host = null, port = null } = parseAddress(address) ?? {};
      return {
        name,
        id,
        address,
        host,
        port,
        role: isReplica(state) ? "replica" : "primary",
        primary: addressOf(primary),
        zone,
        health,
        slots: countOf(ranges.filter(({ owner }) => owner === name)),
        unreachable: role === null ? error : null,
        refused: role === null ? null : error,
        state: state.state,
        currentEpoch: state.currentEpoch,
        configEpoch: state.configEpoch,
        keys: state.keys,
        failBy: fail,
        pfailBy: suspect,
        claims: role === null ? [] : state.slots,
        open: state.open,
        disagrees: state.disagrees,
        unknown: state.unknown,
        meeting: state.meeting,
      };
    }),
    ranges: ranges.map(({ start, end, owner }) => ({
      start,
      end,
      owner,
      primary: addressOf(owner),
      replicas: replicasOf(owner).map(({ address }) => address),
    })),
    unowned,
    unserved,
    open,
    disagreements,
    unknown,
  };
}
