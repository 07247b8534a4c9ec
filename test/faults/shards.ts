import { type Cluster, type ConnectOptions, connect, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { recordScript, repeatableScript } from "./counted-load.ts";
import type { Finding, Setting } from "./fault.ts";

/** A cluster of 3 primaries and 3 replicas, a client, and keys by shard. */
export interface Shards {
  readonly cluster: LocalCluster;
  readonly client: Cluster;
  /** A primary, and the replica that will take over. */
  readonly victim: string;
  readonly heir: string;
  /** Keys of the victim, and keys of the other primaries. */
  readonly own: readonly string[];
  readonly others: readonly string[];
}

/** Runs `body` on a cluster of its own; nothing of it is left afterwards. */
export async function withShards<T>(
  { frozenReplica }: Setting,
  options: Partial<ConnectOptions>,
  body: (shards: Shards) => Promise<T>,
): Promise<T> {
  const cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
  let client: Cluster | undefined;
  try {
    client = await connect({ ...cluster.connectOptions, scripts: [recordScript, repeatableScript], ...options });
    const { topology } = client;
    const victim = topology.primaryOf(0)?.address as string;
    const heir = topology.replicasOf(0)[0]?.address as string;
    if (frozenReplica) cluster.pause(topology.replicasOf(8000)[0]?.address as string);
    const keys = Array.from({ length: 400 }, (_, index) => `fault:${index}`);
    const isOwn = (key: string) => topology.primaryOf(slotOf(key))?.address === victim;
    return await body({
      cluster,
      client,
      victim,
      heir,
      own: keys.filter(isOwn).slice(0, 60),
      others: keys.filter((key) => !isOwn(key)).slice(0, 60),
    });
  } finally {
    client?.destroy();
    await cluster.stop();
  }
}

/** Real servers for one fault; nothing of them is left afterwards. */
export async function withServers(
  options: Parameters<typeof startCluster>[0],
  use: (servers: LocalCluster) => Promise<Finding>,
): Promise<Finding> {
  const servers = await startCluster(options);
  try {
    return await use(servers);
  } finally {
    await servers.stop();
  }
}

/** Makes a user with the password `pw`, for all keys and channels, on every node. */
export async function addUser(cluster: LocalCluster, name: string, ...rights: readonly string[]): Promise<void> {
  for (const address of cluster.nodes) {
    await cluster.command(address, "ACL", "SETUSER", name, "on", ">pw", "~*", "&*", ...rights);
  }
}

/** Milliseconds until a replica says that it is a primary, at most `patienceMs`. */
export async function promotion(cluster: LocalCluster, replica: string, patienceMs = 20_000): Promise<number> {
  const start = performance.now();
  for (;;) {
    const [role] = (await cluster.command(replica, "ROLE")) as string[];
    const took = performance.now() - start;
    if (role === "master" || took > patienceMs) return took;
    await pause(10);
  }
}

/** How often the servers named have answered with an error that begins with `word`, by their own count. */
export async function answersOf(cluster: LocalCluster, addresses: readonly string[], word: string): Promise<number> {
  let count = 0;
  for (const address of addresses) {
    const stats = String(await cluster.command(address, "INFO", "errorstats"));
    count += Number(new RegExp(`^errorstat_${word}:count=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
  }
  return count;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
