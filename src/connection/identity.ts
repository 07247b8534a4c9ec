import { ReplyError } from "../errors.ts";
import { clusterSupportIn } from "../protocol/cluster-wordings.ts";
import type { Argument, Reply } from "../protocol/reply.ts";

/*
 * Whether the server at an address is the node that the topology has there. A node is its id: an address is only where
 * it can be found for now, and can belong to another server tomorrow.
 */

/** The server at an address is not the node that the topology has there. */
export class StrangerError extends Error {}

/** The question for a server's id. */
export const WHO_ARE_YOU: readonly Argument[] = ["CLUSTER", "MYID"];

/** A server's answer to the question for its id. */
export type Introduction =
  | { readonly kind: "id"; readonly id: string }
  /** The server has no cluster mode, so it is no node of any cluster. */
  | { readonly kind: "no-cluster" }
  /** The server does not know the question, may not be asked, or cannot answer now. It proves nothing. */
  | { readonly kind: "nothing" };

/** Whether a text can be an id. Every server has ids of 40 characters. */
export function isNodeId(text: unknown): text is string {
  return typeof text === "string" && /^[0-9a-z]{40}$/.test(text);
}

/** Reads the answer to `WHO_ARE_YOU`. */
export function introductionOf(result: PromiseSettledResult<Reply> | undefined): Introduction {
  if (result?.status === "fulfilled" && isNodeId(result.value)) return { kind: "id", id: result.value };
  const refusal = result?.status === "rejected" ? (result.reason as ReplyError).reply : undefined;
  const isDisabled = refusal !== undefined && clusterSupportIn(refusal) === "disabled";
  return { kind: isDisabled ? "no-cluster" : "nothing" };
}

/**
 * Compares an answer with the id that is wanted.
 * @param exchange         Asks the same server once more, if the answer is another id.
 * @throws {StrangerError} The address belongs to another server.
 */
export async function verifyIdentity(
  exchange: (...commands: (readonly Argument[])[]) => Promise<Reply>[],
  result: PromiseSettledResult<Reply> | undefined,
  wanted: string,
  address: string,
): Promise<void> {
  const answer = introductionOf(result);
  if (answer.kind === "no-cluster") {
    throw new StrangerError(`${address} now belongs to a server without cluster mode, and no longer to node ${wanted}`);
  }
  if (answer.kind === "nothing" || answer.id === wanted) return;
  // A proxy has a name of its own in CLUSTER NODES, and hands MYID on to any node behind it.
  const nodes = await exchange(["CLUSTER", "NODES"])[0]?.catch((error: unknown) => {
    if (error instanceof ReplyError) return undefined;
    throw error;
  });
  if (nodes !== undefined && nameInOwnNodes(nodes) !== answer.id) return;
  throw new StrangerError(`${address} now belongs to another node: to ${answer.id}, and no longer to ${wanted}`);
}

/** The id that a server has in its own CLUSTER NODES. Undefined where no line is marked as its own. */
function nameInOwnNodes(nodes: Reply): string | undefined {
  if (typeof nodes !== "string") return undefined;
  const lines = nodes.split("\n").map((line) => line.trim().split(" "));
  return lines.find(([, , flags]) => flags?.split(",").includes("myself"))?.[0];
}
