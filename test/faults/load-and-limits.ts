import { type Cluster, connect, defineLibrary, defineScript, type Script } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { BusiestTurn } from "../support/busiest-turn.ts";
import { SlowProxy } from "../support/slow-proxy.ts";
import { steadyLoad } from "../support/steady-load.ts";
import { Stopwatch } from "../support/stopwatch.ts";
import { atMost, type Fault, type Finding, finding, none } from "./fault.ts";
import { pause, withServers } from "./shards.ts";

const scriptOf = (value: number, bytes: number): Script =>
  defineScript({ name: `s${value}`, source: `return ${value} --${"z".repeat(bytes)}`, numberOfKeys: 1 });

/** Connects over links that take so many bytes a millisecond for each connection. */
async function overSlowLinks(
  servers: LocalCluster,
  bytesPerMs: number,
  use: (
    connectSlowly: (scripts: readonly Script[]) => Promise<Cluster>,
    links: readonly SlowProxy[],
  ) => Promise<Finding>,
): Promise<Finding> {
  const links = new Map<string, SlowProxy>();
  for (const address of servers.nodes) links.set(address, await SlowProxy.start(address, bytesPerMs));
  const natMap = (address: string) => links.get(address);
  try {
    return await use((scripts) => connect({ ...servers.connectOptions, natMap, scripts }), [...links.values()]);
  } finally {
    for (const link of links.values()) await link.stop();
  }
}

const loadedAt = (client: Cluster) => client.scripts().map(({ loaded }) => loaded.length);

