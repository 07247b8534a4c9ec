/*
 * Compares EVALSHA with EVAL on a real cluster, by script size and calls in flight: npm run bench [-- --quick]
 * Prints tables; writes them as Markdown, JSON and one HTML page to bench/results/.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { pageOf } from "../src/cli/bench/page.ts";
import { noiseLine } from "../src/cli/bench/quiet.ts";
import { benchSettings, COMMAND } from "./support/bench-options.ts";
import { conducted } from "./support/conducted.ts";
import { judged } from "./support/judged.ts";
import { settingsOf } from "./support/options.ts";
import { type FullReport, jsonOf, leftOutLines, linesOf, markdownOf, sectionsOf } from "./support/report.ts";
import { pageSectionsOf } from "./support/section-charts.ts";
import { wholeRun } from "./support/whole-run.ts";

const settings = settingsOf(COMMAND, benchSettings);

await conducted(COMMAND.name, async (undo) => {
  const report = await wholeRun(settings, undo);
  publish(report, settings.out);
  return settings.earlier === undefined ? 0 : judged(COMMAND.name, settings.earlier, report);
});

function publish(report: FullReport, out: string | undefined): void {
  const { server, node, cpu, cores } = report.environment;
  const noise = noiseLine(report.quiet);
  if (noise !== undefined) console.log(`${noise}\n`);
  console.log(`${server}\nNode ${node}, ${cores} x ${cpu}\n\n${report.method}`);
  const sections = sectionsOf(report);
  for (const { title, note, rows } of sections) {
    console.log(`\n${title}\n${note}\n`);
    for (const line of linesOf(rows)) console.log(line);
  }
  for (const line of leftOutLines(report)) console.log(line === "" ? line : `\n${line}`);
  const folder = out ?? new URL("results", import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  const name = `${report.environment.date.slice(0, 16).replace(":", "")}-evalsha-vs-eval`;
  writeFileSync(`${folder}/${name}.json`, `${jsonOf(report)}\n`);
  writeFileSync(`${folder}/${name}.md`, markdownOf(report));
  // The page draws what is common to all benchmarks by itself.
  writeFileSync(`${folder}/${name}.html`, pageOf(report, { sections: pageSectionsOf(report, sections), raw: report }));
  console.log(`\nWritten: ${name}.json, .md and .html in ${out ?? "bench/results"}`);
}
