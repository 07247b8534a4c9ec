import { Bench } from "tinybench";
import { type ComparedLoad, comparisonOf } from "../../src/cli/bench/comparison.ts";
import type { Comparison } from "../../src/cli/bench/report.ts";
import { atMostFor, type NamedSlice, RoundSeries } from "../../src/cli/bench/rounds.ts";
import { reached } from "../../src/cli/bench/until.ts";
import type { Situation } from "./plan.ts";
import { measureInTurns, type Turn, type TurnsOptions } from "./turns.ts";
import { type Bed, measuredWay, type WayOfCalling } from "./ways.ts";

/** What is to be compared under one load. The first way is the base. */
export interface Asked {
  readonly bed: Bed;
  readonly situation: Situation;
  readonly ways: readonly WayOfCalling[];
  /** In front of the id, where another comparison has the same script and load. */
  readonly prefix?: string;
}

export interface MeasuringOptions extends TurnsOptions {
  /** The least number of calls that each caller makes in a slice. */
  readonly callsEach: number;
}

/** Measures all comparisons in turns. Resolves to them in the order in which they were asked for. */
export async function compared(asked: readonly Asked[], options: MeasuringOptions): Promise<readonly Comparison[]> {
  const turns = asked.map(
    ({ bed, situation, ways, prefix = "" }): Turn & { readonly situation: Situation; readonly prefix: string } => ({
      prefix,
      title: titleOf(situation),
      situation,
      series: new RoundSeries(
        ways.map((way) => measuredWay(bed, way)),
        {
          seconds: options.seconds,
          sliceCalls: options.callsEach * situation.inFlight,
          random: options.random,
          drive: byTinybench,
        },
      ),
    }),
  );
  await measureInTurns(turns, options);
  return turns.map(({ prefix, situation, series }) => {
    const comparison = comparisonOf(series.rounds, comparedAs(situation, prefix));
    const { until, seconds, atMost = atMostFor(seconds) } = options;
    return until === undefined ? comparison : { ...comparison, until: reached(comparison, until, atMost) };
  });
}

/** What is the same in each run that measures this situation. */
export function comparedAs(situation: Situation, prefix = ""): ComparedLoad {
  const { called, inFlight } = situation;
  const { name } = called.script;
  const id = `${prefix}${name}, ${inFlight} in flight`;
  return { id, title: titleOf(situation), script: { name, bytes: called.bytes }, inFlight };
}

export function titleOf({ called, inFlight }: Situation): string {
  return `${called.title}, ${inFlight.toLocaleString("en")} in flight`;
}

/** Each slice is one run of a tinybench task. Calls and times are those that the slices count themselves. */
async function byTinybench(slices: readonly NamedSlice[]): Promise<void> {
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, throws: true });
  for (const [index, { name, run }] of slices.entries()) {
    bench.add(`${name}, slice ${index}`, async () => {
      await run();
    });
  }
  await bench.run();
}
