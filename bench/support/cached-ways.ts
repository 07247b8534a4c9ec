import type { Cluster } from "../../src/cluster/cluster.ts";
import type { connect as connectFunction } from "../../src/cluster/connect.ts";
import type { defineScript as defineFunction } from "../../src/scripts/script.ts";
import type { CachedPeer } from "../clients/cached-peer.ts";

/** A client as users get it. */
export interface Build {
  readonly connect: typeof connectFunction;
  readonly defineScript: typeof defineFunction;
}

/** Something that is done so often in each round. */
export interface Way {
  /** What stands in its row. */
  readonly labels: readonly string[];
  /** The way that it is compared with, in the same round. Undefined for the first one. */
  readonly base: Way | undefined;
  /** In a round. */
  readonly calls: number;
  run(calls: number): Promise<void>;
}

export const KEYS = Array.from({ length: 1000 }, (_, index) => `key:${index}`);
export const PAIRS = KEYS.map((key): readonly [string, string] => [`{${key}}:a`, `{${key}}:b`]);
const ARGS = ["limit", 10] as const;
/** Awaited one after the other, as a caller does. */
const HITS = 20_000;
const SENT: ReadonlyMap<number, number> = new Map([
  [1, 300],
  [64, 6000],
  [1024, 12_000],
]);
const WAVE = 1000;

export function scriptsOf({ defineScript }: Build) {
  const read = "redis.call('get', KEYS[1]) .. redis.call('get', KEYS[2]) .. ARGV[1] .. ARGV[2]";
  return {
    two: defineScript({ name: "two", source: `return ${read}`, numberOfKeys: 2, readOnly: true }),
    write: defineScript({ name: "write", source: "return redis.call('set', KEYS[1], ARGV[1])", numberOfKeys: 1 }),
  };
}
type Scripts = ReturnType<typeof scriptsOf>;

const at = <T>(list: readonly T[], index: number) => list[index % list.length] as T;

function oneByOne(call: (index: number) => Promise<unknown>): Way["run"] {
  return async (calls) => {
    for (let index = 0; index < calls; index++) await call(index % KEYS.length);
  };
}

/** So many callers, each of which awaits its call and makes the next one. */
function abreast(callers: number, call: (index: number) => Promise<unknown>): Way["run"] {
  return async (calls) => {
    let next = 0;
    const caller = async () => {
      while (next < calls) await call(next++);
    };
    await Promise.all(Array.from({ length: callers }, caller));
  };
}

/** Puts all that is asked below into the memory of the views. */
export async function fill({ two }: Scripts, views: readonly Cluster<string | Buffer>[]): Promise<void> {
  for (const view of views) {
    for (let turn = 0; turn < 2; turn++) {
      await Promise.all(KEYS.map((key) => view.command("GET", key)));
      await Promise.all(PAIRS.map((pair) => view.run(two, pair, ARGS)));
    }
  }
}

/** Hits, and what they are compared with. */
export function hitWays(
  { two }: Scripts,
  view: Cluster,
  buffers: Cluster<Buffer>,
  peer: CachedPeer | undefined,
): readonly Way[] {
  const map = new Map(KEYS.map((key) => [key, key]));
  const looked = async (key: string) => map.get(key);
  const base: Way = {
    labels: ["a resolved promise"],
    base: undefined,
    calls: HITS,
    run: oneByOne((index) => Promise.resolve(at(KEYS, index))),
  };
  const way = (label: string, call: (index: number) => Promise<unknown>, calls = HITS): Way => {
    return { labels: [label], base, calls, run: oneByOne(call) };
  };
  return [
    base,
    way("a Map look-up behind a promise", (index) => looked(at(KEYS, index))),
    way("GET", (index) => view.command("GET", at(KEYS, index))),
    way("GET, as a Buffer", (index) => buffers.command("GET", at(KEYS, index))),
    way("a script, 2 keys, 2 arguments", (index) => view.run(two, at(PAIRS, index), ARGS)),
    way("the same, as a Buffer", (index) => buffers.run(two, at(PAIRS, index), ARGS)),
    ...(peer === undefined ? [] : [way("node-redis, GET", (index) => peer.get(at(KEYS, index)), HITS / 4)]),
  ];
}

/** Reads that are not in memory, because `small` has room for few, beside the same reads of a client without a cache. */
export function missWays({ two }: Scripts, without: Cluster, small: Cluster): readonly Way[] {
  const calls = 3000;
  const pair = (name: string, of: (cluster: Cluster) => Way["run"]): readonly Way[] => {
    const base: Way = { labels: [name, "uncached"], base: undefined, calls, run: of(without) };
    return [base, { labels: [name, "not in memory"], base, calls, run: of(small) }];
  };
  let wave = 0;
  const equal = (cluster: Cluster) => async (calls: number) => {
    for (let made = 0; made < calls; made += WAVE) {
      const key = at(KEYS, wave++);
      await Promise.all(Array.from({ length: WAVE }, () => cluster.command("GET", key)));
    }
  };
  return [
    ...pair("GET, 64 in flight", (cluster) => abreast(64, (index) => cluster.command("GET", at(KEYS, index)))),
    ...pair("a script of 2 keys, 64 in flight", (cluster) =>
      abreast(64, (index) => cluster.run(two, at(PAIRS, index), ARGS)),
    ),
    ...pair("1,000 times the same GET at once", equal),
  ];
}

/** A client whose ordinary calls are measured. */
export interface Ordinary {
  readonly label: string;
  readonly cluster: Cluster;
  readonly scripts: Scripts;
}

/** Ordinary calls of some clients; the first one is the base. */
export function ordinaryWays(clients: readonly Ordinary[]): readonly Way[] {
  const kinds: [string, (client: Ordinary, index: number) => Promise<unknown>][] = [
    ["GET", ({ cluster }, index) => cluster.command("GET", at(KEYS, index))],
    ["a script that reads", ({ cluster, scripts }, index) => cluster.run(scripts.two, at(PAIRS, index), ARGS)],
    ["SET", ({ cluster }, index) => cluster.command("SET", at(KEYS, index), "value")],
    ["a script that writes", ({ cluster, scripts }, index) => cluster.run(scripts.write, [at(KEYS, index)], ["value"])],
  ];
  return kinds.flatMap(([kind, call]) =>
    [...SENT].flatMap(([inFlight, calls]) => {
      let base: Way | undefined;
      return clients.map((client) => {
        const run = abreast(inFlight, (index) => call(client, index));
        const way: Way = { labels: [kind, inFlight.toLocaleString("en"), client.label], base, calls, run };
        base ??= way;
        return way;
      });
    }),
  );
}

/** Reads on replicas, without and with a hedge that is never due. */
export function hedgeWays(reader: Cluster): readonly Way[] {
  const hedged = reader.with({ hedge: { after: 10_000 } });
  return [...SENT].flatMap(([inFlight, calls]) => {
    const of = (cluster: Cluster) => abreast(inFlight, (index) => cluster.command("GET", at(KEYS, index)));
    const name = inFlight.toLocaleString("en");
    const base: Way = { labels: [name, "without"], base: undefined, calls, run: of(reader) };
    return [base, { labels: [name, "with a hedge, none sent"], base, calls, run: of(hedged) }];
  });
}
