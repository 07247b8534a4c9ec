import { type Cluster, type ConnectOptions, connect, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { recordScript, repeatableScript } from "./counted-load.ts";

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
  options: Partial<ConnectOptions>,
  body: (shards: Shards) => Promise<T>,
): Promise<T> {
  const cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
  let client: Cluster | undefined;
  try {
    client = await connect({ nodes: cluster.nodes, scripts: [recordScript, repeatableScript], ...options });
    const { topology } = client;
    const victim = topology.primaryOf(0)?.address as string;
    const heir = topology.replicasOf(0)[0]?.address as string;
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

/** Milliseconds until a replica says that it is a primary. */
export async function promotion(cluster: LocalCluster, replica: string): Promise<number> {
  const start = performance.now();
  for (;;) {
    const [role] = (await cluster.command(replica, "ROLE")) as string[];
    if (role === "master") return performance.now() - start;
    await pause(10);
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
