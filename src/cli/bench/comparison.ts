import { type Estimate, estimateOf, LEAST_ROUNDS, ratioOf } from "./estimate.ts";
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
    figures: estimatesOf(rounds, name),
  };
}

/** The ratios of calls a second, of quantiles, and of one call's part of each cost that both ways have. */
function ratiosTo(rounds: readonly Round[], name: string, base: string): Record<string, Estimate> {
  const ratios: Record<string, Estimate> = {};
  for (const { figure, of, from } of figuresIn(rounds, [name, base])) {
    const values = slicesOf(from, name).map(of);
    const bases = slicesOf(from, base).map(of);
    if ([...values, ...bases].every((value) => value > 0)) ratios[figure] = ratioOf(values, bases);
  }
  return ratios;
}

/** The estimates of quantiles and costs. */
function estimatesOf(rounds: readonly Round[], name: string): Record<string, Estimate> {
  const estimates: Record<string, Estimate> = {};
  for (const { figure, of, from } of figuresIn(rounds, [name])) {
    const values = slicesOf(from, name).map(of);
    if (figure !== "callsPerSecond" && values.every((value) => value > 0)) estimates[figure] = estimateOf(values);
  }
  return estimates;
}

/** A figure of a slice, and the rounds that have enough calls for it. */
interface Figure {
  readonly figure: string;
  readonly of: (slice: Slice) => number;
  readonly from: readonly Round[];
}

function figuresIn(rounds: readonly Round[], names: readonly string[]): Figure[] {
  const quantiles = [
    { figure: "p50", share: 0.5 },
    { figure: "p99", share: 0.99 },
  ].map(({ figure, share }) => ({
    figure,
    of: ({ latencies }: Slice) => latencies.quantile(share) ?? 0,
    from: joined(rounds, names, LEAST_BEYOND / (1 - share)),
  }));
  const costs = Object.keys(rounds[0]?.get(names.at(-1) ?? "")?.costs ?? {}).map((figure) => ({
    figure,
    of: ({ calls, costs }: Slice) => (costs[figure] ?? 0) / calls,
    from: rounds,
  }));
  return [
    { figure: "callsPerSecond", of: callsPerSecond, from: rounds },
    ...quantiles.filter(({ from }) => from.length >= LEAST_ROUNDS),
    ...costs,
  ];
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
