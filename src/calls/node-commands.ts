import { ENDS_SCRIPTS } from "../commands/blocking.ts";
import { textOf } from "../commands/keys.ts";
import { joinResults, type Spread } from "../commands/spread.ts";
import type { NodePool } from "../connection/node-pool.ts";
import type { Clock } from "../environment.ts";
import { ReplyError, UnavailableError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { ScriptSource } from "../scripts/script-registry.ts";
import type { Host } from "./host.ts";
import type { Operation } from "./operation.ts";

/** Sends a command to every node that it is for, and joins the replies. */
export async function runOnNodes(
  operation: Operation,
  { client, factory, view }: Host,
  spread: Spread,
  name: string,
  args: readonly Argument[],
): Promise<Reply> {
  const nodes = nodesFor(client.nodes, spread);
  if (nodes.length === 0) throw new UnavailableError(`No node can be asked for ${name.toUpperCase()}`);
  const { timeoutMs } = view;
  const calls: Call[] = [];
  const replies = nodes.map(
    (node) =>
      new Promise<Reply>((resolve, reject) => {
        const call =
          spread.endsScripts === true
            ? factory.blockingFor(node, name, args, ENDS_SCRIPTS, timeoutMs, resolve, reject)
            : factory.commandFor(node, name, args, timeoutMs, resolve, reject);
        calls.push(call);
        operation.sendWhenRoom(call);
      }),
  );
  if (spread.endsScripts === true) await endRest(client.environment.clock, operation, replies, calls);
  const results = await Promise.allSettled(replies);
  if (`${name} ${textOf(args[0])}`.toLowerCase() === "script flush") client.scripts.forgetScripts();
  return joinResults(spread.join, results);
}

/**
 * Milliseconds that the other nodes have at most when one node has ended its script, because they may run one as well.
 * They have as long as that node took.
 */
const OTHER_SCRIPTS_MS = { least: 10, most: 50 };

/** When one node has ended its script, the calls to nodes that say nothing soon are given up. */
async function endRest(
  clock: Clock,
  operation: Operation,
  replies: readonly Promise<Reply>[],
  calls: readonly Call[],
): Promise<void> {
  const began = clock.now();
  const all = Promise.allSettled(replies);
  await operation.wait(Promise.any(replies)).catch(() => all);
  // The whole has succeeded, even if its time ends now.
  const { least, most } = OTHER_SCRIPTS_MS;
  const restMs = Math.min(most, Math.max(least, clock.now() - began));
  await Promise.race([all, operation.pause(restMs).catch(() => {})]);
  for (const call of calls) call.abort("another node has ended its script");
}

/**
 * The nodes that a command is sent to. A replica counts only if it can be reached. A primary that cannot be reached
 * counts unless the cluster calls it failed, so that the caller hears that it did not answer.
 */
function nodesFor(nodes: readonly ClusterNode[], { nodes: wanted, endsScripts }: Spread): ClusterNode[] {
  return nodes.filter(({ info, pool }) => {
    if (pool.ready || (info.role === "primary" && info.health !== "fail"))
      return info.role === "primary" || wanted === "all";
    return endsScripts === true && mayBeBusy(pool);
  });
}

/** Whether a node that serves no calls now may be running a script: it is silent, or has said that it is busy. */
function mayBeBusy({ lanes, cause }: NodePool): boolean {
  const isBusy = cause instanceof ReplyError && parseErrorReply(cause.reply).kind === "busy";
  return isBusy || lanes.some(({ state }) => state === "silent");
}

/** Loads a script on every node. The script is registered like one that is run. */
export async function loadEverywhere(
  operation: Operation,
  { client, view }: Host,
  script: ScriptSource,
): Promise<Reply> {
  // From now on, loads are on their way.
  operation.outcome = "unknown";
  const loads = await operation.wait(client.scripts.loadEverywhere(script));
  const refused = loads.find(({ cause }) => cause instanceof ReplyError);
  if (refused?.cause) throw refused.cause;
  if (loads.every(({ cause }) => cause !== undefined)) {
    throw new UnavailableError(
      "No node loaded the script",
      new Map(loads.map(({ address, cause }) => [address, cause])),
    );
  }
  return view.replies === "buffer" ? Buffer.from(script.sha) : script.sha;
}
