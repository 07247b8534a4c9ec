import { drawAgainst, failureOf } from "../../src/cli/bench/draw-against.ts";
import type { EarlierRun } from "../../src/cli/bench/earlier-run.ts";
import type { BenchReport } from "../../src/cli/bench/report.ts";
import { textOf } from "../../src/cli/printable.ts";
import { paintFor } from "../../src/cli/terminal.ts";
import { FAILED } from "./options.ts";

/**
 * Tells what has changed since the earlier run. Gives the exit status: that of a failure, with one line, when a figure is
 * worse beyond the limit.
 * @param name  Stands in front of that line.
 */
export function judged(name: string, earlier: EarlierRun, report: BenchReport): number {
  const paint = paintFor(process.stdout.isTTY, process.env);
  const judgement = earlier.judge(report);
  process.stdout.write(`\n${textOf(drawAgainst(judgement, paint), paint)}`);
  const failure = failureOf(judgement);
  if (failure === undefined) return 0;
  process.stderr.write(`${name}: ${failure}\n`);
  return FAILED;
}
