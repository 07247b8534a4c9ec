import { type Estimate, widthOf } from "../../src/cli/bench/estimate.ts";
import { type Round, RoundSeries, ratiosOf, type Slice } from "../../src/cli/bench/rounds.ts";
import type { MeasuredProcess } from "./measured-process.ts";
import { shuffled } from "./turns.ts";

/** Ways that are measured in processes of their own, under several loads. */
export interface InProcesses<Load> {
  readonly loads: readonly Load[];
  /** Starts a process for each way; the first way is the base. */
  readonly start: (load: Load) => Promise<readonly MeasuredProcess[]>;
  /** How many times new processes are started for each load. */
  readonly sets: number;
  /** Goes on until the ratios of CPU are known to this share. */
  readonly until?: number | undefined;
  /** The most sets, for `until`. */
  readonly atMost?: number;
  readonly progress: (load: Load, set: number) => void;
}

/** A process that was lucky with its memory and its compiler is so for all of its rounds, so there are few in each. */
const ROUNDS_IN_A_SET = 4;
/** Long enough that the first and the last calls, which are not in the middle of others, count for little. */
const SLICE_MS = 100;

/**
 * Measures all loads, in an order that is shuffled again for each set of processes. Within a set the ways take turns, in an
 * order that is shuffled and then mirrored.
 * @returns the rounds of each load, in the order of the loads.
 */
export async function measuredInProcesses<Load>(what: InProcesses<Load>): Promise<readonly (readonly Round[])[]> {
  const rounds = new Map<Load, Round[]>(what.loads.map((load) => [load, []]));
  const isEnough = (load: Load, set: number) => {
    if (set < what.sets) return false;
    const widest = widestOf(rounds.get(load) ?? []);
    return what.until === undefined || widest === undefined || widthOf(widest) <= what.until;
  };
  for (let set = 0; set < Math.max(what.sets, what.until === undefined ? 0 : (what.atMost ?? 60)); set++) {
    const left = what.loads.filter((load) => !isEnough(load, set));
    for (const load of shuffled(left)) {
      what.progress(load, set);
      rounds.get(load)?.push(...(await roundsOf(load, what.start)));
    }
    if (left.length === 0) break;
  }
  return what.loads.map((load) => rounds.get(load) ?? []);
}

/** The CPU of one call, in microseconds. */
export function cpuOfCall({ calls, costs }: Slice): number {
  return (costs.clientCpu ?? Number.NaN) / calls;
}

async function roundsOf<Load>(load: Load, start: InProcesses<Load>["start"]): Promise<readonly Round[]> {
  const processes = await start(load);
  try {
    const series = new RoundSeries(processes, { sliceMilliseconds: SLICE_MS });
    await series.warmUp();
    for (let round = 0; round < ROUNDS_IN_A_SET; round++) await series.round();
    return series.rounds;
  } finally {
    for (const each of processes) each.end();
  }
}

function widestOf(rounds: readonly Round[]): Estimate | undefined {
  return [...ratiosOf(rounds, cpuOfCall).values()].sort((a, b) => widthOf(b) - widthOf(a))[0];
}
