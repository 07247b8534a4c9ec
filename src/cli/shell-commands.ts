import { InvalidArgumentError } from "../errors.ts";
import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { LocalCluster } from "../testing/start-cluster.ts";
import { numberOf } from "./arguments.ts";
import { explainIn } from "./explain.ts";
import { scriptsOf } from "./scripts.ts";
import type { Session } from "./session.ts";
import { slot } from "./slot.ts";
import type { Terminal } from "./terminal.ts";
import { showTopology } from "./topology.ts";

/** Everything that the shell's commands work with. */
export interface Place {
  readonly local: LocalCluster;
  /** The session of one client that lives as long as the cluster. */
  readonly session: Session;
  readonly json: boolean;
  readonly terminal: Terminal;
}

/** A command that the user can type while the cluster runs. */
export interface ShellCommand {
  readonly usage: string;
  readonly summary: string;
  /** Performs the command. Returns the text to print, or a statement of what was done. */
  run(place: Place, words: readonly string[]): Promise<string | Done>;
}

/** A statement of what was done. It is printed as text or as JSON. */
interface Done {
  readonly done: string;
}

/** The commands that the user can type while the cluster runs. */
export const COMMANDS: readonly ShellCommand[] = [
  {
    usage: "topology",
    summary: "draw who owns which slot",
    run: ({ local, json, terminal }) => showTopology(local.connectOptions, json, terminal),
  },
  {
    usage: "explain ...",
    summary: "as `slotwire explain`, with a client that lives as long as the cluster and remembers",
    run: ({ session, json, terminal }, words) => explainIn(session, words, json, terminal),
  },
  {
    usage: "scripts ...",
    summary: "as `slotwire scripts`",
    run: ({ local, json, terminal }, words) => scriptsOf(local.connectOptions, words, json, terminal),
  },
  {
    usage: "slot KEY...",
    summary: "as `slotwire slot`",
    run: async ({ json, terminal }, words) => slot.run([...(json ? ["--json"] : []), ...words], terminal),
  },
  {
    usage: "move SLOT NODE",
    summary: "move a slot to a primary, key by key",
    async run({ local }, [slot, node]) {
      const slots = [slotNumber(slot)];
      const to = nodeOf(local, node);
      await local.moveSlots({ slots, to });
      return { done: `slot ${slot} is ${to}'s` };
    },
  },
  {
    usage: "migrate SLOT NODE",
    summary: "begin to move a slot and stop half-way: missing keys are answered by ASK; `move` ends it",
    async run({ local }, [slot, node]) {
      const { from, to } = await beginMove(local, slotNumber(slot), nodeOf(local, node));
      return { done: `slot ${slot} is on its way from ${from} to ${to}` };
    },
  },
  {
    usage: "flush",
    summary: "SCRIPT FLUSH on every node",
    async run({ local }) {
      await local.flushScripts();
      return { done: "no node knows any script" };
    },
  },
  {
    usage: "failover NODE",
    summary: "promote a replica",
    async run({ local }, [node]) {
      const replica = nodeOf(local, node);
      await local.failover(replica);
      return { done: `${replica} is a primary` };
    },
  },
  {
    usage: "add",
    summary: "start one more node without slots, which joins the cluster",
    run: async ({ local }) => ({ done: `${await local.addNode()} has joined` }),
  },
  {
    usage: "kill NODE",
    summary: "end a node with SIGKILL",
    async run({ local }, [node]) {
      const address = nodeOf(local, node);
      await local.kill(address);
      return { done: `${address} is gone` };
    },
  },
  {
    usage: "pause NODE",
    summary: "freeze a node with SIGSTOP",
    async run({ local }, [node]) {
      const address = nodeOf(local, node);
      local.pause(address);
      return { done: `${address} is frozen` };
    },
  },
  {
    usage: "resume NODE",
    summary: "let a frozen node run again",
    async run({ local }, [node]) {
      const address = nodeOf(local, node);
      local.resume(address);
      return { done: `${address} runs` };
    },
  },
  { usage: "help", summary: "this list", run: async () => `${helpLines().join("\n")}\n` },
  { usage: "quit", summary: "end the cluster", run: async () => "" },
];

/** The command's name: the first word of its usage. */
export const nameOf = ({ usage }: ShellCommand) => usage.split(" ", 1)[0] as string;

function helpLines(): string[] {
  return [
    ...COMMANDS.map(({ usage, summary }) => `  ${usage.padEnd(20)}${summary}`),
    "  A NODE is its port, or host:port. Quotes hold words together.",
  ];
}

function slotNumber(text: string | undefined): number {
  if (text === undefined) throw new InvalidArgumentError("a SLOT and a NODE are needed, as in: move 12182 7001");
  return numberOf("SLOT", text, { least: 0, most: SLOT_COUNT - 1, fallback: 0 });
}

function nodeOf({ nodes }: LocalCluster, text: string | undefined): string {
  const found = nodes.find((address) => address === text || address.endsWith(`:${text}`));
  if (found !== undefined) return found;
  const what = text === undefined ? "a NODE is needed" : `there is no node ${JSON.stringify(text)}`;
  throw new InvalidArgumentError(`${what}; accepted are ${nodes.join(", ")}, and their ports alone.`);
}

/** Marks the slot as migrating and importing, which is the first half of what resharding tools do. */
async function beginMove(local: LocalCluster, slot: number, to: string): Promise<{ from: string; to: string }> {
  const ranges = (await local.command(to, "CLUSTER", "SLOTS")) as [number, number, [string, number]][];
  const owner = ranges.find(([start, end]) => start <= slot && slot <= end)?.[2];
  if (owner === undefined) throw new Error(`nobody owns slot ${slot}`);
  const from = `${owner[0]}:${owner[1]}`;
  const [fromId, toId] = await Promise.all([from, to].map((node) => local.command(node, "CLUSTER", "MYID")));
  await local.command(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromId as string);
  await local.command(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", toId as string);
  return { from, to };
}
