/*
 * Measures what cached reads cost: npm run bench:cache -- --help
 * All ways run in this process in turn, in rounds that are shuffled. Costs above that of awaiting a resolved promise are
 * differences within rounds.
 */

import { type Estimate, estimateOf, estimateOfDifferences, ratioOf } from "../src/cli/bench/estimate.ts";
import { figureOf, intervalText, ratioText } from "../src/cli/bench/page-words.ts";
import type { Cluster } from "../src/cluster/cluster.ts";
import type { connect as connectFunction } from "../src/cluster/connect.ts";
import type { defineScript as defineFunction } from "../src/scripts/script.ts";
import { startCluster } from "../src/testing/index.ts";
import { CACHE, cacheSettings } from "./support/commands.ts";
import { conducted } from "./support/conducted.ts";
import { Occasion } from "./support/occasion.ts";
import { settingsOf } from "./support/options.ts";
import { Progress } from "./support/progress.ts";
import { linesOf } from "./support/report.ts";
import { shuffled } from "./support/turns.ts";

const { rounds } = settingsOf(CACHE, cacheSettings);
/** The built client, as users run it. */
const built: { connect: typeof connectFunction; defineScript: typeof defineFunction } = await import(
  new URL("../dist/index.js", import.meta.url).href
);
const KEYS = Array.from({ length: 1000 }, (_, index) => `key:${index}`);
const PAIRS = KEYS.map((key) => [`{${key}}:a`, `{${key}}:b`] as const);
const ARGS = ["limit", 10] as const;
/** Awaited one after the other, as a caller does. */
const HITS = 30_000;
const SENT = 6000;

const two = built.defineScript({
  name: "two",
  source: "return redis.call('get', KEYS[1]) .. redis.call('get', KEYS[2]) .. ARGV[1] .. ARGV[2]",
  numberOfKeys: 2,
  readOnly: true,
});

interface Way {
  readonly name: string;
  readonly calls: number;
  run(calls: number): Promise<void>;
}

/** CPU of this process in microseconds a call. */
async function costOf({ run, calls }: Way): Promise<number> {
  const before = process.cpuUsage();
  await run(calls);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

function oneByOne(call: (index: number) => Promise<unknown>): Way["run"] {
  return async (calls) => {
    for (let index = 0; index < calls; index++) await call(index % KEYS.length);
  };
}

/** 64 callers, each of which awaits its call and makes the next one. */
function abreast(call: (index: number) => Promise<unknown>): Way["run"] {
  return async (calls) => {
    let next = 0;
    const caller = async () => {
      while (next < calls) await call(next++);
    };
    await Promise.all(Array.from({ length: 64 }, caller));
  };
}

const key = (index: number) => KEYS[index % KEYS.length] as string;

function hitWays(cached: Cluster): readonly Way[] {
  const map = new Map(KEYS.map((each) => [each, each]));
  const looked = async (each: string) => map.get(each);
  return [
    { name: "a resolved promise", calls: HITS, run: oneByOne((index) => Promise.resolve(key(index))) },
    { name: "a Map look-up behind a promise", calls: HITS, run: oneByOne((index) => looked(key(index))) },
    { name: "GET", calls: HITS, run: oneByOne((index) => cached.command("GET", key(index))) },
    {
      name: "a script, 2 keys, 2 arguments",
      calls: HITS,
      run: oneByOne((index) => cached.run(two, PAIRS[index] as readonly [string, string], ARGS)),
    },
  ];
}

function sentWays(without: Cluster, beside: Cluster, cached: Cluster): readonly Way[] {
  let unique = 0;
  const get = (cluster: Cluster) => abreast((index) => cluster.command("GET", key(index)));
  const set = (cluster: Cluster) => abreast((index) => cluster.command("SET", key(index), "value"));
  return [
    { name: "GET, client without a cache", calls: SENT, run: get(without) },
    { name: "GET, uncached view beside a cache", calls: SENT, run: get(beside) },
    {
      name: "GET, cached view, not in memory",
      calls: SENT,
      run: abreast(() => cached.command("GET", `miss:${unique++}`)),
    },
    { name: "SET, client without a cache", calls: SENT, run: set(without) },
    { name: "SET, uncached view beside a cache", calls: SENT, run: set(beside) },
  ];
}

await conducted(CACHE.name, async (undo) => {
  const servers = await startCluster({ primaries: 3 });
  undo(() => servers.stop());
  const nodes = servers.nodes;
  const without = await built.connect({ nodes, scripts: [two] });
  undo(() => without.destroy());
  const beside = await built.connect({ nodes, scripts: [two], cache: {} });
  undo(() => beside.destroy());
  const hitting = await built.connect({ nodes, scripts: [two], cache: { maxAge: 2 ** 31 - 1 } });
  undo(() => hitting.destroy());
  const cached = hitting.with({ cached: true });
  await Promise.all([...KEYS, ...PAIRS.flat()].map((each) => without.command("SET", each, "value")));
  const missing = beside.with({ cached: true });
  await fill(cached);
  const ways = hitWays(cached);
  const sent = sentWays(without, beside, missing);
  for (const way of [...ways, ...sent]) for (let turn = 0; turn < 3; turn++) await costOf(way);
  const occasion = await Occasion.begin(servers.version, "3 primaries on loopback");
  const progress = new Progress(rounds);
  undo(() => progress.end());
  const costs = new Map([...ways, ...sent].map((way) => [way.name, [] as number[]]));
  let hits = 0;
  let asked = 0;
  for (let round = 0; round < rounds; round++) {
    progress.step(`round ${round + 1}`);
    await fill(cached);
    const before = hitting.metrics();
    for (const way of shuffled(ways)) costs.get(way.name)?.push(await costOf(way));
    const after = hitting.metrics();
    hits += (after.cache?.hits ?? 0) - (before.cache?.hits ?? 0);
    asked += (after.cache?.misses ?? 0) - (before.cache?.misses ?? 0) + after.counters.calls - before.counters.calls;
    for (const way of shuffled(sent)) costs.get(way.name)?.push(await costOf(way));
  }
  progress.end();
  const of = (name: string) => costs.get(name) as number[];
  for (const line of occasion.lines([...costs.values()].map((each) => ({ rounds: each })))) console.log(line);
  const us = (estimate: Estimate) => intervalText(estimate, (value) => value.toFixed(2));
  const floor = of("a resolved promise");
  const hitRows = ways.map(({ name }) => {
    const own = of(name);
    const above = own.map((cost, index) => cost - (floor[index] as number));
    return [name, us(estimateOf(own)), own === floor ? "" : us(estimateOfDifferences(above)), figureOf(rounds * HITS)];
  });
  for (const line of linesOf([["answered from memory", "CPU us a call", "above a promise", "calls"], ...hitRows])) {
    console.log(line);
  }
  console.log(`\n${figureOf(hits)} hits sent ${asked} calls.\n`);
  const sentRows = sent.map(({ name }) => {
    const base = of(`${name.slice(0, 3)}, client without a cache`);
    return [
      name,
      us(estimateOf(of(name))),
      of(name) === base ? "" : ratioText(ratioOf(of(name), base)),
      figureOf(rounds * SENT),
    ];
  });
  for (const line of linesOf([["sent, 64 callers", "CPU us a call", "ratio", "calls"], ...sentRows])) console.log(line);
  return 0;
});

async function fill(cached: Cluster): Promise<void> {
  for (let turn = 0; turn < 2; turn++) {
    await Promise.all(KEYS.map((each) => cached.command("GET", each)));
    await Promise.all(PAIRS.map((pair) => cached.run(two, pair, ARGS)));
  }
}
