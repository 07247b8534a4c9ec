import type { Client } from "../client/client.ts";
import { parseCommands, specifiedKeys } from "../commands/server-commands.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { CallFactory } from "./call-factory.ts";

/** Milliseconds that one node may take to answer, before another node is asked. */
const ANSWER_MS = 1000;
/** So many nodes are asked at most, one after the other. */
const MOST_ASKED = 3;
/**
 * After this time, the servers are asked again for a command that they did not have. Sooner, when no server answered.
 */
const ASK_AGAIN_MS = 60_000;
const ASK_AGAIN_UNANSWERED_MS = 5000;

/** A copy of arguments that are sent later, so that the caller may change the originals. */
export function copied(args: readonly Argument[]): Argument[] {
  return args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg));
}

/**
 * Asks a server for its commands, once for all callers. If only a server can find the keys of the command, asks for
 * these keys too, and resolves to them. Resolves to undefined if the description of the command suffices, or if no
 * server answers.
 */
export async function learn(
  client: Client,
  name: string,
  args: readonly Argument[],
): Promise<readonly Argument[] | undefined> {
  const { commands } = client;
  const lower = name.toLowerCase();
  if (commands.get(lower, args) === undefined) {
    commands.asking ??= askForCommands(client).finally(() => {
      commands.asking = undefined;
    });
    await commands.asking;
  }
  const command = commands.get(lower, args);
  return command && specifiedKeys(command, args) === undefined ? askForKeys(client, name, args) : undefined;
}

async function askForCommands(client: Client): Promise<void> {
  const reply = await askAnyNode(client, ["COMMAND"], "string");
  const { commands } = client;
  const known = parseCommands(reply ?? null);
  if (known.size > 0) commands.known = known;
  const rest = known.size > 0 ? ASK_AGAIN_MS : ASK_AGAIN_UNANSWERED_MS;
  commands.nextAt = client.environment.clock.now() + rest;
}

/** Undefined where no server can tell the keys. The server that gets the command then says what is wrong with it. */
async function askForKeys(
  client: Client,
  name: string,
  args: readonly Argument[],
): Promise<readonly Argument[] | undefined> {
  const reply = await askAnyNode(client, ["COMMAND", "GETKEYS", name, ...args], "buffer");
  return Array.isArray(reply) ? reply.filter((key) => Buffer.isBuffer(key)) : undefined;
}

/** Undefined when no node answers, or all answers are errors. */
async function askAnyNode(
  client: Client,
  [name = "", ...args]: readonly [string, ...Argument[]],
  replies: "string" | "buffer",
): Promise<Reply | undefined> {
  const ready = client.nodes.filter(({ pool }) => pool.ready);
  const turn = Math.floor(client.environment.random() * ready.length);
  const view = { timeoutMs: ANSWER_MS, hasOwnTimeout: true, signal: undefined, replies, readFrom: "primary" } as const;
  const factory = new CallFactory(client, view);
  for (const node of [...ready.slice(turn), ...ready.slice(0, turn)].slice(0, MOST_ASKED)) {
    const reply = await askNode(client, factory, node, name, args).catch(() => undefined);
    if (reply !== undefined) return reply;
  }
  return undefined;
}

function askNode(
  client: Client,
  factory: CallFactory,
  node: ClusterNode,
  name: string,
  args: readonly Argument[],
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    client.door.sendTogether([factory.commandFor(node, name, args, ANSWER_MS, resolve, reject)], undefined);
  });
}
