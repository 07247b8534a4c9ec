/*
 * Compares slotwire, its peers and the floor on one real cluster: npm run bench:clients [-- --rounds 5] [--only TEXT]
 * Each client runs in a process of its own, in turn. The results are medians of rounds, with their spread.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { drawCurves } from "../src/cli/bench/draw-curve.ts";
import { ratesOf } from "../src/cli/bench/rates.ts";
import type { RateCurve } from "../src/cli/bench/report.ts";
import { PLAIN } from "../src/cli/terminal.ts";
import { type LocalCluster, startCluster } from "../src/testing/index.ts";
import { clientCurves } from "./clients/curves.ts";
import { ofItsOwn } from "./clients/own-figures.ts";
import { PEERS, type PeerName } from "./clients/peers.ts";
import { type Claim, claims, lines, type Measurements } from "./clients/summary.ts";
import { type Result, valueKey, WORKLOADS, type Workload } from "./clients/workload.ts";
import { describeEnvironment } from "./support/environment.ts";
import { Progress } from "./support/progress.ts";

const run = promisify(execFile);
/** All lines that were printed, for the file with the results. */
const said: string[] = [];
const say = (text: string) => {
  console.log(text);
  said.push(text);
};
const folder = fileURLToPath(new URL("clients/", import.meta.url));
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string" },
    rate: { type: "string" },
    out: { type: "string" },
  },
});
const rounds = Number(values.rounds);
/** The name that `--only` uses for the figures that concern slotwire alone. */
const OWN_FIGURES = "own figures";
/** The name that `--only` uses for latency under given rates. */
const CURVES = "latency under a given rate";
const rates = ratesOf(values.rate ?? "auto");
const CURVE_SECONDS = 1;

// Only this benchmark needs these dependencies, so they are installed when it runs.
if (!existsSync(`${folder}node_modules`)) execFileSync("npm", ["ci"], { cwd: folder, stdio: "inherit" });

const cluster = await startCluster({ primaries: 3 });
let leaving = false;
const leave = async (status: number) => {
  leaving = true;
  await cluster.stop();
  process.exit(status);
};
// The signal can come more than once, because both the terminal and npm send it.
process.on("SIGINT", () => void leave(130));
process.on("SIGTERM", () => void leave(143));
try {
  await compareAll();
  await leave(0);
} catch (error) {
  if (!leaving) {
    console.error(error);
    await leave(1);
  }
}

async function compareAll(): Promise<void> {
  const environment = describeEnvironment(cluster.version);
  say(
    `${environment.server}\nNode ${environment.node}, ${environment.cpu}, ${environment.cores} cores; 3 primaries on loopback`,
  );
  for (const [name, { settings }] of Object.entries(PEERS)) say(`  ${name.padEnd(14)} ${settings}`);
  await writeValues(cluster);
  const workloads = WORKLOADS.filter(({ name }) => values.only === undefined || name.includes(values.only));
  const names = Object.keys(PEERS) as PeerName[];
  const progress = new Progress(workloads.length * rounds);
  const all: Measurements[] = [];
  for (const workload of workloads) {
    const results = new Map<PeerName, Result[]>();
    const able = names.filter((name) => name !== "floor" || hasFloor(workload));
    // Results with 1 call in flight vary most from run to run, and they count against the floor.
    const times = workload.inFlight === 1 && workload.kind === "closed" ? Math.max(rounds, 11) : rounds;
    for (let round = 0; round < times; round++) {
      progress.step(`${workload.name}, round ${round + 1}`);
      // Each round begins with another client, so that none is always first.
      for (const name of [...able.slice(round % able.length), ...able.slice(0, round % able.length)]) {
        if (times > rounds && round >= rounds && name !== "floor" && name !== "slotwire") continue;
        results.set(name, [...(results.get(name) ?? []), await measure(name, workload)]);
      }
    }
    const measurements = { workload, results };
    all.push(measurements);
    progress.clear();
    say(`\n${workload.name}`);
    for (const line of lines(measurements)) say(`  ${line}`);
  }
  let curves: readonly RateCurve[] = [];
  if (values.only === undefined || values.rate !== undefined || CURVES.includes(values.only)) {
    const { nodes } = cluster;
    const name = (client: string, rate: number) =>
      progress.at(workloads.length * rounds, `${client}, ${rate.toLocaleString("en")} calls/s`);
    curves = await clientCurves({ nodes, rates, seconds: CURVE_SECONDS, progress: name });
    progress.clear();
    say("");
    for (const line of drawCurves(curves, 110, PLAIN)) say(line);
  }
  progress.end();
  say("\nWhat slotwire must show");
  const shown = claims(all);
  tell(shown);
  if (values.only === undefined || OWN_FIGURES.includes(values.only)) {
    const own = await ofItsOwn(cluster);
    tell(own);
    shown.push(...own);
  }
  const out = values.out ?? fileURLToPath(new URL("results/", import.meta.url));
  mkdirSync(out, { recursive: true });
  const plain = all.map(({ workload, results }) => ({ workload, results: Object.fromEntries(results) }));
  const file = `${out}/${environment.date.slice(0, 10)}-clients`;
  writeFileSync(`${file}.md`, `# Clients compared, ${environment.date}\n\n\`\`\`\n${said.join("\n")}\n\`\`\`\n`);
  writeFileSync(
    `${file}.json`,
    `${JSON.stringify({ environment, rounds, measurements: plain, curves, shown }, null, 1)}\n`,
  );
}

function tell(claims: readonly Claim[]): void {
  for (const { what, seen, holds } of claims) say(`  ${holds ? "ok    " : "SHORT "} ${what}: ${seen}`);
}

async function measure(name: PeerName, workload: Workload): Promise<Result> {
  const args = [
    "--expose-gc",
    "--import",
    "tsx",
    `${folder}worker.ts`,
    name,
    JSON.stringify(workload),
    ...cluster.nodes,
  ];
  const { stdout } = await run(process.execPath, args, { timeout: 120_000 });
  return JSON.parse(stdout.trim().split("\n").at(-1) as string) as Result;
}

function hasFloor({ script, argBytes, slowShare }: Workload): boolean {
  return script === "write" && argBytes === 16 && slowShare === 0;
}

async function writeValues({ nodes }: LocalCluster): Promise<void> {
  const { connect } = await import("../src/index.ts");
  const client = await connect({ nodes });
  for (const { script, replyBytes } of WORKLOADS) {
    if (script !== "read") continue;
    const keys = Array.from({ length: 64 }, (_, index) => valueKey(index, replyBytes));
    await Promise.all(keys.map((key) => client.command("SET", key, "v".repeat(replyBytes))));
  }
  await client.close();
}
