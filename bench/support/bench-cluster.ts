import { settingOf } from "../../src/cli/bench/environment.ts";
import { placeOf } from "../../src/cli/bench/servers.ts";
import type { Cluster, ConnectOptions } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { BENCH_KEYS } from "./called-script.ts";
import { LIBRARY_NAME } from "./other-ways.ts";
import { costsOf, type ServerCosts, ServerMeter, summed } from "./server-costs.ts";

/** 1,024 calls of 64 KB are more than the default bound on bytes allows. */
const MAX_PENDING_BYTES = 1024 ** 3;
const COMMAND_TIMEOUT_MS = 60_000;

/** The cluster on which the benchmark runs: its own one, or an existing one. */
export interface BenchCluster {
  readonly client: Cluster;
  /** The benchmark's own cluster. Only there may scripts be flushed and slots moved. */
  readonly own: LocalCluster | undefined;
  /** The addresses of its nodes. */
  readonly primaries: readonly string[];
  readonly replicas: readonly string[];
  /** Reads the primaries; undefined where they refuse INFO. */
  readonly meter: ServerMeter | undefined;
  /** Why there is no meter. */
  readonly refused: string | undefined;
  /** The server program and its version. */
  readonly version: string;
  /** The description of the cluster for the report. */
  readonly setting: string;
  /** Connects one more client to the same cluster. */
  connect(): Promise<Cluster>;
  /** The CPU seconds of all servers up to now, if they are on this machine; undefined if that is not known. */
  cpuHere(): Promise<number | undefined>;
  /** What the benchmark has left in the cluster up to now, and `close` removes. */
  readonly made: { keys: boolean; library: boolean };
  /** Ends the calls under way. Nothing remains except scripts in the script caches of an existing cluster. */
  close(): Promise<void>;
}

/**
 * @param existing  How to connect to an existing cluster.
 * @param build     The built client, as a URL.
 */
export async function openBenchCluster(existing: ConnectOptions, build: string): Promise<BenchCluster> {
  const made = { keys: false, library: false };
  return opened(existing, build, undefined, made, async (connect) => {
    if (!made.keys && !made.library) return;
    const client = await connect();
    try {
      if (made.keys) await client.command("DEL", ...BENCH_KEYS);
      if (made.library) await removeLibrary(client);
    } finally {
      await client.close();
    }
  });
}

/** Starts three primaries, with so many replicas each. */
export async function startBenchCluster(build: string, replicasPerPrimary = 0): Promise<BenchCluster> {
  const own = await startCluster({ primaries: 3, replicasPerPrimary });
  try {
    return await opened(own.connectOptions, build, own, { keys: false, library: false }, () => own.stop());
  } catch (error) {
    await own.stop();
    throw error;
  }
}

async function opened(
  given: ConnectOptions,
  build: string,
  own: LocalCluster | undefined,
  made: BenchCluster["made"],
  cleanUp: (connect: () => Promise<Cluster>) => Promise<unknown>,
): Promise<BenchCluster> {
  const { connect } = (await import(build)) as typeof import("../../src/index.ts");
  const options = { commandTimeout: COMMAND_TIMEOUT_MS, maxPendingBytesPerNode: MAX_PENDING_BYTES, ...given };
  const client = await connect(options);
  const of = (role: "primary" | "replica") => {
    return client.topology.nodes.filter((node) => node.role === role).map(({ address }) => address);
  };
  const [primaries, replicas] = [of("primary"), of("replica")];
  const meter = new ServerMeter(client, primaries);
  const refused = await meter.read().then(
    () => undefined,
    (error: Error) => error.message,
  );
  const all = new ServerMeter(client, [...primaries, ...replicas]);
  return {
    client,
    own,
    primaries,
    replicas,
    meter: refused === undefined ? meter : undefined,
    refused,
    version: own ? own.version : await versionOf(client),
    setting: settingOf(client.topology.nodes, { tls: Boolean(given.tls), isOwn: own !== undefined }),
    made,
    connect: () => connect(options),
    async cpuHere() {
      const places = client.topology.nodes.map(placeOf);
      if (places.every((place) => place === "elsewhere")) return 0;
      if (!places.every((place) => place === "here")) return undefined;
      const costs = await (own ? costsOfOwn(own) : all.read()).catch(() => undefined);
      return costs && summed(costs).cpuMicroseconds / 1e6;
    },
    close: async () => {
      client.destroy();
      await cleanUp(() => connect(options));
    },
  };
}

async function versionOf(client: Cluster): Promise<string> {
  const info = await client.command<string>("INFO", "server").catch(() => "");
  const version = (product: string) => new RegExp(`^${product}_version:(\\S+)`, "m").exec(info)?.[1];
  // Valkey also reports a redis_version, for clients that ask for it.
  const [valkey, redis] = [version("valkey"), version("redis")];
  if (valkey !== undefined) return `Valkey ${valkey}`;
  return redis === undefined ? "unknown" : `Redis ${redis}`;
}

/** On connections of its own, because the client can be closed by then. */
function costsOfOwn(own: LocalCluster): Promise<ServerCosts[]> {
  return Promise.all(
    own.nodes.map(async (address) => {
      const info = await Promise.all(["stats", "cpu"].map((section) => own.command(address, "INFO", section)));
      return costsOf(info.join("\n"));
    }),
  );
}

/** From each primary that has it. */
async function removeLibrary(client: Cluster): Promise<void> {
  const primaries = client.topology.nodes.filter(({ role }) => role === "primary");
  await Promise.all(
    primaries.map(async ({ address }) => {
      const node = client.node(address);
      await node.command("FUNCTION", "DELETE", LIBRARY_NAME).catch((error: Error) => {
        if (!/not found/i.test(error.message)) throw error;
      });
    }),
  );
}
