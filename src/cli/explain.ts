import { InvalidArgumentError } from "../errors.ts";
import { defineScript } from "../scripts/script.ts";
import { JSON_OPTION, keysAndArguments, type Options, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { drawExplanation } from "./draw-explanation.ts";
import { type Asked, askedCommand, type Belief, explainCall, spreadOfCall } from "./explanation.ts";
import { inSession, type Session } from "./session.ts";
import type { Terminal } from "./terminal.ts";

const CALL = {
  eval: { type: "string", value: "FILE", says: "the Lua file to run" },
  from: {
    type: "string",
    value: "HOST:PORT",
    says: "take this node for the slot's owner, as one with an old slot map",
  },
  preloaded: { type: "boolean", says: "take the script for known everywhere, as one that loaded it before" },
  ...JSON_OPTION,
} as const satisfies Options;
const OPTIONS = { ...CONNECTION, ...CALL } as const;

/** `slotwire explain`: one call with all that happens to it. */
export const explain: Command = {
  usage: "--eval FILE KEY... , ARG... | COMMAND ARG...",
  summary: "one call, which is really made: its slot, who owns that and knows the script, and every hop with its time",
  options: OPTIONS,
  notes: [
    "Before the call the nodes are asked by SCRIPT EXISTS, which loads nothing. Then the call is made by a client that meets",
    "the script for the first time: it loads it in the same write. With --preloaded it sends the SHA-1 alone, so that a node",
    "which does not know the script says NOSCRIPT; with --from a node that is not the owner says MOVED.",
  ].join("\n"),
  run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    const call = callOf(values, words);
    const options = { ...connectionOf(values, process.env), topologyRefreshInterval: 0 };
    return inSession(options, async (session) => {
      const { text, error } = await showCall(session, call, values.json === true, terminal);
      if (error === null) return text;
      terminal.write(text);
      throw new Error(error);
    });
  },
};

/** The same in a session that is open already: its client knows what it has learned. */
export async function explainIn(
  session: Session,
  args: readonly string[],
  json: boolean,
  terminal: Terminal,
): Promise<string> {
  const { values, words } = readArguments(CALL, args);
  return (await showCall(session, callOf(values, words), json, terminal)).text;
}

type Values = ReturnType<typeof readArguments<typeof CALL>>["values"];

/** What the command line says: read before anything is connected to. */
interface Call {
  /** Undefined for a plain command: a server has to be asked for its keys. */
  readonly asked: Asked | undefined;
  readonly words: readonly string[];
  readonly belief: Belief;
}

function callOf(values: Values, words: readonly string[]): Call {
  const belief = { from: values.from, preloaded: values.preloaded === true };
  if (values.eval !== undefined) {
    const script = defineScript({ file: values.eval });
    return { asked: { script, command: undefined, ...keysAndArguments(words) }, words, belief };
  }
  if (words.length === 0) {
    throw new InvalidArgumentError("explain takes --eval FILE KEY... , ARG..., or a COMMAND with its arguments.");
  }
  if (belief.preloaded)
    throw new InvalidArgumentError("--preloaded goes with --eval: a plain command needs no script.");
  return { asked: undefined, words, belief };
}

/** The explanation, and how the call failed if it did. */
async function showCall(
  session: Session,
  call: Call,
  json: boolean,
  terminal: Terminal,
): Promise<{ text: string; error: string | null }> {
  const asked = call.asked ?? (await askedCommand(session, call.words));
  const belief = { ...call.belief, from: beginningOf(session, asked, call.belief) };
  const explanation = await explainCall(session, asked, belief);
  const lines = json ? [asJson(explanation)] : drawExplanation(explanation, terminal.width, terminal.paint);
  return { text: `${lines.join("\n")}\n`, error: explanation.error };
}

/** The address that --from means: a port alone will do where it is of one node only. */
function beginningOf({ cluster }: Session, asked: Asked, { from }: Belief): string | undefined {
  if (from === undefined) return undefined;
  if (spreadOfCall(asked) !== null)
    throw new InvalidArgumentError("--from is for one slot: this call has no one owner.");
  if (asked.keys.length === 0) throw new InvalidArgumentError("--from needs a key: without one any primary is right.");
  const addresses = cluster.topology.nodes.map(({ address }) => address);
  const [found, ...more] = addresses.filter((address) => address === from || address.endsWith(`:${from}`));
  if (found !== undefined && more.length === 0) return found;
  throw new InvalidArgumentError(`--from is ${JSON.stringify(from)}; accepted are ${addresses.join(", ")}.`);
}

function asJson(value: unknown): string {
  return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each));
}
