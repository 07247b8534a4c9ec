import { type Estimate, estimateOf, estimateOfDifferences, ratioOf } from "../../src/cli/bench/estimate.ts";
import { factorOf, intervalText, ratioText } from "../../src/cli/bench/page-words.ts";
import { linesOf } from "../support/report.ts";
import type { ClientsMetric, ClientsRatio, WorkloadFigures } from "./page.ts";
import type { PeerName } from "./peers.ts";
import type { Figure, Result, Workload } from "./workload.ts";

/** The results of all rounds of all clients for one workload, in the order of the rounds. */
export interface Measurements {
  readonly workload: Workload;
  readonly results: ReadonlyMap<PeerName, readonly Result[]>;
}

/** Whether a figure is known well enough to tell on which side of its limit it is. */
export type ClaimVerdict = "holds" | "short" | "not decided";

/** A goal of slotwire, and the measured value. */
export interface Claim {
  readonly what: string;
  readonly seen: string;
  readonly holds: boolean;
  readonly verdict: ClaimVerdict;
}

/**
 * Caches and compiled code still grow a little after the warm-up. A leak of one argument in a hundred would be more.
 */
const MOST_GROWN_MIB = 2;

type Metric = ClientsMetric & { readonly key: Figure; readonly heading: string; readonly digits: number };

/** The metrics of all clients, as tables and the page have them. */
export const METRICS: readonly Metric[] = [
  { key: "callsPerSecond", heading: "calls/s", name: "calls a second", unit: "", digits: 0 },
  { key: "cpu", heading: "CPU us/call", name: "CPU of a call", unit: "us", digits: 2 },
  { key: "p50", heading: "p50 us", name: "p50", unit: "us", digits: 0 },
  { key: "p99", heading: "p99 us", name: "p99", unit: "us", digits: 0 },
  { key: "p999", heading: "p99.9 us", name: "p99.9", unit: "us", digits: 0 },
  { key: "most", heading: "max us", name: "slowest call", unit: "us", digits: 0 },
  { key: "late", heading: "late p99 us", name: "generator's lateness, p99", unit: "us", digits: 0 },
  { key: "residentMiB", heading: "MiB", name: "resident memory", unit: "MiB", digits: 0 },
  { key: "grownMiB", heading: "MiB more", name: "memory grown", unit: "MiB", digits: 1 },
];

/** The metrics of which slotwire's ratio to others is told. */
const COMPARED = ["callsPerSecond", "cpu", "p50", "p99"] as const satisfies readonly Figure[];

/** A line for each client, with medians of rounds; then the ratios of slotwire to others with their intervals. */
export function lines(measurements: Measurements): string[] {
  const { workload, results } = measurements;
  const metrics = METRICS.filter(({ key }) => isOf(workload, key));
  const head = ["client", ...metrics.map(({ heading }) => heading), "calls/s lie in", "calls"];
  const body = [...results].map(([name, rounds]) => [
    name,
    ...metrics.map(({ key, digits }) => shown(estimated(rounds, key)?.median, digits)),
    spanOf(estimated(rounds, "callsPerSecond")),
    shown(callsOf(rounds), 0),
  ]);
  return [
    ...linesOf([head, ...body]),
    LATENCIES[workload.kind],
    ...[...results].flatMap(([name, rounds]) => stoppedNote(name, rounds)),
    "",
    ...linesOf(ratioRows(measurements)),
  ];
}

/** Whether a workload has a figure: an open loop keeps a core busy whatever a call costs, and only it can be late. */
function isOf({ kind }: Workload, figure: Figure): boolean {
  return figure === "late" ? kind === "open" : figure !== "cpu" || kind !== "open";
}

/** What the latencies of a workload are counted from. */
const LATENCIES = {
  closed: "Latencies: closed loop, from a caller's call to its reply; - where fewer than 10 calls lie beyond",
  open: "Latencies: open loop, from when a call was due to its reply; late: how late the benchmark made the calls; - where fewer than 10 calls lie beyond",
  batch: "Latencies: closed loop, of whole batches; - where fewer than 10 batches lie beyond",
} as const satisfies Record<Workload["kind"], string>;

function stoppedNote(name: string, rounds: readonly Result[]): string[] {
  const stopped = rounds.filter((round) => round.stopped).length;
  if (stopped === 0) return [];
  return [`${name}: calls were left out in ${stopped} of ${rounds.length} rounds, because too many waited`];
}

