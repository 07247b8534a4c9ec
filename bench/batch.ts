/*
 * What the order of a batch costs: npm run bench:batch -- --help
 * 1,000 calls of one script on one slot, by `run`, by a batch, and by a batch that promises no order. The three take turns
 * in one process, in an order that is shuffled in each round, and each ratio is that of one round.
 */
import { estimateOf, ratioOf } from "../src/cli/bench/estimate.ts";
import { figureOf, intervalText, ratioText } from "../src/cli/bench/page-words.ts";
import { startCluster } from "../src/testing/index.ts";
import { BATCHES, batchSettings } from "./support/commands.ts";
import { conducted } from "./support/conducted.ts";
import { Occasion } from "./support/occasion.ts";
import { settingsOf } from "./support/options.ts";
import { Progress } from "./support/progress.ts";
import { linesOf } from "./support/report.ts";
import { shuffled } from "./support/turns.ts";

const CALLS = 1000;
const SIZES = [200, 1000, 5000, 20_000, 64_000];
const WAYS = ["run", "batch", "unordered"] as const;
type Way = (typeof WAYS)[number];

const { rounds } = settingsOf(BATCHES, batchSettings);
const built = new URL("../dist/index.js", import.meta.url).href;
const { connect, defineScript } = (await import(built)) as typeof import("../src/index.ts");

await conducted(BATCHES.name, async (undo) => {
  const server = await startCluster({ primaries: 3 });
  undo(() => server.stop());
  const progress = new Progress(SIZES.length);
  undo(() => progress.end());
  const occasion = await Occasion.begin(server.version, "3 primaries on loopback");
  const all: { readonly bytes: number; readonly took: Readonly<Record<Way, number[]>> }[] = [];
  for (const bytes of SIZES) {
    progress.step(`${bytes} bytes`);
    all.push({ bytes, took: await measured(server.nodes, bytes) });
  }
  progress.end();
  const ways = all.flatMap(({ took }) => WAYS.map((way) => ({ rounds: took[way] })));
  for (const line of occasion.lines(ways)) console.log(line);
  const head = ["bytes of source", "run ms", "batch / run", "batch, unordered / run", "calls of each"];
  const rows = all.map(({ bytes, took }) => [
    bytes.toLocaleString("en"),
    intervalText(estimateOf(took.run), (ms) => ms.toFixed(1)),
    ratioText(ratioOf(took.batch, took.run)),
    ratioText(ratioOf(took.unordered, took.run)),
    figureOf(rounds * CALLS),
  ]);
  for (const line of linesOf([head, ...rows])) console.log(line);
  return 0;
});

/** The milliseconds of each way in each round. The first round is left out, because nothing is compiled then. */
async function measured(nodes: readonly string[], bytes: number): Promise<Readonly<Record<Way, number[]>>> {
  const body = "redis.call('RPUSH', KEYS[1], ARGV[1]) return 1 --";
  const script = defineScript({ name: `of ${bytes}`, numberOfKeys: 1, source: body.padEnd(bytes, "x") });
  const client = await connect({ nodes, scripts: [script] });
  const indexes = Array.from({ length: CALLS }, (_, index) => index);
  const ways: Readonly<Record<Way, (key: string) => Promise<unknown>>> = {
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
  const took: Readonly<Record<Way, number[]>> = { run: [], batch: [], unordered: [] };
  try {
    for (let round = -1; round < rounds; round++) {
      for (const way of shuffled(WAYS)) {
        const key = `{one slot}${bytes}:${way}:${round}`;
        const start = performance.now();
        await ways[way](key);
        if (round >= 0) took[way].push(performance.now() - start);
        const list = await client.command<string[]>("LRANGE", key, 0, -1);
        const isRight = way === "unordered" || list.every((value, index) => Number(value) === index);
        if (!isRight || list.length !== CALLS)
          throw new Error(`${way}: the calls did not run once each, in their order.`);
      }
    }
  } finally {
    client.destroy();
  }
  return took;
}
