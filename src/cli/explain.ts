import { InvalidArgumentError } from "../errors.ts";
import { defineScript } from "../scripts/script.ts";
import { JSON_OPTION, keysAndArguments, type Options, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { drawExplanation } from "./draw-explanation.ts";
import { type Asked, askedCommand, type Belief, explainCall, spreadOfCall } from "./explanation.ts";
import { jsonOf, textOf } from "./printable.ts";
import { inSession, type Session } from "./session.ts";
import type { Terminal } from "./terminal.ts";

const CALL = {
  eval: { type: "string", value: "FILE", says: "the Lua file to run" },
  from: {
    type: "string",
    value: "HOST:PORT",
    says: "begin at this node, as a client with an outdated slot map does",
  },
  preloaded: { type: "boolean", says: "send the SHA-1 alone, as a client does that has loaded the script before" },
  ...JSON_OPTION,
} as const satisfies Options;
const OPTIONS = { ...CONNECTION, ...CALL } as const;

/** `slotwire explain`: makes one call and shows everything that happens to it. */
export const explain: Command = {
  usage: "--eval FILE KEY... , ARG... | COMMAND ARG...",
  summary:
    "one call, which is really made: its slot, its owner, the nodes that know the script, and every hop with its time",
  options: OPTIONS,
  notes: [
    "Before the call, SCRIPT EXISTS asks the nodes whether they know the script; it loads nothing. The client then calls the",
    "script for the first time, so it loads the script in the same write. With --preloaded the client sends only the SHA-1,",
    "so a node without the script answers NOSCRIPT. With --from it begins at another node, which answers MOVED.",
  ].join("\n"),
  run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    const call = callOf(values, words);
    const options = { ...connectionOf(values, process.env, terminal), topologyRefreshInterval: 0 };
    return inSession(options, async (session) => {
      const { text, error } = await showCall(session, call, values.json === true, terminal);
      if (error === null) return text;
      terminal.write(text);
      throw new Error(error);
    });
  },
};

/** Performs `explain` in an open session, whose client remembers what it has learned from earlier calls. */
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

/** The call that the command line asks for. It is read before the client connects. */
interface Call {
  /** Undefined for a plain command, because a server has to be asked for the command's keys. */
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
    throw new InvalidArgumentError("explain needs --eval FILE KEY... , ARG..., or a COMMAND with its arguments.");
  }
  if (belief.preloaded) throw new InvalidArgumentError("--preloaded needs --eval: a plain command has no script.");
  return { asked: undefined, words, belief };
}

/** The explanation, and the call's error, or null if it succeeded. */
async function showCall(
  session: Session,
  call: Call,
  json: boolean,
  terminal: Terminal,
): Promise<{ text: string; error: string | null }> {
  const asked = call.asked ?? (await askedCommand(session, call.words));
  const belief = { ...call.belief, from: beginningOf(session, asked, call.belief) };
  const explanation = await explainCall(session, asked, belief);
  const lines = json ? [jsonOf(explanation)] : drawExplanation(explanation, terminal.width, terminal.paint);
  return { text: textOf(lines, terminal.paint), error: explanation.error };
}

/** The address that --from names. A port alone is enough if only one node has it. */
function beginningOf({ cluster }: Session, asked: Asked, { from }: Belief): string | undefined {
  if (from === undefined) return undefined;
  if (spreadOfCall(asked) !== null)
    throw new InvalidArgumentError("--from needs a call for one slot: this call goes to several nodes.");
  if (asked.keys.length === 0)
    throw new InvalidArgumentError("--from needs a call with a key: any primary can serve a call without one.");
  const addresses = cluster.topology.nodes.map(({ address }) => address);
  const [found, ...more] = addresses.filter((address) => address === from || address.endsWith(`:${from}`));
  if (found !== undefined && more.length === 0) return found;
  throw new InvalidArgumentError(`--from is ${JSON.stringify(from)}; accepted are ${addresses.join(", ")}.`);
}
