/*
 * Compares slotwire, its peers and the floor on one real cluster: npm run bench:clients -- --help
 * Each client runs in a process of its own. Workloads and clients take turns in an order that is shuffled in each round, and
 * ratios are taken within rounds.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { drawCurves } from "../src/cli/bench/draw-curve.ts";
import type { RateCurve } from "../src/cli/bench/report.ts";
import { PLAIN } from "../src/cli/terminal.ts";
import { type LocalCluster, startCluster } from "../src/testing/index.ts";
import { clientCurves } from "./clients/curves.ts";
import { ofItsOwn } from "./clients/own-figures.ts";
import { type ClientsReport, clientsPageOf } from "./clients/page.ts";
import { PEERS, type PeerName } from "./clients/peers.ts";
import { type Claim, claims, figuresOf, lines, METRICS, type Measurements, ratiosOf } from "./clients/summary.ts";
import { type Result, valueKey, WORKLOADS, type Workload } from "./clients/workload.ts";
import { CLIENTS, clientsSettings, OWN_FIGURES } from "./support/commands.ts";
import { conducted, type Finally } from "./support/conducted.ts";
import { Occasion } from "./support/occasion.ts";
import { settingsOf } from "./support/options.ts";
import { Progress } from "./support/progress.ts";
import { jsonOf } from "./support/report.ts";
import { shuffled } from "./support/turns.ts";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("clients/", import.meta.url));
const { rounds, names, rates, hasCurves, out } = settingsOf(CLIENTS, (values) =>
  clientsSettings(
    values,
    WORKLOADS.map(({ name }) => name),
    fileURLToPath(new URL("results/", import.meta.url)),
  ),
);
const workloads = WORKLOADS.filter(({ name }) => names.includes(name));
const CURVE_SECONDS = 1;
/** With 1 call in flight results vary most from run to run, and they count against the floor. */
const ROUNDS_OF_ONE = 11;

// Only this benchmark needs these dependencies, so they are installed when it runs.
if (!existsSync(`${folder}node_modules`)) execFileSync("npm", ["ci"], { cwd: folder, stdio: "inherit" });

await conducted(CLIENTS.name, async (undo) => {
  const cluster = await startCluster({ primaries: 3 });
  undo(() => cluster.stop());
  const progress = new Progress(workloads.reduce((sum, workload) => sum + roundsFor(workload), 0));
  undo(() => progress.end());
  await writeValues(cluster);
  const occasion = await Occasion.begin(
    cluster.version,
    "3 primaries, with the clients on the same machine, over loopback",
  );
  const all = await measured(cluster, progress, undo);
  const curves = hasCurves ? await curvesOf(cluster, progress) : [];
  const shown = claims(all);
  if (names.includes(OWN_FIGURES)) {
    progress.at(0, OWN_FIGURES);
    shown.push(...(await ofItsOwn(cluster)));
  }
  progress.end();
  publish(occasion, all, curves, shown);
  return 0;
});

function roundsFor({ inFlight, kind }: Workload): number {
  return inFlight === 1 && kind === "closed" ? Math.max(rounds, ROUNDS_OF_ONE) : rounds;
}

async function measured(cluster: LocalCluster, progress: Progress, undo: Finally): Promise<Measurements[]> {
  const ending = new AbortController();
  undo(() => ending.abort());
  const clients = Object.keys(PEERS) as PeerName[];
  const found = new Map(workloads.map((workload) => [workload, new Map<PeerName, Result[]>()]));
  for (let round = 0; round < Math.max(0, ...workloads.map(roundsFor)); round++) {
    for (const workload of shuffled(workloads.filter((each) => round < roundsFor(each)))) {
      progress.step(`${workload.name}, round ${round + 1}`);
      const able = clients.filter((name) => {
        if (name === "floor") return hasFloor(workload);
        return name === "slotwire" || round < rounds;
      });
      for (const name of shuffled(able)) {
        const results = found.get(workload) as Map<PeerName, Result[]>;
        results.set(name, [...(results.get(name) ?? []), await measure(cluster, name, workload, ending.signal)]);
      }
    }
  }
  return workloads.map((workload) => {
    const results = found.get(workload);
    // In the order of the clients, and not in that of their first turns.
    return {
      workload,
      results: new Map(clients.flatMap((name) => (results?.has(name) ? [[name, results.get(name) ?? []]] : []))),
    };
  });
}

async function curvesOf({ nodes }: LocalCluster, progress: Progress): Promise<readonly RateCurve[]> {
  return clientCurves({
    nodes,
    rates,
    seconds: CURVE_SECONDS,
    progress: (client, rate) => progress.at(0, `${client}, ${rate.toLocaleString("en")} calls/s`),
  });
}

function publish(
  occasion: Occasion,
  all: readonly Measurements[],
  curves: readonly RateCurve[],
  shown: readonly Claim[],
): void {
  const { environment } = occasion;
  const ways = all.flatMap(({ results }) =>
    [...results.values()].map((each) => ({ rounds: each.map(({ callsPerSecond }) => callsPerSecond) })),
  );
  const said = [
    ...occasion.lines(ways),
    ...Object.entries(PEERS).map(([name, { settings }]) => `  ${name.padEnd(14)} ${settings}`),
    ...all.flatMap((each) => ["", each.workload.name, "", ...lines(each)]),
    ...(curves.length === 0 ? [] : ["", ...drawCurves(curves, 110, PLAIN)]),
    ...(shown.length === 0 ? [] : ["", "What slotwire must show"]),
    ...shown.map(({ what, seen, verdict }) => `  ${verdict.padEnd(11)}  ${what}: ${seen}`),
  ];
  for (const line of said) console.log(line);
  const report: ClientsReport & { readonly format: string } = {
    format: "slotwire-clients/2",
    environment,
    quiet: occasion.quiet(ways),
    method: `${rounds} rounds. Each client runs in a process of its own; workloads and clients take turns, in an order that is shuffled in each round. Figures are medians of rounds, ratios medians of the ratios of rounds, with the interval that holds them in 95 of 100 runs.`,
    clients: Object.entries(PEERS).map(([name, { settings }]) => ({ name, settings })),
    metrics: METRICS.map(({ key, name, unit }) => ({ key, name, unit })),
    workloads: all.map(figuresOf),
    ratios: all.flatMap(ratiosOf),
    claims: shown,
    curves,
    raw: all.map(({ workload, results }) => ({ workload, results: Object.fromEntries(results) })),
  };
  mkdirSync(out, { recursive: true });
  const file = `${out}/${environment.date.slice(0, 10)}-clients`;
  writeFileSync(`${file}.md`, `# Clients compared, ${environment.date}\n\n\`\`\`\n${said.join("\n")}\n\`\`\`\n`);
  writeFileSync(`${file}.json`, `${jsonOf(report)}\n`);
  writeFileSync(`${file}.html`, clientsPageOf(report));
  console.log(`\nWritten: ${file}.md, .json and .html`);
}

async function measure(
  { nodes }: LocalCluster,
  name: PeerName,
  workload: Workload,
  signal: AbortSignal,
): Promise<Result> {
  const args = ["--expose-gc", "--import", "tsx", `${folder}worker.ts`, name, JSON.stringify(workload), ...nodes];
  const { stdout } = await run(process.execPath, args, { timeout: 120_000, signal });
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
