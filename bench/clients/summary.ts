import { median } from "../support/statistics.ts";
import type { PeerName } from "./peers.ts";
import type { Result, Workload } from "./workload.ts";

/** The results of all rounds of all clients for one workload. */
export interface Measurements {
  readonly workload: Workload;
  readonly results: ReadonlyMap<PeerName, readonly Result[]>;
}

/** A goal of slotwire, and the measured value. */
export interface Claim {
  readonly what: string;
  readonly seen: string;
  readonly holds: boolean;
}

/**
 * Caches and compiled code still grow a little after the warm-up. A leak of one argument in a hundred would be more.
 */
const MOST_GROWN_MIB = 2;

const COLUMNS: [heading: string, field: keyof Result, digits: number][] = [
  ["calls/s", "callsPerSecond", 0],
  ["CPU us/call", "cpu", 2],
  ["p50 us", "p50", 0],
  ["p99 us", "p99", 0],
  ["p99.9 us", "p999", 0],
  ["max us", "most", 0],
  ["MiB", "residentMiB", 0],
  ["MiB more", "grownMiB", 1],
];

/** A line for each client: medians, and the spread of the calls per second over the rounds. */
export function lines({ results }: Measurements): string[] {
  const head = ["".padEnd(14), ...COLUMNS.map(([heading]) => heading.padStart(11)), "spread of calls/s".padStart(20)];
  const body = [...results].map(([name, rounds]) => {
    const cells = COLUMNS.map(([, field, digits]) =>
      middle(rounds, field)
        .toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
        .padStart(11),
    );
    const rates = rounds.map(({ callsPerSecond }) => Math.round(callsPerSecond).toLocaleString("en"));
    const sorted = rates.sort((a, b) => Number(a.replaceAll(",", "")) - Number(b.replaceAll(",", "")));
    return [name.padEnd(14), ...cells, `${sorted[0]}-${sorted.at(-1)}`.padStart(20)].join(" ");
  });
  return [head.join(" "), ...body];
}

/** The ratios of slotwire to the floor and to the best peer. Each ratio is taken within one round. */
export function claims(all: readonly Measurements[]): Claim[] {
  const found: Claim[] = [];
  const about = (name: string, body: (measurements: Measurements) => Claim[]) => {
    const measurements = all.find(({ workload }) => workload.name === name);
    if (measurements) found.push(...body(measurements));
  };
  about("1,024 in flight, 16 B", (each) => [
    atMost("1,024 in flight: CPU at most 1.5 x floor", paired(each, "cpu"), 1.5),
    atMost("1,024 in flight: CPU at most 1/4 of the best peer", highest(each, "cpu"), 0.25),
    atLeast("1,024 in flight: calls/s at least 3.5 x the best peer", lowest(each, "callsPerSecond"), 3.5),
  ]);
  about("64 in flight, 16 B", (each) => [
    atMost("64 in flight: CPU at most 1.5 x floor", paired(each, "cpu"), 1.5),
    atMost("64 in flight: CPU at most 1/3 of the best peer", highest(each, "cpu"), 1 / 3),
  ]);
  about("1 in flight, 16 B", (each) => [
    atMost("1 in flight: p50 at most 1.10 x floor", paired(each, "p50"), 1.1),
    atMost("1 in flight: p50 below every peer", highest(each, "p50"), 1),
  ]);
  about("open loop, 20,000/s", (each) => [
    atMost("open loop, 20,000/s: p99 below every peer", highest(each, "p99"), 1),
    atMost("open loop, 20,000/s: p99.9 below every peer", highest(each, "p999"), 1),
  ]);
  for (const name of ["64 in flight, 16 KiB", "64 in flight, reply of 64 KiB"]) {
    about(name, (each) => [
      atLeast(`${name}: bytes/s at least those of the best peer`, lowest(each, "bytesPerSecond"), 1),
      memoryIsFlat(name, middle(each.results.get("slotwire") ?? [], "grownMiB")),
    ]);
  }
  about("batches of 1,000", (each) => [
    atMost("batches of 1,000: CPU at most 1.5 x floor", paired(each, "cpu"), 1.5),
    atMost("batches of 1,000: CPU at most 0.4 of the best peer's pipeline", highest(each, "cpu"), 0.4),
    atLeast(
      `batches of 1,000: calls/s at least 3 x the best peer's pipeline (bare sockets: ${lowest(each, "callsPerSecond", "floor").toFixed(2)})`,
      lowest(each, "callsPerSecond"),
      3,
    ),
  ]);
  return found;
}

function memoryIsFlat(name: string, grownMiB: number): Claim {
  const what = `${name}: memory flat, at most ${MOST_GROWN_MIB} MiB more in use afterwards`;
  return { what, seen: `${grownMiB.toFixed(1)} MiB`, holds: grownMiB <= MOST_GROWN_MIB };
}

export function atMost(what: string, ratio: number, limit: number): Claim {
  return { what, seen: ratio.toFixed(2), holds: ratio <= limit };
}

export function atLeast(what: string, ratio: number, limit: number): Claim {
  return { what, seen: ratio.toFixed(2), holds: ratio >= limit };
}

function middle(rounds: readonly Result[], field: keyof Result): number {
  return median(rounds.map((round) => round[field]));
}

/**
 * The median of the ratio of two clients, taken round by round, because anything that slows a round slows both clients.
 */
function paired({ results }: Measurements, field: keyof Result, to: PeerName = "floor", of: PeerName = "slotwire") {
  const others = results.get(to) ?? [];
  const ratios = (results.get(of) ?? []).map((round, index) => round[field] / (others[index]?.[field] ?? Number.NaN));
  return median(ratios.filter((ratio) => !Number.isNaN(ratio)));
}

/** The ratio to the best peer, for figures of which more is better. */
function lowest(measurements: Measurements, field: keyof Result, of?: PeerName): number {
  return Math.min(...peersOf(measurements).map((peer) => paired(measurements, field, peer, of)));
}

/** The ratio to the best peer, for figures of which less is better. */
function highest(measurements: Measurements, field: keyof Result): number {
  return Math.max(...peersOf(measurements).map((peer) => paired(measurements, field, peer)));
}

function peersOf({ results }: Measurements): PeerName[] {
  return [...results.keys()].filter((name) => name !== "floor" && name !== "slotwire");
}
