import { statSync } from "node:fs";
import { InvalidArgumentError } from "../errors.ts";
import type { ConnectOptions } from "../options.ts";
import { loadScripts } from "../scripts/load-scripts.ts";
import { defineScript, type Script } from "../scripts/script.ts";
import type { TopologyNode } from "../topology/topology.ts";
import { JSON_OPTION, type Options, readArguments, refuseUrls } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { type Counts, drawCounts, drawMatrix, type Matrix } from "./draw-matrix.ts";
import { jsonOf, textOf } from "./printable.ts";
import { inSession, type Session } from "./session.ts";
import type { Terminal } from "./terminal.ts";

/** The options of `scripts` but for those of the connection. */
export const CHOICE = {
  eval: { type: "string", multiple: true, value: "FILE", says: "a Lua file to ask about" },
  recursive: { type: "boolean", says: "also read the sub-folders of a FOLDER" },
  load: { type: "boolean", says: "load the scripts on every node first" },
  ...JSON_OPTION,
} as const satisfies Options;
const OPTIONS = { ...CONNECTION, ...CHOICE } as const;

/** The scripts that the command line names. */
interface Wanted {
  readonly handles: readonly Script[];
  /** The SHA-1s of scripts whose source is not given. */
  readonly shas: readonly string[];
}

/** `slotwire scripts`: which node knows which script. */
export const scripts: Command = {
  usage: "[--eval FILE] ... [FOLDER | FILE | SHA1] ... [--load] [--json]",
  summary: "which node knows which script, replicas included",
  options: OPTIONS,
  notes:
    "Each node is asked by SCRIPT EXISTS, which loads nothing. Only --load changes what a node has.\nWithout a script, the number of scripts on each node is shown, because servers do not list their scripts.\nReplicas are asked too, because scripts are not replicated: a replica without a script still lacks it after a promotion.",
  run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    const options = connectionOf(values, process.env, terminal);
    return showScripts(options, wantedOf(values, words), values, terminal);
  },
};

/**
 * Performs `scripts` on a given cluster.
 * @param nameOf  The name of the node with that address.
 */
export function scriptsOf(
  options: ConnectOptions,
  args: readonly string[],
  json: boolean,
  terminal: Terminal,
  nameOf?: (address: string) => string,
): Promise<string> {
  const { values, words } = readArguments(CHOICE, args);
  return showScripts(options, wantedOf(values, words), { ...values, json }, terminal, nameOf);
}

type Values = Partial<ReturnType<typeof readArguments<typeof CHOICE>>["values"]>;

function wantedOf({ eval: files = [], recursive = false, load }: Values, words: readonly string[]): Wanted {
  refuseUrls("scripts", [...files, ...words]);
  if (load && words.some(isSha)) {
    throw new InvalidArgumentError(
      "--load cannot load a SHA-1, because its source is not known; accepted are files and folders.",
    );
  }
  const shas = words.filter(isSha).map((sha) => sha.toLowerCase());
  const folders = words.filter((word) => !isSha(word));
  const handles = [
    ...files.map((file) => defineScript({ file })),
    ...folders.flatMap((place) => (isFile(place) ? [defineScript({ file: place })] : inFolder(place, recursive))),
  ];
  if (load && handles.length === 0) {
    throw new InvalidArgumentError("--load needs scripts to load; accepted are --eval FILE and a FOLDER of Lua files.");
  }
  return { handles, shas };
}

function inFolder(folder: string, recursive: boolean): Script[] {
  return Object.values(loadScripts(folder, { recursive }));
}

const isSha = (word: string) => /^[0-9a-f]{40}$/i.test(word);
const isFile = (place: string) => statSync(place, { throwIfNoEntry: false })?.isFile() === true;

function showScripts(
  options: ConnectOptions,
  wanted: Wanted,
  { load, json }: Values,
  terminal: Terminal,
  nameOf?: (address: string) => string,
): Promise<string> {
  return inSession(options, async (session) => {
    const withName = <N extends { readonly address: string }>(node: N) => {
      return nameOf === undefined ? node : { ...node, name: nameOf(node.address) };
    };
    if (wanted.handles.length + wanted.shas.length === 0) {
      const counts = (await countsOf(session)).map(withName);
      return json ? `${jsonOf({ nodes: counts })}\n` : textOf(drawCounts(counts, terminal.width), terminal.paint);
    }
    const failure = load ? await loadAll(session, wanted.handles) : undefined;
    const { scripts, nodes } = await matrixOf(session, wanted);
    const matrix = { scripts, nodes: nodes.map(withName) };
    const lines = json ? [jsonOf(matrix)] : drawMatrix(matrix, terminal.width, terminal.paint);
    const text = textOf(lines, terminal.paint);
    if (failure === undefined) return text;
    terminal.write(text);
    throw failure;
  });
}

async function loadAll({ cluster }: Session, handles: readonly Script[]): Promise<Error | undefined> {
  const report = await cluster.preload(...handles);
  const failed = report.flatMap(({ address, failed }) => failed.map((each) => ({ address, ...each })));
  const [first] = failed;
  if (first === undefined) return undefined;
  const more = failed.length === 1 ? "" : `, and ${failed.length - 1} more failed`;
  return new Error(`${first.name} was not loaded on ${first.address} (${first.cause.message})${more}.`);
}

async function matrixOf(session: Session, { handles, shas }: Wanted): Promise<Matrix> {
  const named = [...handles, ...shas.map((sha) => ({ name: sha, sha }))].map(({ name, sha }) => ({ name, sha }));
  const nodes = inOrder(session.cluster.topology.nodes);
  const known = await session.whoKnows(
    nodes,
    named.map(({ sha }) => sha),
  );
  return {
    scripts: named,
    nodes: nodes.map(({ address, role }) => {
      const knows = known.get(address) ?? [];
      return { address, role, knows: knows instanceof Error ? knows.message : knows };
    }),
  };
}

async function countsOf(session: Session): Promise<Counts> {
  const nodes = inOrder(session.cluster.topology.nodes);
  return Promise.all(
    nodes.map(async ({ address, role }) => {
      const scripts = await session.countScripts(address).catch((error: Error) => error.message);
      return { address, role, scripts };
    }),
  );
}

/** The nodes in the order of the primaries, each primary followed by its replicas. */
function inOrder(nodes: readonly TopologyNode[]): TopologyNode[] {
  const primaries = nodes.filter(({ role }) => role === "primary");
  const withReplicas = primaries.flatMap((primary) => [
    primary,
    ...nodes.filter((node) => node.primary === primary.address),
  ]);
  return [...withReplicas, ...nodes.filter((node) => !withReplicas.includes(node))];
}
