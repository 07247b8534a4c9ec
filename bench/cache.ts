/*
 * Measures what cached and hedged reads cost: npm run bench:cache -- --help
 * All ways run in this process in turn, in rounds that are shuffled. Costs above that of awaiting a resolved promise are
 * differences within rounds, and ratios are those of rounds.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { type Estimate, estimateOf, estimateOfDifferences, ratioOf } from "../src/cli/bench/estimate.ts";
import { figureOf, intervalText, ratioText } from "../src/cli/bench/page-words.ts";
import type { Cluster } from "../src/cluster/cluster.ts";
import { startCluster } from "../src/testing/index.ts";
import { cachedNodeRedis, isPeerInstalled } from "./clients/cached-peer.ts";
import type { Build, Ordinary, Way } from "./support/cached-ways.ts";
import * as ways from "./support/cached-ways.ts";
import { BESIDE, CACHE, cacheSettings, HEDGES, HITS, MISSES, SLOW_REPLICA } from "./support/commands.ts";
import { conducted, type Finally } from "./support/conducted.ts";
import { Occasion } from "./support/occasion.ts";
import { settingsOf } from "./support/options.ts";
import { Progress } from "./support/progress.ts";
import { linesOf } from "./support/report.ts";
import { AFTER_MS, EVERY_MS, HELD_MS, slowReplica, type Tail } from "./support/slow-replica.ts";
import { shuffled } from "./support/turns.ts";

const { rounds, parts, base } = settingsOf(CACHE, cacheSettings);
const TAIL_TURNS = 3;
/** No time of the measurement is enough to end an entry. */
const LONG = { maxAge: 2 ** 31 - 1 };
/** Room for some forty of the thousand replies that are asked for in turn. */
const SMALL = { maxBytes: 20_000 };

/** Some ways, and how their table looks. */
interface Table {
  readonly part: string;
  readonly head: readonly string[];
  readonly ways: readonly Way[];
  /** What is told of a way against its base. */
  readonly against: "difference" | "ratio";
  /** Called in front of each round. */
  prepare?(): Promise<void>;
  /** A sentence below the table. */
  note?(): string;
}

const buildAt = async (url: string): Promise<Build> => import(url);

await conducted(CACHE.name, async (undo) => {
  const build = await buildAt(new URL("../dist/index.js", import.meta.url).href);
  const other = base === undefined ? undefined : await buildAt(pathToFileURL(join(base, "index.js")).href);
  const hasReplicas = parts.includes(HEDGES) || parts.includes(SLOW_REPLICA);
  const servers = await startCluster({ primaries: 3, replicasPerPrimary: hasReplicas ? 1 : 0 });
  undo(() => servers.stop());
  const { nodes } = servers;
  const scripts = ways.scriptsOf(build);
  const open = async (options: object, from: Build = build): Promise<Cluster> => {
    const cluster = await from.connect({ nodes, ...options });
    undo(() => cluster.destroy());
    return cluster;
  };
  const without = await open({ scripts: Object.values(scripts) });
  await Promise.all([...ways.KEYS, ...ways.PAIRS.flat()].map((key) => without.command("SET", key, "value")));
  const tables: Table[] = [];
  if (parts.includes(HITS)) tables.push(await hits(open, scripts, undo, nodes));
  if (parts.includes(MISSES)) {
    const small = await open({ cache: SMALL, scripts: [scripts.two] });
    tables.push(misses(scripts, without, small));
  }
  if (parts.includes(BESIDE)) {
    const own = Object.values(scripts);
    const clients: Ordinary[] = [
      { label: "without a cache", cluster: without, scripts },
      { label: "with a cache, uncached view", cluster: await open({ scripts: own, cache: {} }), scripts },
    ];
    if (other !== undefined) {
      const theirs = ways.scriptsOf(other);
      const cluster = await open({ scripts: Object.values(theirs) }, other);
      clients.unshift({ label: "the other build", cluster, scripts: theirs });
    }
    const head = ["sent beside a cache", "in flight", "client"];
    tables.push({ part: BESIDE, head, ways: ways.ordinaryWays(clients), against: "ratio" });
  }
  if (parts.includes(HEDGES)) {
    const reader = await open({ readFrom: "replica" });
    const head = ["GET on replicas, in flight", "view"];
    tables.push({ part: HEDGES, head, ways: ways.hedgeWays(reader), against: "ratio" });
  }
  for (const { ways: all, prepare } of tables) {
    await prepare?.();
    for (const way of all) for (let turn = 0; turn < 3; turn++) await costOf(way);
  }
  const occasion = await Occasion.begin(
    servers.version,
    `3 primaries${hasReplicas ? " and 3 replicas" : ""} on loopback`,
  );
  const tailSteps = parts.includes(SLOW_REPLICA) ? 3 * TAIL_TURNS : 0;
  const progress = new Progress(rounds * tables.length + tailSteps);
  undo(() => progress.end());
  const costs = await measured(tables, progress);
  const tails = tailSteps === 0 ? [] : await slowReplica(build, nodes, TAIL_TURNS, undo, (name) => progress.step(name));
  progress.end();
  for (const line of occasion.lines([...costs.values()].map((each) => ({ rounds: each })))) console.log(line);
  for (const table of tables) show(table, costs);
  if (tails.length > 0) showTails(tails);
  return 0;
});

