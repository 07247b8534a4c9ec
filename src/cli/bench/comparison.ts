import { type Estimate, estimateOf, LEAST_VALUES, ratioOf } from "./estimate.ts";
import { LEAST_BEYOND } from "./latency.ts";
import type { Comparison, WayFigures } from "./report.ts";
import { callsPerSecond, type Round, type Slice, together } from "./rounds.ts";

/** What is compared; the ways and their figures come from the rounds. */
export type ComparedLoad = Omit<Comparison, "base" | "ways">;

/**
 * The figures and ratios of all ways. The first way of the rounds is the base of the ratios.
 * @param rounds  As `measureRounds` gives them.
 */
export function comparisonOf(rounds: readonly Round[], load: ComparedLoad): Comparison {
  const [base = ""] = rounds[0]?.keys() ?? [];
  return { ...load, base, ways: wayFiguresOf(rounds) };
}

/** The figures of each way of the rounds, with its ratios to the first way. */
export function wayFiguresOf(rounds: readonly Round[]): readonly WayFigures[] {
  const [base = "", ...others] = rounds[0]?.keys() ?? [];
  return [
    figuresOf(rounds, base),
    ...others.map((name) => ({ ...figuresOf(rounds, name), ratios: ratiosTo(rounds, name, base) })),
  ];
}

function figuresOf(rounds: readonly Round[], name: string): WayFigures {
  const slices = slicesOf(rounds, name);
  const speeds = slices.map(callsPerSecond);
  const { calls, latencies, costs } = slices.reduce(together);
  return {
    name,
    calls,
    callsPerSecond: estimateOf(speeds),
    rounds: speeds,
    latency: latencies.summary(),
    costs: Object.fromEntries(Object.entries(costs).map(([cost, sum]) => [cost, sum / calls])),
  };
}

/** The ratios of calls a second, of quantiles, and of one call's part of each cost that both ways have. */
function ratiosTo(rounds: readonly Round[], name: string, base: string): Record<string, Estimate> {
  const ratios: Record<string, Estimate> = {};
  const add = (figure: string, of: (slice: Slice) => number, from: readonly Round[]) => {
    const values = slicesOf(from, name).map(of);
    const bases = slicesOf(from, base).map(of);
    if ([...values, ...bases].every((value) => value > 0)) ratios[figure] = ratioOf(values, bases);
  };
  add("callsPerSecond", callsPerSecond, rounds);
  for (const [figure, share] of [
    ["p50", 0.5],
    ["p99", 0.99],
  ] as const) {
    const enough = joined(rounds, [name, base], LEAST_BEYOND / (1 - share));
    if (enough.length >= LEAST_VALUES) add(figure, ({ latencies }) => latencies.quantile(share) ?? 0, enough);
  }
  for (const cost of Object.keys(rounds[0]?.get(base)?.costs ?? {})) {
    add(cost, ({ calls, costs }) => (costs[cost] ?? 0) / calls, rounds);
  }
  return ratios;
}

/** Rounds that have at least so many calls of each of the ways: neighbours are joined where one round has too few. */
function joined(rounds: readonly Round[], names: readonly string[], least: number): readonly Round[] {
  const all: Round[] = [];
  let open: Round | undefined;
  for (const round of rounds) {
    const next: Round = new Map(
      names.map((name) => {
        const [before, slice] = [open?.get(name), round.get(name) as Slice];
        return [name, before === undefined ? slice : together(before, slice)];
      }),
    );
    const isEnough = [...next.values()].every(({ calls }) => calls >= least - 1e-6);
    if (isEnough) all.push(next);
    open = isEnough ? undefined : next;
  }
  return all;
}

function slicesOf(rounds: readonly Round[], name: string): Slice[] {
  return rounds.map((round) => round.get(name) as Slice);
}
