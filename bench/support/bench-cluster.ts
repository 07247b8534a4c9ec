import type { Cluster, ConnectOptions } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { BENCH_KEYS, type DefineScript } from "./comparison.ts";

/** 1,024 calls of 64 KB are more than the default bound on bytes allows. */
const MAX_PENDING_BYTES = 1024 ** 3;
const COMMAND_TIMEOUT_MS = 60_000;

/** The cluster on which the benchmark runs: its own one, or an existing one. */
export interface BenchCluster {
  readonly client: Cluster;
  /** The benchmark's own cluster. Only there may scripts be flushed and slots moved. */
  readonly own: LocalCluster | undefined;
  readonly defineScript: DefineScript;
  /** The server program and its version. */
  readonly version: string;
  /** The description of the cluster for the report. */
  readonly setting: string;
  /** Connects one more client to the same cluster. */
  connect(): Promise<Cluster>;
  /** Ends the calls under way. Nothing remains except scripts in the script caches of an existing cluster. */
  close(): Promise<void>;
}

/** @param nodes  Seeds of an existing cluster, as for `connect`; undefined to start three primaries. */
export async function openBenchCluster(nodes: readonly string[] | undefined): Promise<BenchCluster> {
  // The benchmark uses the built client, as users do, and not the source.
  const built = new URL("../../dist/index.js", import.meta.url).href;
  const { connect, defineScript } = (await import(built)) as typeof import("../../src/index.ts");
  const own = nodes === undefined ? await startCluster({ primaries: 3 }) : undefined;
  const options: ConnectOptions = {
    ...(own ? own.connectOptions : { nodes: nodes as readonly string[] }),
    commandTimeout: COMMAND_TIMEOUT_MS,
    maxPendingBytesPerNode: MAX_PENDING_BYTES,
  };
  try {
    const client = await connect(options);
    const primaries = client.topology.nodes.filter(({ role }) => role === "primary").length;
    return {
      client,
      own,
      defineScript,
      version: own ? own.version : await versionOf(client),
      setting: own
        ? `${primaries} primaries, with the client on the same machine, over loopback`
        : `an existing cluster of ${primaries} primaries, which others may have used meanwhile`,
      connect: () => connect(options),
      close: async () => {
        client.destroy();
        if (own) await own.stop();
        else await removeKeys(await connect(options));
      },
    };
  } catch (error) {
    await own?.stop();
    throw error;
  }
}

async function removeKeys(client: Cluster): Promise<void> {
  try {
    await client.command("DEL", ...BENCH_KEYS);
  } finally {
    await client.close();
  }
}

async function versionOf(client: Cluster): Promise<string> {
  const info = await client.command<string>("INFO", "server");
  const version = (product: string) => new RegExp(`^${product}_version:(\\S+)`, "m").exec(info)?.[1];
  // Valkey also reports a redis_version, for clients that ask for it.
  const valkey = version("valkey");
  return valkey === undefined ? `Redis ${version("redis")}` : `Valkey ${valkey}`;
}