function shown(value: number | undefined, digits: number): string {
  if (value === undefined || Number.isNaN(value)) return "-";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function spanOf(estimate: Estimate | undefined): string {
  return estimate === undefined ? "-" : `${shown(estimate.low, 0)} to ${shown(estimate.high, 0)}`;
}

function ratioRows(measurements: Measurements): string[][] {
  const others = [...measurements.results.keys()].filter((name) => name !== "slotwire");
  const compared = COMPARED.filter((figure) => isOf(measurements.workload, figure));
  const cells = (name: PeerName) => {
    return compared.map((figure) => {
      const ratio = paired(measurements, figure, name);
      return ratio === undefined ? "-" : ratioText(ratio);
    });
  };
  const headings = compared.map((figure) => METRICS.find(({ key }) => key === figure)?.name ?? figure);
  return [["slotwire to", ...headings], ...others.map((name) => [name, ...cells(name)])];
}

/** The figures of each client for the page. */
export function figuresOf({ workload, results }: Measurements): WorkloadFigures {
  return {
    name: workload.name,
    ...(workload.kind === "closed" && workload.slowShare === 0 && { group: `${workload.inFlight} in flight` }),
    clients: [...results].map(([name, rounds]) => ({
      name,
      calls: callsOf(rounds),
      figures: Object.fromEntries(
        METRICS.flatMap(({ key }) => {
          const estimate = estimated(rounds, key);
          return estimate === undefined ? [] : [[key, estimate]];
        }),
      ),
    })),
  };
}

/** The ratios of slotwire to the floor, and to the peer that comes nearest. */
export function ratiosOf(measurements: Measurements): ClientsRatio[] {
  const { workload, results } = measurements;
  return COMPARED.flatMap((metric) => {
    const about = { workload: workload.name, metric };
    const floor = results.has("floor") ? paired(measurements, metric, "floor") : undefined;
    const best = nearest(measurements, metric);
    return [
      ...(floor === undefined ? [] : [{ ...about, to: "floor", ratio: floor }]),
      ...(best === undefined ? [] : [{ ...about, to: "best peer", peer: best.peer, ratio: best.ratio }]),
    ];
  });
}

/** What slotwire must show, judged by the intervals of its ratios. Each ratio is taken within one round. */
export function claims(all: readonly Measurements[]): Claim[] {
  const found: Claim[] = [];
  const about = (name: string, body: (measurements: Measurements) => Claim[]) => {
    const measurements = all.find(({ workload }) => workload.name === name);
    if (measurements) found.push(...body(measurements));
  };
  about("1,024 in flight, 16 B", (each) => [
    atMost("1,024 in flight: CPU at most 1.2 x floor", paired(each, "cpu", "floor"), 1.2),
    ...toPeers("1,024 in flight: CPU at most 1/4 of the best peer", each, "cpu", 0.25),
    ...toPeers("1,024 in flight: calls/s at least 3.5 x the best peer", each, "callsPerSecond", 3.5),
  ]);
  about("64 in flight, 16 B", (each) => [
    atMost("64 in flight: CPU at most 1.1 x floor", paired(each, "cpu", "floor"), 1.1),
    ...toPeers("64 in flight: CPU at most 1/3 of the best peer", each, "cpu", 1 / 3),
  ]);
  about("1 in flight, 16 B", (each) => [
    orNoDifference(atMost, "1 in flight: p50 at most 1.05 x floor", paired(each, "p50", "floor"), 1.05),
    ...toPeers("1 in flight: p50 below every peer", each, "p50", 1),
  ]);
  about("open loop, 20,000/s", (each) => [
    ...toPeers("open loop, 20,000/s: p99 below every peer", each, "p99", 1),
    ...toPeers("open loop, 20,000/s: p99.9 below every peer", each, "p999", 1),
  ]);
  for (const name of ["64 in flight, 16 KiB", "64 in flight, reply of 64 KiB"]) {
    about(name, (each) => [
      ...toPeers(`${name}: bytes/s at least those of the best peer`, each, "bytesPerSecond", 1),
      memoryIsFlat(name, estimated(each.results.get("slotwire") ?? [], "grownMiB")),
    ]);
  }
  about("batches of 1,000", (each) => [
    atMost("batches of 1,000: CPU at most 1.5 x floor", paired(each, "cpu", "floor"), 1.5),
    ...toPeers("batches of 1,000: CPU at most 0.4 of the best peer's pipeline", each, "cpu", 0.4),
    ...toPeers("batches of 1,000: calls/s at least 3 x the best peer's pipeline", each, "callsPerSecond", 3),
  ]);
  return found;
}

function memoryIsFlat(name: string, grown: Estimate | undefined): Claim {
  const what = `${name}: memory flat, at most ${MOST_GROWN_MIB} MiB more in use afterwards`;
  if (grown === undefined) return claim(what, "too few rounds", "not decided");
  return claim(what, `${intervalText(grown, (value) => value.toFixed(1))} MiB`, sideOf(grown, MOST_GROWN_MIB, "below"));
}

/** @param ratio  A figure without an interval counts as if it were exact; undefined if there were too few rounds or calls. */
export function atMost(what: string, ratio: number | Estimate | undefined, limit: number): Claim {
  return judged(what, ratio, limit, "below");
}

export function atLeast(what: string, ratio: number | Estimate | undefined, limit: number): Claim {
  return judged(what, ratio, limit, "above");
}

function judged(what: string, ratio: number | Estimate | undefined, limit: number, side: "below" | "above"): Claim {
  if (ratio === undefined) return claim(what, "too few rounds or calls", "not decided");
  if (typeof ratio !== "number") return claim(what, ratioText(ratio), sideOf(ratio, limit, side));
  return claim(what, factorOf(ratio), sideOf({ low: ratio, high: ratio }, limit, side));
}

/** Where an interval lies. It decides nothing as long as the limit lies within it. */
function sideOf({ low, high }: Pick<Estimate, "low" | "high">, limit: number, side: "below" | "above"): ClaimVerdict {
  if (side === "below" ? high <= limit : low >= limit) return "holds";
  return (side === "below" ? low > limit : high < limit) ? "short" : "not decided";
}

/** A goal that is met, too, where no difference is seen. */
function orNoDifference(goal: typeof atMost, what: string, ratio: Estimate | undefined, limit: number): Claim {
  const found = goal(`${what}, or no difference seen`, ratio, limit);
  const isSame = ratio !== undefined && ratio.low <= 1 && ratio.high >= 1;
  return isSame ? claim(found.what, found.seen, "holds") : found;
}

export function claim(what: string, seen: string, verdict: ClaimVerdict): Claim {
  return { what, seen, holds: verdict === "holds", verdict };
}

/** A goal that concerns all peers: it holds if it does for each of them, and is missed if it surely is for one. */
function toPeers(what: string, measurements: Measurements, figure: Figure, limit: number): Claim[] {
  const goal = isMoreBetter(figure) ? atLeast : atMost;
  const peers = peersOf(measurements);
  if (peers.length === 0) return [];
  const all = peers.map((peer) => goal(what, paired(measurements, figure, peer), limit));
  const best = nearest(measurements, figure);
  const seen = best === undefined ? "too few rounds or calls" : `${ratioText(best.ratio)}, ${best.peer}`;
  const has = (verdict: ClaimVerdict) => all.some((each) => each.verdict === verdict);
  return [claim(what, seen, has("short") ? "short" : has("not decided") ? "not decided" : "holds")];
}

/** The peer to which slotwire's ratio is the worst. */
function nearest(
  measurements: Measurements,
  figure: Figure,
): { readonly peer: PeerName; readonly ratio: Estimate } | undefined {
  const found = peersOf(measurements).flatMap((peer) => {
    const ratio = paired(measurements, figure, peer);
    return ratio === undefined ? [] : [{ peer, ratio }];
  });
  const sign = isMoreBetter(figure) ? 1 : -1;
  return found.sort((a, b) => sign * (a.ratio.median - b.ratio.median))[0];
}

function isMoreBetter(figure: Figure): boolean {
  return figure === "callsPerSecond" || figure === "bytesPerSecond";
}

function peersOf({ results }: Measurements): PeerName[] {
  return [...results.keys()].filter((name) => name !== "floor" && name !== "slotwire");
}

/** The ratio of slotwire to another client, taken round by round, because anything that slows a round slows both. */
function paired({ results }: Measurements, figure: Figure, to: PeerName): Estimate | undefined {
  const others = results.get(to) ?? [];
  const pairs = (results.get("slotwire") ?? []).flatMap((round, index) => {
    const [own, other] = [round[figure], others[index]?.[figure]];
    return own !== undefined && other !== undefined && own > 0 && other > 0 ? [{ own, other }] : [];
  });
  if (pairs.length === 0) return undefined;
  return ratioOf(
    pairs.map(({ own }) => own),
    pairs.map(({ other }) => other),
  );
}

/** The median of rounds with its interval; undefined where rounds lack the figure, because they have too few calls for it. */
function estimated(rounds: readonly Result[], figure: Figure): Estimate | undefined {
  const values = rounds.flatMap((round) => round[figure] ?? []);
  if (values.length === 0 || values.length < rounds.length) return undefined;
  // Memory can have shrunk, so these values are differences and have no logarithm.
  return figure === "grownMiB" || values.some((value) => value <= 0)
    ? estimateOfDifferences(values)
    : estimateOf(values);
}

function callsOf(rounds: readonly Result[]): number {
  return rounds.reduce((sum, { calls }) => sum + calls, 0);
}
