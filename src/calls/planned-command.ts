import { mayWriteKeys } from "../commands/cacheable.ts";
import type { Division } from "../commands/spread.ts";
import { traitsOf } from "../commands/traits.ts";
import { encodeCommand } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { ALL_KEYS } from "../routing/call-extras.ts";
import { tracedWait } from "../telemetry/operation-trace.ts";
import { naming } from "./call-factory.ts";
import { type Host, limitsOf } from "./host.ts";
import { loadEverywhere, runOnNodes } from "./node-commands.ts";
import { Operation, type OperationLimits } from "./operation.ts";
import { type Plan, planOfLearned } from "./plan.ts";
import { copied, learn } from "./unlisted-commands.ts";
import { limitsOfWait, waitForReplicas } from "./wait-for-replicas.ts";
import { whileWriting } from "./written-keys.ts";

/** A plan of several steps, or for several nodes. */
export type StepsPlan = Exclude<Plan, { readonly kind: "one" } | { readonly kind: "parts" }>;

/** The limits that a command has from the batch that it is a part of. */
export type PartOf = Pick<OperationLimits, "elapsedMs" | "isPart">;

/** Carries out a command of several steps as one operation. */
export async function carryOut(
  host: Host,
  plan: StepsPlan,
  name: string,
  given: readonly Argument[],
  part: PartOf = {},
): Promise<Reply> {
  // What a batch has accepted waits until there is room.
  const countOut = host.client.door.hold(bytesOf(name, given), part.isPart);
  try {
    return await whileWriting(host.client.cache, writtenIn(host, plan, name, given), -1, () =>
      inSteps(host, plan, name, given, part),
    );
  } catch (error) {
    throw naming(error, name, true);
  } finally {
    countOut();
  }
}

/** A command for many nodes, or one that nobody knows yet, may write any key: from now on, and not when it is sent. */
function writtenIn(
  { client }: Host,
  plan: StepsPlan,
  name: string,
  given: readonly Argument[],
): typeof ALL_KEYS | undefined {
  if (client.cache === undefined) return undefined;
  if (plan.kind === "to-learn") return ALL_KEYS;
  if (plan.kind !== "nodes") return undefined;
  return mayWriteKeys(name, traitsOf(name, given, client.commands)) ? ALL_KEYS : undefined;
}

/** About as many bytes as the command has in a frame. */
function bytesOf(name: string, args: readonly Argument[]): number {
  return args.reduce<number>(
    (sum, arg) => sum + (typeof arg === "object" ? arg.length : String(arg).length),
    name.length,
  );
}

function inSteps(host: Host, plan: StepsPlan, name: string, given: readonly Argument[], part: PartOf): Promise<Reply> {
  const { client, view } = host;
  if (plan.kind === "wait-for-replicas") {
    return tracedWait(client.telemetry.client, async (context) => {
      const limits = { ...limitsOfWait(view, given), ...part, context };
      return Operation.run(client, limits, (operation) => waitForReplicas(operation, host, given));
    });
  }
  return Operation.run(client, { ...limitsOf(view), ...part }, (operation) => {
    switch (plan.kind) {
      case "nodes":
        return runOnNodes(operation, host, plan.spread, name, given);
      case "load-script":
        return loadEverywhere(operation, host, plan.script);
      case "to-learn":
        return runLearned(operation, host, name, given);
    }
  });
}

/** Asks a server where the keys of the command are, then sends the command. */
async function runLearned(operation: Operation, host: Host, name: string, given: readonly Argument[]): Promise<Reply> {
  const { client, factory, view } = host;
  const args = copied(given);
  // Refuses a value that cannot be sent, before a server is asked about the command.
  encodeCommand([name, ...args]);
  const keys = await learn(operation, client, name, args);
  const plan = planOfLearned(name.toLowerCase(), args, client.commands);
  if (plan.kind === "nodes") return runOnNodes(operation, host, plan.spread, name, args);
  return new Promise((resolve, reject) => {
    operation.send(factory.command(name, args, view.timeoutMs, resolve, reject, keys));
  });
}

/**
 * Sends a command in parts. Every part is checked before one is sent.
 * @param ask  Asks for the reply to one part. Default: sends it.
 */
export async function sendParts(
  { client, factory, view }: Host,
  name: string,
  { parts, join }: Division,
  signal: AbortSignal | undefined,
  ask?: (part: readonly Argument[]) => Promise<Reply>,
): Promise<Reply> {
  if (ask !== undefined) return join(await Promise.allSettled(parts.map(ask)));
  const sent = parts.map((args) => {
    let resolve!: (reply: Reply) => void;
    const reply = new Promise<Reply>((settle) => {
      resolve = settle;
    });
    return { reply, call: factory.command(name, args, view.timeoutMs, resolve as never, undefined) };
  });
  for (const { call } of sent) client.door.send(call, signal);
  return join(await Promise.allSettled(sent.map(({ reply }) => reply)));
}
