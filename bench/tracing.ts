/*
 * Measures the cost of tracing and metrics: npm run bench:tracing -- --help
 * "removed" is a copy of the built client without the check for listeners and without the counters of calls. Each variant runs
 * in a process of its own, in turn, against one cluster. Ratios to "removed" are taken within rounds.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { wayFiguresOf } from "../src/cli/bench/comparison.ts";
import { figureOf, intervalText, ratioText } from "../src/cli/bench/page-words.ts";
import { startCluster } from "../src/testing/index.ts";
import { TRACING, tracingSettings } from "./support/commands.ts";
import { conducted } from "./support/conducted.ts";
import { measuredInProcesses } from "./support/in-processes.ts";
import { MeasuredProcess } from "./support/measured-process.ts";
import { Occasion } from "./support/occasion.ts";
import { settingsOf } from "./support/options.ts";
import { Progress } from "./support/progress.ts";
import { linesOf } from "./support/report.ts";
import type { Listening } from "./support/tracing-listeners.ts";

const { sets } = settingsOf(TRACING, tracingSettings);
const root = fileURLToPath(new URL("../", import.meta.url));
const dist = join(root, "dist");
const LOADS = [1, 256];
const VARIANTS: readonly { readonly name: string; readonly listening: Listening }[] = [
  { name: "removed", listening: "nobody" },
  { name: "nobody listens", listening: "nobody" },
  { name: "durations: true", listening: "durations" },
  { name: "slotwire:attempt", listening: "attempts" },
  { name: "slotwire:command", listening: "commands" },
  { name: "OpenTelemetry", listening: "opentelemetry" },
];

await conducted(TRACING.name, async (undo) => {
  const work = mkdtempSync(join(tmpdir(), "slotwire-tracing-"));
  undo(() => rmSync(work, { recursive: true, force: true }));
  const removed = withoutTracing(work);
  const cluster = await startCluster({ primaries: 3 });
  undo(() => cluster.stop());
  const progress = new Progress(sets * LOADS.length);
  undo(() => progress.end());
  const running = new Set<MeasuredProcess>();
  undo(() => {
    for (const each of running) each.end();
  });
  const occasion = await Occasion.begin(cluster.version, "3 primaries on loopback");
  const rounds = await measuredInProcesses({
    loads: LOADS,
    sets,
    progress: (inFlight) => progress.step(`${inFlight} in flight`),
    start: async (inFlight) => {
      running.clear();
      for (const { name, listening } of VARIANTS) {
        const args = [name === "removed" ? removed : dist, listening, String(inFlight), ...cluster.nodes];
        running.add(await MeasuredProcess.start(name, "./tracing-worker.ts", args));
      }
      return [...running];
    },
  });
  progress.end();
  const figures = rounds.map(wayFiguresOf);
  for (const line of occasion.lines(figures.flat())) console.log(line);
  const rows = LOADS.flatMap((inFlight, index) =>
    (figures[index] ?? []).map(({ name, calls, figures: each, ratios }) => [
      String(inFlight),
      name,
      each?.clientCpu ? intervalText(each.clientCpu, (us) => us.toFixed(2)) : "-",
      ratios?.clientCpu ? ratioText(ratios.clientCpu) : "",
      figureOf(calls),
    ]),
  );
  const head = ["in flight", "who listens", "CPU us a call", "ratio to removed", "calls"];
  for (const line of linesOf([head, ...rows])) console.log(line);
  return 0;
});

/** Makes a copy of the built client that never checks for listeners, and counts nothing. Returns its folder. */
function withoutTracing(work: string): string {
  const removed = join(work, "dist");
  cpSync(dist, removed, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(work, "node_modules"));
  const path = join(removed, "shared/core.js");
  let code = readFileSync(path, "utf8");
  const cut = (what: RegExp, by: string) => {
    const without = code.replace(what, by);
    if (without === code) throw new Error(`There is nothing to cut: ${what}`);
    code = without;
  };
  cut(/(function areCallsHeard\(\) \{)/, "$1 return false;");
  cut(/const isHeard = areWritesHeard\(\);/, "const isHeard = false;");
  cut(/this\.#isAnswerHeard = answerChannel\.hasSubscribers;/, "");
  cut(/counters\.calls\+\+;|if \(replied\)\s*counters\.replies\+\+;/g, "");
  cut(/this\.#counters\.bytes(Written|Read) \+= bytes\.length;/g, "");
  writeFileSync(path, code);
  return removed;
}