/** How often each node was sent a SCRIPT LOAD, by its own count. */
async function loadsAt(servers: LocalCluster): Promise<number[]> {
  const count = async (address: string) => {
    const stats = String(await servers.command(address, "INFO", "commandstats"));
    return Number(/cmdstat_script\|load:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  return Promise.all(servers.nodes.map(count));
}

const slowPreload: Fault = {
  name: "slow-preload",
  must: "50 scripts of 100 KB over links of 1 MB/s, connectTimeout 2 s: connect resolves with all of them on all nodes, each sent once",
  cause: () =>
    withServers({}, (servers) =>
      overSlowLinks(servers, 1000, async (connectSlowly) => {
        const began = performance.now();
        await using client = await connectSlowly(Array.from({ length: 50 }, (_, index) => scriptOf(index, 100_000)));
        const loaded = loadedAt(client);
        const loads = await loadsAt(servers);
        return finding({
          "connected after": atMost(performance.now() - began, 20_000),
          "loaded at each node": [loaded.join(" "), loaded.every((count) => count === 50)],
          "sent to each node": [loads.join(" "), loads.every((count) => count === 50)],
        });
      }),
    ),
};

const largeScript: Fault = {
  name: "large-script",
  must: "one script of 1 MB over links of 250 KB/s: sent once to each node; calls that do not need it are served meanwhile",
  cause: () =>
    withServers({}, (servers) =>
      overSlowLinks(servers, 250, async (connectSlowly, links) => {
        const large = scriptOf(1, 1_000_000);
        const began = performance.now();
        await using client = await connectSlowly([large]);
        const connectedMs = performance.now() - began;
        const loads = await loadsAt(servers);
        const other = scriptOf(2, 1_000_000);
        let isLoading = true;
        const preloaded = client.preload(other).finally(() => {
          isLoading = false;
        });
        let served = 0;
        let slowest = 0;
        for (let index = 0; isLoading; index++) {
          const sent = performance.now();
          await client.command("SET", `k${index}`, "v");
          slowest = Math.max(slowest, performance.now() - sent);
          served++;
          await pause(10);
        }
        await preloaded;
        const bytes = links.flatMap(({ taken }) => taken).reduce((sum, each) => sum + each, 0);
        const connections = links.reduce((sum, { taken }) => sum + taken.length, 0);
        return finding({
          "connected after": atMost(connectedMs, 15_000),
          "loaded at each node": [loadedAt(client).join(" "), loadedAt(client).every((count) => count === 2)],
          "sent to each node": [loads.join(" "), loads.every((count) => count === 1)],
          "bytes sent, 6 MB of scripts": [`${(bytes / 1e6).toFixed(1)} MB`, bytes < 6.5e6],
          connections: [connections, connections <= 16],
          "calls served during 4 s of loads": [served, served >= 50],
          "the slowest": atMost(slowest, 1000),
        });
      }),
    ),
};

const outputLimit: Fault = {
  name: "output-limit",
  must: "40 reads of 1 MB where a server lets 8 MB wait for a client, beside 500 writes a second: all succeed, at most 3 connections lost, the neighbours lose what the first loss took",
  cause: () =>
    withServers({ args: ["--client-output-buffer-limit", "normal 8mb 0 0"] }, async (servers) => {
      await using client = await connect({ ...servers.connectOptions, commandTimeout: 10_000 });
      for (let index = 0; index < 40; index++) await client.command("SET", `{a}${index}`, Buffer.alloc(1e6, "x"));
      const before = client.metrics().counters;
      const load = steadyLoad(500, (index) => client.command("SET", `{a}neighbour${index % 100}`, index));
      await pause(200);
      let sharedLost = 0;
      client.on("nodeDown", () => sharedLost++);
      const reads = Array.from({ length: 40 }, (_, index) => client.command("GET", `{a}${index}`));
      const results = await Promise.allSettled(reads);
      await pause(500);
      const { calls, errors } = await load.stop();
      const succeeded = results.filter(({ status }) => status === "fulfilled").length;
      const { counters } = client.metrics();
      // Each that is lost is opened again, and one is opened for repeats.
      const lost = counters.connectionsOpened - before.connectionsOpened - 1;
      return finding({
        succeeded: [`${succeeded} of 40`, succeeded === 40],
        "connections lost": [lost, lost <= 3],
        "of them shared with the neighbours": [sharedLost, sharedLost === 1],
        "neighbours lost": [`${errors.length} of ${calls}`, errors.length <= 40],
      });
    }),
};

const scriptKill: Fault = {
  name: "script-kill",
  must: "SCRIPT KILL by the client that runs the script: OK within 100 ms; a frozen node outweighs NOTBUSY",
  cause: () =>
    withServers({ args: ["--busy-reply-threshold", "200", "--cluster-node-timeout", "30000"] }, async (servers) => {
      const loop = defineScript({
        name: "loop",
        source: "while true do redis.call('get', KEYS[1]) end",
        numberOfKeys: 1,
      });
      await using client = await connect({ ...servers.connectOptions });
      const run = client.run(loop, ["k"]).catch(String);
      await pause(600);
      // The time that the machine gave to other processes does not count.
      using watch = new Stopwatch();
      const killed = await client.command("SCRIPT", "KILL").catch(String);
      const tookMs = watch.ms;
      const end = await run;
      servers.pause(servers.nodes[0] as string);
      const silent = await client
        .with({ timeout: 1000 })
        .command("SCRIPT", "KILL")
        .catch(({ code }) => code);
      servers.resume(servers.nodes[0] as string);
      return finding({
        "SCRIPT KILL": [killed, killed === "OK"],
        after: atMost(tookMs, 100),
        "the script": [String(end).slice(0, 40), /killed by user/.test(String(end))],
        "beside a frozen node": [silent, silent === "DEADLINE"],
      });
    }),
};

const manyScripts: Fault = {
  name: "many-scripts",
  must: "10,000 scripts on 6 nodes: no turn of the loop over 20 ms of this thread's processor time; audits of at most 50 KB a second and node, also while the topology is refreshed all the time",
  cause: () =>
    withServers({ replicasPerPrimary: 1 }, async (servers) => {
      const scripts = Array.from({ length: 10_000 }, (_, index) => scriptOf(index, 200));
      await pause(200);
      using turns = new BusiestTurn();
      await using client = await connect({ ...servers.connectOptions, scripts });
      const connecting = turns.ms;
      const loaded = loadedAt(client);
      using audited = new BusiestTurn();
      const nodes = servers.nodes.length;
      const bytes = () => client.metrics().counters.bytesWritten;
      const rates: number[] = [];
      for (let second = 0; second < 12; second++) {
        const before = bytes();
        const began = performance.now();
        for (let count = 0; count < 10; count++) {
          void client.refreshTopology().catch(() => {});
          await pause(100);
        }
        rates.push((bytes() - before) / nodes / ((performance.now() - began) / 1000));
      }
      const most = Math.max(...rates);
      return finding({
        "loaded at each node": [loaded.join(" "), loaded.every((count) => count === 10_000)],
        "the busiest turn of connect": atMost(connecting, 20),
        "of audits": atMost(audited.ms, 20),
        "bytes a second and node": [rates.map(Math.round).join(" "), most <= 55_000],
      });
    }),
};

const refusedLibrary: Fault = {
  name: "refused-library",
  must: "a library refused by OOM: loaded when there is memory again, without a call or a refresh; not tried all the time",
  cause: () =>
    withServers({}, async (servers) => {
      const library = defineLibrary({
        source: "#!lua name=later\nredis.register_function('later', function() return 1 end)",
        functions: { later: { numberOfKeys: 1 } },
      });
      const memory = (bytes: string) =>
        Promise.all(servers.nodes.map((address) => servers.command(address, "CONFIG", "SET", "maxmemory", bytes)));
      await memory("1");
      await using client = await connect({ ...servers.connectOptions, scripts: [library], topologyRefreshInterval: 0 });
      const refused = client.scripts().filter(({ failed }) => /OOM/.test(String(failed[0]?.cause))).length;
      await pause(3000);
      const tries = client.metrics().counters.scriptLoadFailures / servers.nodes.length;
      await memory("0");
      const began = performance.now();
      while (loadedAt(client).some((count) => count === 0) && performance.now() - began < 15_000) await pause(50);
      return finding({
        "refused by OOM": [`${refused} of 3`, refused === 3],
        "tries a node in 3 s": [tries, tries >= 2 && tries <= 8],
        "missing afterwards": none(loadedAt(client).filter((count) => count === 0).length),
        "loaded after": atMost(performance.now() - began, 12_000),
      });
    }),
};

export const loadAndLimits: readonly Fault[] = [
  slowPreload,
  largeScript,
  outputLimit,
  scriptKill,
  manyScripts,
  refusedLibrary,
];
