/*
 * Measures what slotwire costs more than the bare protocol: npm run bench:floor -- --help
 * Both run in processes of their own, in turn, against one cluster. Ratios are taken within rounds.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { comparisonOf } from "../src/cli/bench/comparison.ts";
import { figureOf, intervalText, ratioText } from "../src/cli/bench/page-words.ts";
import { noiseLine, QuietCheck } from "../src/cli/bench/quiet.ts";
import { type BenchReport, type Comparison, FORMAT, type WayFigures } from "../src/cli/bench/report.ts";
import { startCluster } from "../src/testing/index.ts";
import { FLOOR, floorSettings, type Load } from "./support/commands.ts";
import { conducted, type Finally } from "./support/conducted.ts";
import { describeEnvironment } from "./support/environment.ts";
import { measuredInProcesses } from "./support/in-processes.ts";
import { judged } from "./support/judged.ts";
import { LOAD_SCRIPT } from "./support/load-script.ts";
import { MeasuredProcess } from "./support/measured-process.ts";
import { settingsOf } from "./support/options.ts";
import { Progress } from "./support/progress.ts";
import { jsonOf, linesOf } from "./support/report.ts";

const HEAD = [
  "load",
  "floor CPU us",
  "slotwire CPU us",
  "slotwire / floor: CPU",
  "p50",
  "calls/s",
  "slotwire calls/s",
  "calls of each",
];

const settings = settingsOf(FLOOR, floorSettings);
await conducted(FLOOR.name, async (undo) => {
  const report = await measured(undo);
  publish(report);
  if (settings.earlier === undefined) return 0;
  return judged(FLOOR.name, settings.earlier, report);
});

async function measured(undo: Finally): Promise<BenchReport> {
  const { loads, pairs, until, earlier } = settings;
  const cluster = await startCluster({ primaries: 3 });
  undo(() => cluster.stop());
  const setting = "3 primaries, with the clients on the same machine, over loopback";
  const environment = describeEnvironment(cluster.version, setting);
  earlier?.refuseOther(environment, loads.map(comparedAs));
  const progress = new Progress(pairs * loads.length);
  undo(() => progress.end());
  const quiet = await QuietCheck.begin();
  const running = new Set<MeasuredProcess>();
  undo(() => {
    for (const each of running) each.end();
  });
  const rounds = await measuredInProcesses({
    loads,
    sets: pairs,
    until,
    progress: ({ name }) => progress.step(name),
    start: async ({ kind, inFlight }) => {
      const args = [kind === "batch" ? "batch" : String(inFlight), ...cluster.nodes];
      running.clear();
      for (const name of ["floor", "slotwire"]) {
        running.add(await MeasuredProcess.start(name, "./load-worker.ts", [name, ...args]));
      }
      return [...running];
    },
  });
  progress.end();
  const comparisons = loads.map((load, index) => comparisonOf(rounds[index] ?? [], comparedAs(load)));
  return {
    format: FORMAT,
    environment,
    quiet: quiet.end({ otherOwnCpu: undefined, comparisons }),
    method:
      "slotwire and bare sockets (the floor) in processes of their own, in turn, in rounds that are shuffled and mirrored; new processes after every four rounds. Figures are medians of rounds, ratios medians of the ratios of rounds, with the interval that holds them in 95 of 100 runs. Latency is that of a closed loop: from a caller's call to its reply; of a batch, from exec to the last reply.",
    comparisons,
    curves: [],
  };
}

function comparedAs({ name, inFlight }: Load): Omit<Comparison, "base" | "ways"> {
  return { id: name, title: name, script: { name: "set", bytes: Buffer.byteLength(LOAD_SCRIPT) }, inFlight };
}

function publish(report: BenchReport): void {
  const { environment, method, quiet, comparisons } = report;
  const { server, node, cpu, cores, setting } = environment;
  const noise = noiseLine(quiet);
  if (noise !== undefined) console.log(noise);
  console.log(`${server}\nNode ${node}, ${cores} x ${cpu}, ${setting}\n\n${method}\n`);
  for (const line of linesOf([HEAD, ...comparisons.map(cellsOf)])) console.log(line);
  if (settings.out === undefined) return;
  mkdirSync(settings.out, { recursive: true });
  const file = `${settings.out}/${environment.date.slice(0, 16).replace(":", "")}-floor.json`;
  writeFileSync(file, `${jsonOf(report)}\n`);
  console.log(`\nWritten: ${file}`);
}

function cellsOf({ title, ways }: Comparison): string[] {
  const [floor, slotwire] = ways as readonly [WayFigures, WayFigures];
  const cpu = ({ figures }: WayFigures) =>
    figures?.clientCpu ? intervalText(figures.clientCpu, (us) => us.toFixed(2)) : "-";
  const ratio = (name: string) => {
    const found = slotwire.ratios?.[name];
    return found === undefined ? "-" : ratioText(found);
  };
  return [
    title,
    cpu(floor),
    cpu(slotwire),
    ratio("clientCpu"),
    ratio("p50"),
    ratio("callsPerSecond"),
    figureOf(slotwire.callsPerSecond.median),
    `${figureOf(floor.calls)} / ${figureOf(slotwire.calls)}`,
  ];
}
