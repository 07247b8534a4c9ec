import { textOf } from "../commands/keys.ts";
import { joinResults, type Spread } from "../commands/spread.ts";
import { ReplyError, UnavailableError } from "../errors.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
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
  const replies = nodes.map(
    (node) =>
      new Promise<Reply>((resolve, reject) => {
        operation.sendWhenRoom(factory.commandFor(node, name, args, view.timeoutMs, resolve, reject));
      }),
  );
  const results = await Promise.allSettled(replies);
  if (`${name} ${textOf(args[0])}`.toLowerCase() === "script flush") client.scripts.forgetScripts();
  return joinResults(spread.join, results);
}

/**
 * The nodes that a command is sent to. A replica counts only if it can be reached. A primary that cannot be reached
 * counts unless the cluster calls it failed, so that the caller hears that it did not answer.
 */
function nodesFor(nodes: readonly ClusterNode[], spread: Spread): ClusterNode[] {
  return nodes.filter(({ info, pool }) =>
    info.role === "primary" ? info.health !== "fail" || pool.ready : spread.nodes === "all" && pool.ready,
  );
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
