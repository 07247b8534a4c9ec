import type { LocalCluster } from "../../src/testing/index.ts";

/** What a server itself says about those who hear it. */
export interface HeardAt {
  /** Each channel that was asked about and has subscribers at the node, with their number. */
  readonly channels: Readonly<Record<string, number>>;
  readonly sharded: Readonly<Record<string, number>>;
  /** The number of different patterns. */
  readonly patterns: number;
}

/** Asks every node who hears what. */
export async function heardAt(
  cluster: LocalCluster,
  { channels = [], sharded = [] }: { readonly channels?: readonly string[]; readonly sharded?: readonly string[] },
): Promise<HeardAt[]> {
  return Promise.all(
    cluster.nodes.map(async (address) => {
      const [ofChannels, ofSharded, patterns] = await Promise.all([
        cluster.command(address, "PUBSUB", "NUMSUB", ...channels),
        cluster.command(address, "PUBSUB", "SHARDNUMSUB", ...sharded),
        cluster.command(address, "PUBSUB", "NUMPAT"),
      ]);
      return { channels: counted(ofChannels), sharded: counted(ofSharded), patterns: patterns as number };
    }),
  );
}

/** How many connections each node has that hear something. */
export async function hearingConnections(cluster: LocalCluster): Promise<number[]> {
  return Promise.all(
    cluster.nodes.map(async (address) => {
      const list = String(await cluster.command(address, "CLIENT", "LIST", "TYPE", "pubsub"));
      return list.split("\n").filter((line) => line !== "").length;
    }),
  );
}

/** The sum over all nodes of what each has. */
export function totals(all: readonly HeardAt[]): HeardAt {
  const sum = (what: "channels" | "sharded") => {
    const total: Record<string, number> = {};
    for (const each of all) {
      for (const [name, count] of Object.entries(each[what])) total[name] = (total[name] ?? 0) + count;
    }
    return total;
  };
  const patterns = all.reduce((before, each) => before + each.patterns, 0);
  return { channels: sum("channels"), sharded: sum("sharded"), patterns };
}

function counted(reply: unknown): Record<string, number> {
  const flat = reply as (string | number)[];
  const counts: Record<string, number> = {};
  for (let at = 0; at < flat.length; at += 2) if (flat[at + 1] !== 0) counts[String(flat[at])] = Number(flat[at + 1]);
  return counts;
}
