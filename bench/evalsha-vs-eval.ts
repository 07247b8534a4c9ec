/*
 * EVALSHA against EVAL, by script size and calls in flight, on a real cluster: npm run bench [-- --quick]
 * Prints a table; writes it as Markdown, JSON and one HTML page to bench/results/.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startCluster } from "../src/testing/index.ts";
import { sourceOf } from "./support/bench-script.ts";
import { type Comparison, compare, type Situation } from "./support/comparison.ts";
import { describeEnvironment } from "./support/environment.ts";
import { htmlOf } from "./support/html-report.ts";
import { prices } from "./support/prices.ts";
import { Progress } from "./support/progress.ts";
import { type BenchReport, markdownOf, priceTable, tableOf } from "./support/report.ts";

const USAGE = `Usage: npm run bench -- [--quick] [--out FOLDER]

  --quick       fewer and shorter rounds: half a minute in place of some minutes
  --out FOLDER  where the report goes (bench/results)
`;
const { values } = parseArgs({
  options: { quick: { type: "boolean" }, out: { type: "string" }, help: { type: "boolean" } },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const quick = values.quick === true;
const out = values.out ?? new URL("results/", import.meta.url).pathname;

const situations: Situation[] = [1, 64, 1024].flatMap((inFlight) =>
  [100, 1024, 10_240, 65_536].flatMap((bytes) =>
    (["code", "comment"] as const)
      // A hundred bytes hold no filling to speak of.
      .filter((filling) => filling === "code" || bytes >= 10_240)
      .map((filling) => ({ bytes, filling, inFlight, calls: callsFor(bytes, inFlight), rounds: quick ? 2 : 7 })),
  ),
);

/** Enough for a burst of some tenths of a second, and for a 99.9th percentile over all rounds. */
function callsFor(bytes: number, inFlight: number): number {
  const most = { 1: 2000, 64: 12_000, 1024: 24_000 }[inFlight] ?? 2000;
  return Math.max(inFlight * 2, Math.round(most / (1 + bytes / 8192) / (quick ? 4 : 1)));
}

// slotwire as its users get it: built, not run from source.
const built = new URL("../dist/index.js", import.meta.url).href;
const { connect, defineScript } = (await import(built)) as typeof import("../src/index.ts");
const cluster = await startCluster({ primaries: 3 });
const client = await connect({
  nodes: cluster.nodes,
  commandTimeout: 60_000,
  // 1,024 calls of 64 KB are more than anyone should queue by default.
  maxPendingBytesPerNode: 1024 * 1024 * 1024,
});
const progress = new Progress(situations.length + 1);
let leaving = false;
const leave = async (status: number) => {
  leaving = true;
  client.destroy();
  await cluster.stop();
  process.exit(status);
};
process.once("SIGINT", () => void leave(130));
process.once("SIGTERM", () => void leave(143));
try {
  await measure();
  await leave(0);
} catch (error) {
  // After Ctrl-C the calls under way fail; that is no news.
  if (!leaving) {
    console.error(error);
    await leave(1);
  }
}

async function measure(): Promise<void> {
  const comparisons: Comparison[] = [];
  for (const situation of situations) {
    progress.step(`${situation.bytes} bytes of ${situation.filling}, ${situation.inFlight} in flight`);
    comparisons.push(await compare(cluster, client, defineScript, situation));
  }
  progress.step("NOSCRIPT, MOVED, ASK");
  const small = defineScript({ name: "price", source: sourceOf(1024), numberOfKeys: 1 });
  const report: BenchReport = {
    environment: describeEnvironment(cluster.version),
    method: `3 primaries and the client on one machine, over loopback. ${situations[0]?.rounds} rounds of bursts in a closed loop, EVALSHA and EVAL in turns; calls/s are medians of rounds, latencies are of all calls. Bytes and CPU are the servers' own count. Every reply is checked.`,
    comparisons,
    prices: await prices(cluster, client, small, quick ? 15 : 60),
  };
  progress.end();

  console.log(`${report.environment.server}\nNode ${report.environment.node}, ${report.environment.cpu}\n`);
  for (const line of tableOf(comparisons)) console.log(line);
  console.log();
  for (const line of priceTable(report.prices)) console.log(line);
  mkdirSync(out, { recursive: true });
  const name = `${report.environment.date.slice(0, 10)}-evalsha-vs-eval`;
  writeFileSync(`${out}/${name}.json`, `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(`${out}/${name}.md`, markdownOf(report));
  writeFileSync(`${out}/${name}.html`, htmlOf(report));
  console.log(`\nWritten: ${name}.json, .md and .html in ${values.out ?? "bench/results"}`);
}
