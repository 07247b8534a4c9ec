import type { Reply } from "../protocol/reply.ts";

/**
 * Turns a reply to CLUSTER SLOTS into the shape of one to CLUSTER SHARDS, so that one parser checks both. A node
 * without slots is in neither, nor is a node that failed.
 *
 *   [start, end, [host, port, id, [field, value, ...]], replica, ...]     the host can be null, "" or "?"
 *
 * @see https://redis.io/docs/latest/commands/cluster-slots/
 */
export function shardsOfSlots(reply: Reply): Reply {
  if (!Array.isArray(reply)) return reply;
  const shards = new Map<string, { readonly slots: Reply[]; readonly nodes: Reply[] }>();
  for (const entry of reply) {
    const [start, end, primary, ...replicas] = Array.isArray(entry) ? entry : [];
    const bounds = [start ?? null, end ?? null];
    // A primary has an entry for each of its ranges.
    const key = JSON.stringify(primary ?? null, (_, value) => (typeof value === "bigint" ? String(value) : value));
    const known = shards.get(key);
    if (known !== undefined) known.slots.push(...bounds);
    else {
      const nodes = [nodeOf(primary, "master"), ...replicas.map((replica) => nodeOf(replica, "replica"))];
      shards.set(key, { slots: bounds, nodes });
    }
  }
  return [...shards.values()].map(({ slots, nodes }) => ["slots", slots, "nodes", nodes]);
}

/** An entry for a node, as CLUSTER SHARDS has it. What is no array stays as it is, for the parser to refuse. */
function nodeOf(node: Reply | undefined, role: "master" | "replica"): Reply {
  if (!Array.isArray(node)) return node ?? null;
  const [host = null, port = null, id = "", details] = node;
  const fields: Reply[] = ["id", id, "endpoint", host, "port", port, "role", role, "health", "online"];
  for (const name of ["ip", "availability-zone"]) {
    const at = Array.isArray(details) ? details.indexOf(name) : -1;
    if (at !== -1) fields.push(name, (details as Reply[])[at + 1] ?? null);
  }
  return fields;
}
