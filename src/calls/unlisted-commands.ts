import type { Client } from "../client/client.ts";
import { isListed } from "../commands/keys.ts";
import { parseCommands, specifiedKeys } from "../commands/server-commands.ts";
import { traitsOf } from "../commands/traits.ts";
import { AbortedError, DeadlineError } from "../errors.ts";
import { encodeCommand } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { CallFactory, type ViewSettings } from "./call-factory.ts";
import { runOnNodes } from "./node-commands.ts";

/** How long one node may take to describe its commands, before another one is asked. */
const ANSWER_MS = 1000;
const MOST_ASKED = 3;
/** For a command that the servers did not have either, they are asked again; sooner when nobody answered. */
const ASK_AGAIN_MS = 60_000;
const ASK_AGAIN_UNANSWERED_MS = 5000;

/** Whether nothing is known yet of where the keys of a command are, and a server could say. */
export function isUnlearned({ commands, environment }: Client, name: string, args: readonly Argument[]): boolean {
  const lower = String(name).toLowerCase();
  if (isListed(lower)) return false;
  const command = commands.get(lower, args);
  if (command === undefined) return environment.clock.now() >= commands.nextAt;
  return specifiedKeys(command, args) === undefined;
}

/** What is sent later must not change meanwhile. */
export function copied(args: readonly Argument[]): Argument[] {
  return args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg));
}

/**
 * Sends a command that the table does not list: where its keys are, and whether it is for many nodes, a server has said,
 * or is asked. Keys that only the server can find it is asked for each time.
 */
export async function sendUnlisted(
  client: Client,
  factory: CallFactory,
  view: ViewSettings,
  name: string,
  given: readonly Argument[],
): Promise<Reply> {
  traitsOf(name, given, client.commands);
  encodeCommand([name, ...given]);
  if (!isUnlearned(client, name, given)) return dispatch(client, factory, view, name, given);
  const args = copied(given);
  const { clock } = client.environment;
  const startedAt = clock.now();
  // Closing waits for it.
  const untrack = client.track(() => {});
  try {
    const keys = await within(client, view, learn(client, name, args));
    const leftMs = view.timeoutMs && Math.max(1, view.timeoutMs - Math.round(clock.now() - startedAt));
    return await dispatch(client, factory, { ...view, timeoutMs: leftMs }, name, args, keys);
  } finally {
    untrack();
  }
}

function dispatch(
  client: Client,
  factory: CallFactory,
  view: ViewSettings,
  name: string,
  args: readonly Argument[],
  keys?: readonly Argument[],
): Promise<Reply> {
  const { signal, timeoutMs } = view;
  if (signal?.aborted) throw new AbortedError("not-executed", signal.reason);
  const spread = client.commands.get(name.toLowerCase(), args)?.spread;
  if (spread) return runOnNodes(client, factory, view, spread, name, args);
  return new Promise((resolve, reject) => {
    const call = factory.command(name, args, timeoutMs, resolve, reject, keys);
    if (signal !== undefined) client.signals.listen(signal, call);
    client.dispatcher.send(call);
  });
}

/**
 * Resolves when a server has said what it knows of the command, or nobody answers; to the keys, where a server had to be
 * asked for them.
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

/** Undefined where the server cannot tell: what is wrong with the arguments it will say when it gets the command. */
async function askForKeys(
  client: Client,
  name: string,
  args: readonly Argument[],
): Promise<readonly Argument[] | undefined> {
  const reply = await askAnyNode(client, ["COMMAND", "GETKEYS", name, ...args], "buffer");
  return Array.isArray(reply) ? reply.filter((key) => Buffer.isBuffer(key)) : undefined;
}

/** Undefined when nobody answers, or the answer is an error. */
async function askAnyNode(
  client: Client,
  [name = "", ...args]: readonly [string, ...Argument[]],
  replies: "string" | "buffer",
): Promise<Reply | undefined> {
  const ready = client.nodes.filter(({ pool }) => pool.ready);
  const turn = Math.floor(client.environment.random() * ready.length);
  const factory = new CallFactory(client, {
    timeoutMs: ANSWER_MS,
    hasOwnTimeout: true,
    signal: undefined,
    replies,
    readFrom: "primary",
  });
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
    client.sendAll([factory.commandFor(node, name, args, ANSWER_MS, resolve, reject)], undefined);
  });
}

/** What a caller waits for, no longer than his call may take. */
function within<T>(client: Client, { timeoutMs, signal }: ViewSettings, what: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const { clock } = client.environment;
    const timer =
      timeoutMs > 0
        ? clock.setTimer(() => finish(() => reject(new DeadlineError(timeoutMs, "not-executed"))), timeoutMs)
        : undefined;
    const onAbort = () => finish(() => reject(new AbortedError("not-executed", signal?.reason)));
    const finish = (settle: () => void) => {
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    signal?.addEventListener("abort", onAbort);
    what.then(
      (value) => finish(() => resolve(value)),
      (error: unknown) => finish(() => reject(error)),
    );
  });
}
