import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A client whose GET is answered from its memory. */
export interface CachedPeer {
  get(key: string): Promise<unknown>;
  destroy(): void;
}

interface NodeRedisModule {
  createCluster(options: object): CachedPeer & { connect(): Promise<unknown> };
}

/** The packages of this folder are installed by `npm run bench:clients`. */
export const isPeerInstalled = existsSync(fileURLToPath(new URL("node_modules/redis", import.meta.url)));

/** node-redis with its cache, whose entries are not bounded. Caching takes RESP 3 there. */
export async function cachedNodeRedis(nodes: readonly string[]): Promise<CachedPeer> {
  const name: string = "redis";
  const { createCluster } = (await import(name)) as NodeRedisModule;
  const client = createCluster({
    rootNodes: nodes.map((address) => ({ url: `redis://${address}` })),
    RESP: 3,
    clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: "LRU" },
  });
  await client.connect();
  return client;
}
