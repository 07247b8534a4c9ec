import { InvalidArgumentError } from "../errors.ts";
import { defineScript } from "../scripts/script.ts";
import { JSON_OPTION, keysAndArguments, type Options, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { drawExplanation } from "./draw-explanation.ts";
import { explanationPage } from "./explain-html.ts";
import { type Asked, askedCommand, type Belief, explainCall, spreadOfCall } from "./explained-call.ts";
import type { Explained } from "./explanation.ts";
import { jsonOf, textOf } from "./printable.ts";
import { inSession, Session } from "./session.ts";
import { placeOfRow, tableRows } from "./study/table-rows.ts";
import type { Terminal } from "./terminal.ts";
import { refuseUnwritable, writeText } from "./written-file.ts";

/** The options of `explain` but for those of the connection. */
export const CALL = {
  eval: { type: "string", value: "FILE", says: "the Lua file to run" },
  from: {
    type: "string",
    value: "HOST:PORT",
    says: "begin at this node, as a client with an outdated slot map does",
  },
  preloaded: { type: "boolean", says: "send the SHA-1 alone, as a client does that has loaded the script before" },
  why: { type: "boolean", says: "also what each decision was given, and where its rule stands in the sources" },
  bytes: {
    type: "boolean",
    says: "also what was written and answered; only this shows keys, arguments and replies as sent",
  },
  html: {
    type: "string",
    value: "FILE",
    says: "also write the call as a page for a browser; a file that exists is replaced",
  },
  ...JSON_OPTION,
} as const satisfies Options;
const OPTIONS = { ...CONNECTION, ...CALL } as const;

/** `slotwire explain`: makes one call and shows everything that happens to it. */
export const explain: Command = {
  usage: "--eval FILE KEY... , ARG... | COMMAND ARG...",
  summary:
    "one call, which is really made: its slot, its owner, the nodes that know the script, and every hop with its time and its reason",
  options: OPTIONS,
  notes: [
    "Before the call, all nodes are asked which slots they own and whether they know the script; nothing is loaded by that.",
    "The client then calls the script for the first time, so it loads the script in the same write. With --preloaded the",
    "client sends only the SHA-1, so a node without the script answers NOSCRIPT. With --from it begins at another node,",
    "which answers MOVED. Below each refusal stands the row of the decision table that decided, and what followed. Of many",
    "refusals the first three and the last are shown; --json has all of them. Passwords are never shown.",
  ].join("\n"),
  run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    const call = callOf(values, words);
    const options = { ...connectionOf(values, process.env, terminal), topologyRefreshInterval: 0 };
    return inSession(
      options,
      async (session) => {
        const { text, error } = await showCall(session, call, terminal);
        if (error === null) return text;
        terminal.write(text);
        throw new Error(error);
      },
      Session.openTapped,
    );
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
  const call = callOf(values, words);
  return (await showCall(session, { ...call, isJson: call.isJson || json }, terminal)).text;
}

type Values = ReturnType<typeof readArguments<typeof CALL>>["values"];

/** The call that the command line asks for. It is read before the client connects. */
interface Call {
  /** Undefined for a plain command, because a server has to be asked for the command's keys. */
  readonly asked: Asked | undefined;
  readonly words: readonly string[];
  readonly belief: Belief;
  readonly isJson: boolean;
  readonly why: boolean;
  readonly bytes: boolean;
  readonly html: string | undefined;
}

function callOf(values: Values, words: readonly string[]): Call {
  const belief = { from: values.from, preloaded: values.preloaded === true };
  const { html, json: isJson = false, why = false, bytes = false } = values;
  const call = { words, belief, isJson, why, bytes, html };
  if (values.eval === undefined && words.length === 0) {
    throw new InvalidArgumentError("explain needs --eval FILE KEY... , ARG..., or a COMMAND with its arguments.");
  }
  if (values.eval === undefined && belief.preloaded) {
    throw new InvalidArgumentError("--preloaded needs --eval: a plain command has no script.");
  }
  // A call that is made cannot be made undone, so the page's place is looked at before it.
  if (html !== undefined) refuseUnwritable("--html", html);
  if (values.eval === undefined) return { asked: undefined, ...call };
  const script = defineScript({ file: values.eval });
  return { asked: { script, command: undefined, ...keysAndArguments(words) }, ...call };
}

/** The explanation, and the call's error, or null if it succeeded. */
async function showCall(
  session: Session,
  call: Call,
  terminal: Terminal,
): Promise<{ text: string; error: string | null }> {
  const { isJson, why, bytes, html } = call;
  const asked = call.asked ?? (await askedCommand(session, call.words));
  const belief = { ...call.belief, from: beginningOf(session, asked, call.belief) };
  const shownBytes = bytes ? "all" : html === undefined ? "none" : "redacted";
  const explained = await explainCall(session, asked, belief, shownBytes);
  const rows = tableRows();
  const { paint, width } = terminal;
  const lines = isJson
    ? [jsonOf(withoutStory(explained, bytes))]
    : drawExplanation(explained, width, paint, { why, bytes, rows, placeOf: placeOfRow });
  const text = textOf(lines, paint);
  if (html === undefined) return { text, error: explained.error };
  try {
    writeText("--html", html, explanationPage(explained, { rows, placeOf: placeOfRow, hasArguments: bytes }));
  } catch (error) {
    // The call was made all the same.
    terminal.write(text);
    throw error;
  }
  return { text, error: explained.error };
}

/** The story is told by the explanation's own fields. */
function withoutStory({ story: _, ...explanation }: Explained, bytes: boolean) {
  if (bytes) return explanation;
  return { ...explanation, hops: explanation.hops.map((hop) => ({ ...hop, sent: [], received: [] })) };
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
