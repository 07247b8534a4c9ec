import { InvalidArgumentError } from "../errors.ts";
import type { ConnectOptions } from "../options.ts";
import { hashTagOf, slotOf } from "../protocol/hash-slot.ts";
import { JSON_OPTION, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { drawSlots } from "./draw-slot.ts";
import { jsonOf, textOf } from "./printable.ts";
import { isHalfKnown, isReplica } from "./study/condition.ts";
import type { NodeNames } from "./study/node-names.ts";
import { type Survey, surveyOf } from "./study/survey.ts";
import type { Terminal } from "./terminal.ts";

const OPTIONS = { ...JSON_OPTION, ...CONNECTION } as const;

/** A key, its slot, and its hash tag if it has one. */
export interface Keyed {
  readonly key: string;
  readonly slot: number;
  readonly tag: string | null;
}

/** A key with what the servers say of its slot. */
export type Owned = Keyed & ReturnType<typeof ownershipOf>;

/** `slotwire slot`: shows the slot of each key, and who owns it if a cluster is named. */
export const slot: Command = {
  usage: "KEY... [--json] [-h HOST] [-p PORT] [-u URI] ...",
  summary: "the hash slot of each key, the key's hash tag if it has one, and with -p, -h or -u who owns the slot",
  options: OPTIONS,
  notes: [
    "Without an option for the connection nothing is asked. With one, every node is asked for its own view, and the status is",
    "1 if the slot of a key is not served, or if nodes disagree about it.",
  ].join("\n"),
  run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    if (words.length === 0) throw new InvalidArgumentError("slot needs at least one KEY.");
    const { json = false, ...connection } = values;
    if (Object.keys(connection).length === 0) return shown(words.map(keyed), json, terminal);
    return asked(connectionOf(values, process.env, terminal), words, json, terminal);
  },
};

async function asked(options: ConnectOptions, keys: readonly string[], json: boolean, terminal: Terminal) {
  const { text, trouble } = await ownersOf(options, keys, json, terminal);
  if (trouble === null) return text;
  terminal.write(text);
  throw new Error(trouble);
}

/**
 * The keys with the owners of their slots, as text or JSON.
 * @param names  Names that nodes have already.
 */
export async function ownersOf(
  options: ConnectOptions,
  keys: readonly string[],
  json: boolean,
  terminal: Terminal,
  names?: NodeNames,
): Promise<{ readonly text: string; readonly trouble: string | null }> {
  const survey = await surveyOf(options, names);
  const found = keys.map((key) => ({ ...keyed(key), ...ownershipOf(slotOf(key), survey) }));
  const [first] = found.flatMap(({ slot: number, problem }) =>
    problem === null ? [] : [`slot ${number} ${problem}.`],
  );
  return { text: shown(found, json, terminal), trouble: first ?? null };
}

function keyed(key: string): Keyed {
  return { key, slot: slotOf(key), tag: hashTagOf(key) ?? null };
}

function shown(found: readonly (Keyed | Owned)[], json: boolean, { width, paint }: Terminal): string {
  if (json) return `${jsonOf(found)}\n`;
  return textOf(drawSlots(found, width, paint), paint);
}

/** What the servers say of a slot. Nodes have their name and their announced address. */
export function ownershipOf(number: number, { states, condition }: Survey) {
  const has = ({ start, end }: { readonly start: number; readonly end: number }) => start <= number && number <= end;
  const owner = condition.ranges.find(has)?.owner ?? null;
  const nodeNamed = (name: string) => ({
    name,
    address: states.find((state) => state.name === name)?.address ?? null,
  });
  const open = condition.open.find((each) => each.slot === number);
  const unserved = condition.unserved.find(has);
  const disagreement = condition.disagreements.find(has);
  const isTorn = disagreement !== undefined || (open !== undefined && isHalfKnown(open));
  const problem = unserved !== undefined ? "is not served" : isTorn ? "is one that the nodes disagree about" : null;
  return {
    owner: owner === null ? null : nodeNamed(owner),
    replicas: states.filter((state) => isReplica(state) && state.primary === owner).map(({ name }) => nodeNamed(name)),
    open: open === undefined ? null : { ...open, ends: open.ends.map((end) => ({ ...end, ...nodeNamed(end.node) })) },
    unserved: unserved?.why ?? null,
    disagreement: disagreement?.says ?? null,
    problem,
  };
}