async function hits(
  open: (options: object) => Promise<Cluster>,
  scripts: ReturnType<typeof ways.scriptsOf>,
  undo: Finally,
  nodes: readonly string[],
): Promise<Table> {
  const client = await open({ scripts: [scripts.two], cache: LONG });
  const views = [client.with({ cached: true }), client.with({ cached: true, replies: "buffer" })] as const;
  const peer = isPeerInstalled ? await cachedNodeRedis(nodes) : undefined;
  undo(() => peer?.destroy());
  await ways.fill(scripts, views);
  const count = () => {
    const { cache, counters } = client.metrics();
    return { hits: cache?.hits ?? 0, sent: (cache?.misses ?? 0) + counters.calls };
  };
  let filled = { hits: 0, sent: 0 };
  const sum = { hits: 0, sent: 0 };
  const take = () => {
    const now = count();
    sum.hits += now.hits - filled.hits;
    sum.sent += now.sent - filled.sent;
  };
  return {
    part: HITS,
    head: ["answered from memory"],
    ways: ways.hitWays(scripts, ...views, peer),
    against: "difference",
    async prepare() {
      if (filled.hits > 0) take();
      // Hits leave the event loop no turn, and the cache has to be told from time to time that it is current.
      await sleep(20);
      await ways.fill(scripts, views);
      filled = count();
    },
    note() {
      take();
      const lacks =
        peer === undefined ? " node-redis is a row, too, once `npm run bench:clients` has installed it." : "";
      return `${figureOf(sum.hits)} hits sent ${sum.sent} calls.${lacks}`;
    },
  };
}

function misses(scripts: ReturnType<typeof ways.scriptsOf>, without: Cluster, small: Cluster): Table {
  return {
    part: MISSES,
    head: ["sent, and kept", "view"],
    ways: ways.missWays(scripts, without, small.with({ cached: true })),
    against: "ratio",
    note() {
      const { misses: sent = 0, hits: found = 0, shared = 0 } = small.metrics().cache ?? {};
      return `${figureOf(sent)} reads were sent; ${figureOf(shared)} calls waited for one of them, and ${found} were hits.`;
    },
  };
}

/** CPU of this process in microseconds a call. */
async function costOf({ run, calls }: Way): Promise<number> {
  const before = process.cpuUsage();
  await run(calls);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

async function measured(tables: readonly Table[], progress: Progress): Promise<ReadonlyMap<Way, number[]>> {
  const costs = new Map(tables.flatMap((table) => table.ways.map((way): [Way, number[]] => [way, []])));
  for (let round = 0; round < rounds; round++) {
    for (const { part, ways: all, prepare } of shuffled(tables)) {
      progress.step(`${part}, round ${round + 1}`);
      await prepare?.();
      for (const way of shuffled(all)) costs.get(way)?.push(await costOf(way));
    }
  }
  return costs;
}

function show({ head, ways: all, against, note }: Table, costs: ReadonlyMap<Way, number[]>): void {
  const us = (estimate: Estimate) => intervalText(estimate, (value) => value.toFixed(2));
  const rows = all.map((way) => {
    const own = costs.get(way) as number[];
    const floor = way.base === undefined ? undefined : (costs.get(way.base) as number[]);
    const compared =
      floor === undefined
        ? ""
        : against === "ratio"
          ? ratioText(ratioOf(own, floor))
          : us(estimateOfDifferences(own.map((cost, round) => cost - (floor[round] as number))));
    return [...way.labels, us(estimateOf(own)), compared, figureOf(rounds * way.calls)];
  });
  const last = against === "ratio" ? "ratio" : "above a promise, us";
  for (const line of linesOf([[...head, "CPU us a call", last, "calls"], ...rows])) console.log(line);
  console.log(note === undefined ? "" : `\n${note()}\n`);
}

function showTails(tails: readonly Tail[]): void {
  const ms = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(2));
  const rows = tails.map(({ name, latencies, sentTwice }) => {
    const { calls, p50, p99, p999, max } = latencies.summary();
    return [name, ms(p50), ms(p99), ms(p999), ms(max), `${((100 * sentTwice) / calls).toFixed(2)}%`, figureOf(calls)];
  });
  const head = ["1,000 reads a second", "p50, ms", "p99", "p99.9", "max", "sent twice", "calls"];
  for (const line of linesOf([head, ...rows])) console.log(line);
  console.log(
    `\nA proxy holds the replies of one of three replicas for ${HELD_MS} ms in ${EVERY_MS / 1000} s; the hedge is sent after ${AFTER_MS} ms.`,
  );
}
