import {
  DeadlineError,
  InvalidArgumentError,
  type SlotwireError,
  UnavailableError,
  withParticulars,
} from "../errors.ts";
import { wholeNumber } from "../options.ts";
import { binaryOf, kindOf } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { type MessageListener, type SubscribeOptions, Subscription } from "../subscriptions/subscription.ts";
import { COMMANDS, type TopicKind } from "../subscriptions/topic.ts";
import { naming } from "./call-factory.ts";
import { type Host, limitsOf } from "./host.ts";
import { Operation } from "./operation.ts";
import { checkOptions, checkSignal } from "./view.ts";

/** What `subscribe` and its like are called with. */
export type SubscribeArguments<M extends string | Buffer> = [
  names: Argument | readonly Argument[],
  listener?: MessageListener<M> | undefined,
  options?: SubscribeOptions | undefined,
];

/** The words that errors use, by kind. */
const WORDS: Readonly<Record<TopicKind, { readonly method: string; readonly name: string }>> = {
  channel: { method: "subscribe", name: "channel" },
  pattern: { method: "psubscribe", name: "pattern" },
  shard: { method: "ssubscribe", name: "channel" },
  keyspace: { method: "keyspaceEvents", name: "pattern" },
};
/** A node that does not answer the question for its setting is subscribed to all the same, after this time. */
const SETTING_MS = 1000;

/** Subscribes. Resolves when the servers have confirmed every name. */
export async function subscribe<S extends string | Buffer>(
  host: Host,
  kind: TopicKind,
  [names, listener, options = {}]: SubscribeArguments<S>,
): Promise<Subscription<S>> {
  const { client, view } = host;
  const { method } = WORDS[kind];
  checkOptions(method, options, ["signal", "onGap", "maxQueued", "maxQueuedBytes"]);
  checkFunction(`${method}: the listener`, listener);
  checkFunction(`${method}: onGap`, options.onGap);
  checkSignal(options.signal);
  const binaries = namesOf(kind, names, client.options.database);
  const most = Number.MAX_SAFE_INTEGER;
  const subscription = new Subscription<S>({
    wantsBuffers: view.replies === "buffer",
    listener: listener as never,
    onGap: options.onGap,
    maxQueued: wholeNumber("maxQueued", options.maxQueued, { fallback: 10_000, least: 1, most }),
    maxQueuedBytes: wholeNumber("maxQueuedBytes", options.maxQueuedBytes, { fallback: 16 * 2 ** 20, least: 1, most }),
    clock: client.environment.clock,
    epochMs: client.epochMs,
    onListenerError: (error, event) => client.emitter.tellThrown(event, error),
    onOverflow: (topic, gap) => client.openSubscriptions().noteOverflow(topic, gap),
    remove: (hearer, topics) => client.openSubscriptions().remove(hearer, topics),
  });
  const signal = options.signal ?? view.signal;
  const particulars = { command: COMMANDS[kind].ask };
  try {
    await Operation.run(client, { ...limitsOf(view), signal, particulars }, async (operation) => {
      if (kind === "keyspace") await checkSetting(operation, host, binaries);
      if (operation.error !== undefined) throw operation.error;
      subscription.onRefused = (error) => {
        operation.lastRefusal = error;
      };
      const topics = client.openSubscriptions().add(subscription, kind, binaries);
      const stopListening = signal === undefined ? () => {} : client.signals.listen(signal, subscription);
      await subscription.begin(topics, stopListening);
    });
    return subscription;
  } catch (caught) {
    const error = reasonOf(caught);
    subscription.fail(error as SlotwireError);
    throw naming(error, COMMANDS[kind].ask);
  }
}

/** Why the time was not enough: as for calls, if a node could not be reached, the error names it. */
function reasonOf(error: unknown): unknown {
  if (!(error instanceof DeadlineError && error.cause instanceof UnavailableError)) return error;
  const { address, causes, command, slot } = error.cause;
  const what = `${address} could not be reached within ${error.timeoutMs} ms`;
  return withParticulars(new UnavailableError(what, causes), { command, address, slot });
}

/** @throws {InvalidArgumentError} No name, or a value that cannot be sent. */
function namesOf(kind: TopicKind, given: Argument | readonly Argument[], database: number): readonly string[] {
  const { method, name } = WORDS[kind];
  const names: readonly Argument[] = Array.isArray(given) ? given : [given as Argument];
  if (names.length === 0) throw new InvalidArgumentError(`${method}: there is no ${name}; accepted is one or more.`);
  const binaries = names.map((each, index) => {
    try {
      return binaryOf(each, name, index);
    } catch (error) {
      throw error instanceof InvalidArgumentError ? new InvalidArgumentError(`${method}: ${error.message}`) : error;
    }
  });
  if (kind !== "keyspace") return binaries;
  return binaries.map((each) => (/^__key(space|event)@/.test(each) ? each : `__keyspace@${database}__:${each}`));
}

/**
 * Asks the primaries whether they send keyspace events. A node that does not say is taken to send them.
 * @throws {InvalidArgumentError} A node sends none for one of the patterns.
 */
async function checkSetting(
  operation: Operation,
  { client, factory, view }: Host,
  patterns: readonly string[],
): Promise<void> {
  if (client.options.mode === "single") return;
  const primaries = client.nodes.filter(({ info, pool }) => info.role === "primary" && pool.ready);
  const settings = primaries.map(async (node): Promise<void> => {
    const reply = await new Promise<Reply>((resolve, reject) => {
      const args = ["GET", SETTING];
      operation.ask(factory.commandFor(node, "CONFIG", args, view.timeoutMs, resolve as never, reject));
    }).catch(() => null);
    if (!Array.isArray(reply) || reply.length !== 2) return;
    const why = silenceOf(String(reply[1]), patterns);
    if (why === undefined) return;
    throw new InvalidArgumentError(
      `keyspaceEvents: ${node.address} sends none, because its setting ${SETTING} ${why}; set it on every node, for example CONFIG SET ${SETTING} KA.`,
    );
  });
  let stop = () => {};
  const enough = new Promise<void>((resolve) => {
    const timer = client.environment.clock.setTimer(resolve, SETTING_MS);
    stop = () => timer.cancel();
  });
  await operation.wait(Promise.race([Promise.all(settings), enough])).finally(() => stop());
}

/** Why a node with this setting sends nothing for one of the patterns; undefined if it may send something for each. */
function silenceOf(setting: string, patterns: readonly string[]): string | undefined {
  if (setting === "") return "is empty";
  for (const pattern of patterns) {
    const [prefix, letter] = pattern.startsWith("__keyevent@") ? ["__keyevent@", "E"] : ["__keyspace@", "K"];
    if (!setting.includes(letter)) return `is "${setting}", without ${letter} for ${prefix}`;
  }
  return undefined;
}

const SETTING = "notify-keyspace-events";

/** @throws {InvalidArgumentError} The value is neither a function nor undefined. */
function checkFunction(what: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  throw new InvalidArgumentError(`${what} is ${kindOf(value)}; accepted is a function, or undefined.`);
}
