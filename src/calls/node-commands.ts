import { createHash } from "node:crypto";
import type { Client } from "../client/client.ts";
import { textOf } from "../commands/keys.ts";
import { joinResults, type Spread } from "../commands/spread.ts";
import { InvalidArgumentError, ReplyError, UnavailableError } from "../errors.ts";
import { bufferOf } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { ScriptSource } from "../scripts/script-registry.ts";
import type { CallFactory, ViewSettings } from "./call-factory.ts";
import { ReplicaWait } from "./wait-for-replicas.ts";

/** Sends a command to every node that it is for, and joins the replies. */
export async function runOnNodes(
  client: Client,
  factory: CallFactory,
  view: ViewSettings,
  spread: Spread,
  name: string,
  args: readonly Argument[],
): Promise<Reply> {
  if (name.toLowerCase() === "wait") return new ReplicaWait(client, factory, view).result(args);
  const script = scriptToLoad(name, args);
  if (script !== undefined) return loadEverywhere(client, view, script);
  const nodes = nodesFor(client, spread);
  if (nodes.length === 0) throw new UnavailableError(`No node can be asked for ${name.toUpperCase()}`);
  const replies = nodes.map(
    (node) =>
      new Promise<Reply>((resolve, reject) => {
        client.sendAll([factory.commandFor(node, name, args, view.timeoutMs, resolve, reject)], view.signal);
      }),
  );
  const results = await Promise.allSettled(replies);
  if (isCommand("script flush", name, args)) client.forgetScripts();
  return joinResults(spread.join, results);
}

/** Of replicas those that can be reached; of primaries all, so that one that cannot be is not passed over in silence. */
function nodesFor({ nodes }: Client, spread: Spread): ClusterNode[] {
  return nodes.filter(({ info, pool }) =>
    info.role === "primary" ? info.health !== "fail" || pool.ready : spread.nodes === "all" && pool.ready,
  );
}

/** The script that `SCRIPT LOAD source` brings; undefined for any other command, and for a source that is no text. */
export function scriptToLoad(name: string, args: readonly Argument[]): ScriptSource | undefined {
  const source = isCommand("script load", name, args) && args.length === 2 ? sourceOf(args[1]) : undefined;
  if (source === undefined) return undefined;
  if (source === "") throw new InvalidArgumentError("SCRIPT LOAD: the source is empty; accepted is Lua.");
  const sha = createHash("sha1").update(source, "utf8").digest("hex");
  return { name: sha, sha, source };
}

/** On every node, and remembered like a script that is run. */
async function loadEverywhere(client: Client, view: ViewSettings, script: ScriptSource): Promise<Reply> {
  const loads = await client.loadEverywhere(script, view.timeoutMs);
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

function isCommand(words: string, name: string, args: readonly Argument[]): boolean {
  return `${name} ${textOf(args[0])}`.toLowerCase() === words;
}

function sourceOf(value: Argument | undefined): string | undefined {
  if (!(value instanceof Uint8Array)) return value === undefined ? undefined : String(value);
  const bytes = bufferOf(value);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? text : undefined;
}
