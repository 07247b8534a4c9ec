import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Peer, PeerClient } from "./client.ts";
import { floor } from "./floor-peer.ts";
import { ONE_SLOT_KEYS, SCRIPTS, SPREAD_KEYS } from "./workload.ts";

/*
 * The packages are installed in this folder only when the benchmark runs. Therefore the used parts of their types are
 * declared here, and the packages are imported by name.
 */
const load = async <T>(name: string): Promise<T> => (await import(name)) as T;

interface RedisLike {
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  pipeline(): { write(key: string, arg: string): unknown; exec(): Promise<[unknown, unknown][]> };
  write(key: string, arg: string): Promise<unknown>;
  read(key: string, arg: string): Promise<unknown>;
  slow(key: string, arg: string): Promise<unknown>;
  once(event: string, listener: () => void): void;
  disconnect(): void;
}
type RedisLikeModule = { Cluster: new (nodes: object[], options: object) => RedisLike };

function ioredisLike(packageName: string, options: object): Peer {
  return {
    settings: `defineCommand; ${JSON.stringify(options)}; batches of one slot`,
    async connect(nodes) {
      const { Cluster } = await load<RedisLikeModule>(packageName);
      const client = new Cluster(nodes.map(addressOf), options);
      await new Promise<void>((resolve) => client.once("ready", resolve));
      for (const name of ["write", "read", "slow"] as const) {
        client.defineCommand(name, { numberOfKeys: 1, lua: SCRIPTS[name] });
      }
      return {
        run: (script, key, arg) => client[script](key, arg),
        async batch(arg) {
          const pipeline = client.pipeline();
          for (const key of ONE_SLOT_KEYS) pipeline.write(key, arg);
          return (await pipeline.exec()).map(([error, reply]) => error ?? reply);
        },
        close: () => client.disconnect(),
      };
    },
  };
}

interface NodeRedisParser {
  pushKey(key: string): void;
  push(arg: string): void;
}
interface NodeRedisCluster {
  connect(): Promise<unknown>;
  write(key: string, arg: string): Promise<unknown>;
  read(key: string, arg: string): Promise<unknown>;
  slow(key: string, arg: string): Promise<unknown>;
  multi(): { write(key: string, arg: string): unknown; execAsPipeline(): Promise<unknown[]> };
  destroy(): void;
}
interface NodeRedisModule {
  defineScript(definition: object): object;
  createCluster(options: object): NodeRedisCluster;
}

const nodeRedis: Peer = {
  settings: "defineScript; RESP 2, defaults; batches of one slot",
  async connect(nodes) {
    const { createCluster, defineScript } = await load<NodeRedisModule>("redis");
    const script = (source: string) =>
      defineScript({
        NUMBER_OF_KEYS: 1,
        SCRIPT: source,
        parseCommand(parser: NodeRedisParser, key: string, arg: string) {
          parser.pushKey(key);
          parser.push(arg);
        },
        transformReply: undefined,
      });
    const client = createCluster({
      rootNodes: nodes.map((address) => ({ url: `redis://${address}` })),
      RESP: 2,
      scripts: { write: script(SCRIPTS.write), read: script(SCRIPTS.read), slow: script(SCRIPTS.slow) },
    });
    await client.connect();
    return {
      run: (name, key, arg) => client[name](key, arg),
      batch(arg) {
        const multi = client.multi();
        for (const key of ONE_SLOT_KEYS) multi.write(key, arg);
        return multi.execAsPipeline();
      },
      close: () => client.destroy(),
    };
  },
};

interface GlideScript {
  getHash(): string;
}
interface GlideBatch {
  customCommand(args: string[]): unknown;
}
interface GlideClient {
  invokeScript(script: GlideScript, options: { keys: string[]; args: string[] }): Promise<unknown>;
  exec(batch: GlideBatch, raiseOnError: boolean): Promise<unknown[] | null>;
  close(): void;
}
interface GlideModule {
  Script: new (source: string) => GlideScript;
  ClusterBatch: new (isAtomic: boolean) => GlideBatch;
  GlideClusterClient: { createClient(options: object): Promise<GlideClient> };
}

const glide: Peer = {
  settings: "invokeScript; inflightRequestsLimit 100000, requestTimeout 30000",
  async connect(nodes) {
    const { ClusterBatch, GlideClusterClient, Script } = await load<GlideModule>("@valkey/valkey-glide");
    const client = await GlideClusterClient.createClient({
      addresses: nodes.map(addressOf),
      inflightRequestsLimit: 100_000,
      requestTimeout: 30_000,
    });
    removeGlideSocket();
    const scripts = {
      write: new Script(SCRIPTS.write),
      read: new Script(SCRIPTS.read),
      slow: new Script(SCRIPTS.slow),
    };
    return {
      run: (script, key, arg) => client.invokeScript(scripts[script], { keys: [key], args: [arg] }),
      async batch(arg) {
        const batch = new ClusterBatch(false);
        for (const key of SPREAD_KEYS) batch.customCommand(["EVALSHA", scripts.write.getHash(), "1", key, arg]);
        return (await client.exec(batch, true)) ?? [];
      },
      close: () => client.close(),
    };
  },
};

/** GLIDE talks with its core by a socket in the file system, and leaves it there. Once both are connected it has no use. */
function removeGlideSocket(): void {
  for (const folder of new Set(["/tmp", tmpdir()])) {
    for (const file of readdirSync(folder)) {
      if (file.startsWith(`glide-socket-${process.pid}-`)) rmSync(join(folder, file), { force: true });
    }
  }
}

const slotwire: Peer = {
  settings: "the built package; defaults, bounds raised for 1,024 x 16 KiB",
  async connect(nodes) {
    const built = new URL("../../dist/index.js", import.meta.url).href;
    const { connect, defineScript } = await load<typeof import("../../src/index.ts")>(built);
    const scripts = {
      write: defineScript({ name: "write", source: SCRIPTS.write, numberOfKeys: 1 }),
      read: defineScript({ name: "read", source: SCRIPTS.read, numberOfKeys: 1 }),
      slow: defineScript({ name: "slow", source: SCRIPTS.slow, numberOfKeys: 1 }),
    };
    const cluster = await connect({
      nodes: [...nodes],
      scripts: Object.values(scripts),
      maxPendingBytesPerNode: 64 * 1024 * 1024,
    });
    const client: PeerClient = {
      run: (script, key, arg) => cluster.run(scripts[script], [key], [arg]),
      batch(arg) {
        const batch = cluster.batch();
        for (const key of SPREAD_KEYS) batch.run(scripts.write, [key], [arg]);
        return batch.exec();
      },
      close: () => cluster.close(),
    };
    return client;
  },
};

export const PEERS = {
  floor,
  slotwire,
  ioredis: ioredisLike("ioredis", {}),
  "ioredis auto": ioredisLike("ioredis", { enableAutoPipelining: true }),
  "node-redis": nodeRedis,
  "valkey-glide": glide,
  iovalkey: ioredisLike("iovalkey", {}),
  "iovalkey auto": ioredisLike("iovalkey", { enableAutoPipelining: true }),
} as const satisfies Record<string, Peer>;
export type PeerName = keyof typeof PEERS;

function addressOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
