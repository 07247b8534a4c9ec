/*
 * What the order of a batch costs: npm run bench:batch [rounds]
 * 1,000 calls of one script on one slot, by `run`, by a batch, and by a batch that promises no order. The three take turns
 * in one process, and each ratio is that of one round.
 */
import { startCluster } from "../src/testing/index.ts";
import { median } from "./support/statistics.ts";

const built = new URL("../dist/index.js", import.meta.url).href;
const { connect, defineScript } = (await import(built)) as typeof import("../src/index.ts");

const CALLS = 1000;
const rounds = Number(process.argv[2] ?? 15);
const server = await startCluster({ primaries: 3 });
console.log(`${server.version}\nNode ${process.version}, 3 primaries on loopback, ${rounds} rounds, medians\n`);
console.log("bytes of source | run ms | batch / run (min-max) | batch, unordered / run (min-max)");
for (const bytes of [200, 1000, 5000, 20_000, 64_000]) {
  const body = "redis.call('RPUSH', KEYS[1], ARGV[1]) return 1 --";
  const script = defineScript({ name: `of ${bytes}`, numberOfKeys: 1, source: body.padEnd(bytes, "x") });
  const client = await connect({ nodes: server.nodes, scripts: [script] });
  const indexes = Array.from({ length: CALLS }, (_, index) => index);
  const ways: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
    run: (key) => Promise.all(indexes.map((index) => client.run(script, [key], [index]))),
    batch: (key) => {
      const batch = client.batch();
      for (const index of indexes) batch.run(script, [key], [index]);
      return batch.exec();
    },
    unordered: (key) => {
      const batch = client.batch({ ordered: false });
      for (const index of indexes) batch.run(script, [key], [index]);
      return batch.exec();
    },
  };
  const took: Record<string, number[]> = { run: [], batch: [], unordered: [] };
  for (let round = 0; round < rounds; round++) {
    const order = Object.keys(ways);
    for (const way of round % 2 === 0 ? order : order.reverse()) {
      const key = `{one slot}${bytes}:${way}:${round}`;
      const start = performance.now();
      await ways[way]?.(key);
      took[way]?.push(performance.now() - start);
      const list = await client.command<string[]>("LRANGE", key, 0, -1);
      const isRight =
        way === "unordered" ? list.length === CALLS : list.every((value, index) => Number(value) === index);
      if (!isRight || list.length !== CALLS)
        throw new Error(`${way}: the calls did not run once each, in their order.`);
    }
  }
  const ratio = (way: string) => {
    const ratios = (took[way] ?? []).map((ms, round) => ms / (took.run?.[round] ?? Number.NaN));
    return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`;
  };
  const cells = [
    String(bytes).padStart(15),
    median(took.run ?? [])
      .toFixed(1)
      .padStart(6),
  ];
  console.log([...cells, ratio("batch").padStart(21), ratio("unordered").padStart(32)].join(" | "));
  await client.close();
}
await server.stop();
