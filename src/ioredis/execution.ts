import type { Cluster } from "../index.ts";
import { type ChainCall, type ChainResults, firstKeyOf, pairsOf } from "./chain.ts";
import { discardedError, errorOf } from "./replies.ts";

/** Sends the commands of a chain: as one transaction on the slot of the first key, or as a batch. */
export async function executed(
  cluster: Cluster,
  kind: "multi" | "pipeline",
  calls: readonly ChainCall[],
): Promise<ChainResults> {
  // A batch has one kind of replies. The other commands get texts made of theirs.
  const buffers = calls.some(({ wantsBuffers }) => wantsBuffers);
  const view = buffers ? cluster.with({ replies: "buffer" }) : cluster;
  const together = kind === "multi" ? view.transaction(firstKeyOf(calls) ?? "") : view.batch();
  try {
    for (const { name, args, script } of calls) {
      if (script === undefined) together.command(name, ...args);
      else together.run(script.script, script.keys, script.rest);
    }
    if (calls.length === 0) return [];
    const results = await together.exec();
    return pairsOf(calls, buffers ? results.map((result, index) => asWanted(result, calls[index])) : results);
  } catch (error) {
    throw kind === "multi" ? discardedError(error) : errorOf(error, kind, 0);
  }
}

function asWanted(reply: unknown, call: ChainCall | undefined): unknown {
  if (call?.wantsBuffers === true || reply instanceof Error) return reply;
  if (Buffer.isBuffer(reply)) return reply.toString();
  return Array.isArray(reply) ? reply.map((each) => asWanted(each, call)) : reply;
}
