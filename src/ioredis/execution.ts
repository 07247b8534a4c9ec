import type { Argument, Cluster } from "../index.ts";
import { type ChainCall, type ChainResult, type ChainResults, firstKeyOf, pairsOf } from "./chain.ts";
import { discardedError, errorOf } from "./replies.ts";

/** One step of a scan of the whole cluster, for SCAN in a pipeline: its cursor is the client's own. */
type ScanStep = (args: readonly Argument[], buffers: boolean) => Promise<unknown>;

/** Sends the commands of a chain: as one transaction on the slot of the first key, or as a batch. */
export async function executed(
  cluster: Cluster,
  kind: "multi" | "pipeline",
  calls: readonly ChainCall[],
  scanStep: ScanStep,
): Promise<ChainResults> {
  if (kind === "multi") return together(cluster, kind, calls);
  const scans = calls.filter(isScan);
  if (scans.length === 0) return together(cluster, kind, calls);
  const others = calls.filter((call) => !isScan(call));
  const [steps, pairs] = await Promise.all([
    Promise.all(scans.map((call) => scanned(call, scanStep))),
    together(cluster, kind, others),
  ]);
  return calls.map((call) => (isScan(call) ? steps.shift() : pairs.shift()) as ChainResult);
}

async function together(
  cluster: Cluster,
  kind: "multi" | "pipeline",
  calls: readonly ChainCall[],
): Promise<ChainResult[]> {
  // A batch has one kind of replies. The other commands get texts made of theirs.
  const buffers = calls.some(({ wantsBuffers }) => wantsBuffers);
  const view = buffers ? cluster.with({ replies: "buffer" }) : cluster;
  const builder = kind === "multi" ? view.transaction(firstKeyOf(calls) ?? "") : view.batch();
  try {
    for (const { name, args, script } of calls) {
      if (script === undefined) builder.command(name, ...args);
      else builder.run(script.script, script.keys, script.rest);
    }
    if (calls.length === 0) return [];
    const results = await builder.exec();
    return pairsOf(calls, buffers ? results.map((result, index) => asWanted(result, calls[index])) : results);
  } catch (error) {
    throw kind === "multi" ? discardedError(error) : errorOf(error, kind, 0);
  }
}

function isScan({ name, script }: ChainCall): boolean {
  return script === undefined && name.toLowerCase() === "scan";
}

async function scanned({ name, args, wantsBuffers }: ChainCall, scanStep: ScanStep): Promise<ChainResult> {
  try {
    return [null, await scanStep(args, wantsBuffers)];
  } catch (error) {
    return [errorOf(error, name, args.length)];
  }
}

function asWanted(reply: unknown, call: ChainCall | undefined): unknown {
  if (call?.wantsBuffers === true || reply instanceof Error) return reply;
  if (Buffer.isBuffer(reply)) return reply.toString();
  return Array.isArray(reply) ? reply.map((each) => asWanted(each, call)) : reply;
}
