/*
 * Compares EVALSHA with EVAL on a real cluster, by script size and calls in flight: npm run bench [-- --quick]
 * Prints tables; writes them as Markdown, JSON and one HTML page to bench/results/.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type BenchCluster, openBenchCluster } from "./support/bench-cluster.ts";
import { type ColdCache, coldCache } from "./support/cold-cache.ts";
import { type Comparison, compare } from "./support/comparison.ts";
import { describeEnvironment } from "./support/environment.ts";
import { htmlOf } from "./support/html-report.ts";
import { FULL, type Plan, QUICK, SITUATIONS } from "./support/plan.ts";
import { type Price, prices } from "./support/prices.ts";
import { Progress } from "./support/progress.ts";
import { type BenchReport, jsonOf, linesOf, markdownOf, sectionsOf, sizeOf } from "./support/report.ts";
import { ServerMeter } from "./support/server-costs.ts";

const USAGE = `Usage: npm run bench -- [--quick] [--nodes HOST:PORT,...] [--out FOLDER]

  --quick                 fewer and shorter rounds: half a minute in place of some minutes
  --nodes HOST:PORT,...   an existing cluster, in place of three primaries started here; redis:// and rediss:// as well.
                          It is put under load and gets keys slotwire-bench:*, which are deleted in the end, and scripts.
                          No script is flushed and no slot is moved: these parts are left out
  --out FOLDER            where the report goes (bench/results)
`;
const { quick, nodes, out, help } = optionsOf(process.argv.slice(2));
if (help) {
  process.stdout.write(USAGE);
  process.exit(0);
}

const plan = quick ? QUICK : FULL;
let bench: BenchCluster | undefined;
let leaving: Promise<never> | undefined;
const progress = new Progress(SITUATIONS.length + (nodes === undefined ? plan.cold.length + 1 : 0));
const leave = (status: number): Promise<never> => {
  leaving ??= (async () => {
    progress.end();
    await bench?.close().catch((error: unknown) => console.error(`Could not clean up: ${error}`));
    process.exit(status);
  })();
  return leaving;
};
// The signal can come more than once, because both the terminal and npm send it.
process.on("SIGINT", () => void leave(130));
process.on("SIGTERM", () => void leave(143));
try {
  bench = await openBenchCluster(nodes);
  publish(await measure(bench, plan));
  await leave(0);
} catch (error) {
  // After Ctrl-C the calls under way fail. These failures are not reported.
  if (leaving === undefined) console.error(error);
  await leave(1);
}

async function measure(bed: BenchCluster, plan: Plan): Promise<BenchReport> {
  const { client, own, defineScript, connect } = bed;
  const environment = describeEnvironment(bed.version);
  const meter = new ServerMeter(client);
  const comparisons: Comparison[] = [];
  for (const situation of SITUATIONS) {
    const { bytes, filling, inFlight } = situation;
    progress.step(`${sizeOf(bytes)} of ${filling}, ${inFlight} in flight`);
    comparisons.push(await compare({ client, meter, defineScript, alone: own !== undefined }, situation, plan));
  }
  const coldCaches: ColdCache[] = [];
  let paid: Price[] = [];
  if (own) {
    // The next steps flush scripts. This client would then load all of its scripts again, during the measured calls.
    await client.close();
    for (const situation of plan.cold) {
      const { bytes, filling, inFlight } = situation;
      progress.step(`cold cache, ${sizeOf(bytes)} of ${filling}, ${inFlight} in flight`);
      coldCaches.push(await coldCache(own, connect, defineScript, situation, plan.wavesOf(situation)));
    }
    progress.step("NOSCRIPT, MOVED, ASK");
    const payer = await connect();
    paid = await prices(own, payer, defineScript, plan.detours).finally(() => payer.close());
  }
  progress.end();
  return {
    environment,
    method: `On ${bed.setting}. ${plan.rounds} rounds of bursts in a closed loop, EVALSHA and EVAL in turns; calls/s are medians of rounds, latencies are of all calls. Bytes and CPU are the primaries' own count. Every reply is checked${own ? ", and the servers' count of calls as well" : ""}.`,
    comparisons,
    coldCaches,
    prices: paid,
  };
}

function publish(report: BenchReport): void {
  const { server, node, cpu, cores } = report.environment;
  console.log(`${server}\nNode ${node}, ${cores} x ${cpu}\n\n${report.method}`);
  for (const { title, note, rows } of sectionsOf(report)) {
    console.log(`\n${title}\n${note}\n`);
    for (const line of linesOf(rows)) console.log(line);
  }
  const folder = out ?? new URL("results", import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  const name = `${report.environment.date.slice(0, 16).replace(":", "")}-evalsha-vs-eval`;
  writeFileSync(`${folder}/${name}.json`, `${jsonOf(report)}\n`);
  writeFileSync(`${folder}/${name}.md`, markdownOf(report));
  writeFileSync(`${folder}/${name}.html`, htmlOf(report));
  console.log(`\nWritten: ${name}.json, .md and .html in ${out ?? "bench/results"}`);
}

function optionsOf(args: string[]): {
  quick: boolean;
  nodes: string[] | undefined;
  out: string | undefined;
  help: boolean;
} {
  try {
    const { values } = parseArgs({
      args,
      options: {
        quick: { type: "boolean", default: false },
        nodes: { type: "string" },
        out: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    return { quick: values.quick, nodes: values.nodes?.split(","), out: values.out, help: values.help };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
