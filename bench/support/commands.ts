import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { numberOf, type Options, shareOf } from "../../src/cli/arguments.ts";
import { AGAINST, EarlierRun } from "../../src/cli/bench/earlier-run.ts";
import { machineOf } from "../../src/cli/bench/environment.ts";
import { LEAST_VALUES } from "../../src/cli/bench/estimate.ts";
import { RATE_OPTION, ratesOf } from "../../src/cli/bench/rates.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import type { BenchCommand, ValuesOf } from "./options.ts";
import { refuseUnwritableFolder } from "./written-folder.ts";

/*
 * The options of the benchmarks that are no comparison of EVALSHA with EVAL. Each has a function that makes settings of them,
 * and refuses what it does not know before anything is started.
 */

const ROUNDS_SAY = `the rounds; at least ${LEAST_VALUES}, because the interval of fewer is not sure`;
const OUT = { type: "string", value: "FOLDER", says: "where the report goes" } as const;
const ONLY = { type: "string", value: "TEXT", says: "only what has this text in its name" } as const;

function roundsOption(fallback: number) {
  return { type: "string", value: "N", says: `${ROUNDS_SAY}; default ${fallback}` } as const;
}

function roundsOf(text: string | undefined, fallback: number): number {
  return numberOf("--rounds", text, { fallback, least: LEAST_VALUES, most: 1000 });
}

/** The names that have the text of `--only`. */
function namesWith(text: string | undefined, names: readonly string[]): readonly string[] {
  const found = names.filter((name) => text === undefined || name.includes(text));
  if (found.length > 0 && text !== "") return found;
  throw new InvalidArgumentError(
    `--only is ${JSON.stringify(text)}, which is in no name; accepted is a part of ${names.map((name) => `"${name}"`).join(", ")}.`,
  );
}

function folderOf(out: string | undefined): string | undefined {
  if (out !== undefined) refuseUnwritableFolder("--out", out);
  return out;
}

export interface Load {
  readonly name: string;
  /** The number of calls in flight; the calls of a batch, for `batch`. */
  readonly inFlight: number;
  readonly kind: "calls" | "batch";
}

export const FLOOR_LOADS: readonly Load[] = [
  { name: "1 in flight", inFlight: 1, kind: "calls" },
  { name: "64 in flight", inFlight: 64, kind: "calls" },
  { name: "1,024 in flight", inFlight: 1024, kind: "calls" },
  { name: "batches of 1,000", inFlight: 1000, kind: "batch" },
];

export const FLOOR = {
  name: "bench:floor",
  typed: "npm run bench:floor --",
  usage: "[--rounds N] [--until N%] [--only TEXT] [--out FOLDER] [--against FILE] [--limit N%]",
  summary: "Compares slotwire with bare sockets (the floor): CPU of a call, p50, calls a second.",
  options: {
    rounds: { type: "string", value: "N", says: `pairs of new processes for each load; at least 3; default 6` },
    until: { type: "string", value: "N%", says: "goes on until the ratio of CPU is known that well, up to 60 pairs" },
    only: ONLY,
    out: { ...OUT, says: "writes the results as JSON into this folder" },
    ...AGAINST,
  },
} as const satisfies BenchCommand;

export function floorSettings({ rounds, until, only, out, ...against }: ValuesOf<typeof FLOOR.options>) {
  const names = namesWith(
    only,
    FLOOR_LOADS.map(({ name }) => name),
  );
  return {
    pairs: numberOf("--rounds", rounds, { fallback: 6, least: 3, most: 1000 }),
    until: shareOf("--until", until, { least: 0.001, most: 1 }),
    loads: FLOOR_LOADS.filter(({ name }) => names.includes(name)),
    earlier: earlierOf(against),
    out: folderOf(out),
  };
}

/** The run of `--against`, if it was made on this machine. @throws {InvalidArgumentError} says what is not the same. */
export function earlierOf(values: ValuesOf<typeof AGAINST>): EarlierRun | undefined {
  const earlier = EarlierRun.from(values);
  // What only the servers tell is compared when they run.
  earlier?.refuseOther(machineOf());
  return earlier;
}

export const BATCHES = {
  name: "bench:batch",
  typed: "npm run bench:batch --",
  usage: "[--rounds N]",
  summary:
    "Measures what the order of a batch costs: 1,000 calls on one slot, by run, a batch, and one without an order.",
  options: { rounds: roundsOption(15) },
} as const satisfies BenchCommand;

export function batchSettings({ rounds }: ValuesOf<typeof BATCHES.options>) {
  return { rounds: roundsOf(rounds, 15) };
}

export const SUBSCRIPTIONS = {
  name: "bench:subscriptions",
  typed: "npm run bench:subscriptions --",
  usage: "[--rounds N] [--rate N]",
  summary: "Measures what a message costs its subscriber, against a bare socket with redis-parser.",
  options: {
    rounds: roundsOption(6),
    rate: { type: "string", value: "N", says: "messages a second; default 10000" },
  },
} as const satisfies BenchCommand;

export function subscriptionSettings({ rounds, rate }: ValuesOf<typeof SUBSCRIPTIONS.options>) {
  return {
    rounds: roundsOf(rounds, 6),
    messagesPerSecond: numberOf("--rate", rate, { fallback: 10_000, least: 100, most: 1_000_000 }),
  };
}

/** The parts of `bench:cache`. */
export const HITS = "hits";
export const MISSES = "misses";
export const BESIDE = "beside a cache";
export const HEDGES = "hedges";
export const SLOW_REPLICA = "slow replica";

export const CACHE = {
  name: "bench:cache",
  typed: "npm run bench:cache --",
  usage: "[--rounds N] [--only TEXT] [--base FOLDER]",
  summary: "Measures what cached and hedged reads cost, and what a cache costs other calls.",
  options: {
    rounds: roundsOption(30),
    only: ONLY,
    base: {
      type: "string",
      value: "FOLDER",
      says: `the dist of another build, which makes the calls of "${BESIDE}", too`,
    },
  },
  notes: `The parts are "${HITS}", "${MISSES}", "${BESIDE}", "${HEDGES}" and "${SLOW_REPLICA}".`,
} as const satisfies BenchCommand;

export function cacheSettings({ rounds, only, base }: ValuesOf<typeof CACHE.options>) {
  if (base !== undefined && !existsSync(join(base, "index.js"))) {
    throw new InvalidArgumentError(
      `--base ${JSON.stringify(base)} has no index.js; accepted is the folder dist of a copy that was built.`,
    );
  }
  return {
    rounds: roundsOf(rounds, 30),
    parts: namesWith(only, [HITS, MISSES, BESIDE, HEDGES, SLOW_REPLICA]),
    base: base === undefined ? undefined : resolve(base),
  };
}

export const TRACING = {
  name: "bench:tracing",
  typed: "npm run bench:tracing --",
  usage: "[--rounds N]",
  summary:
    "Measures what diagnostics channels, durations and OpenTelemetry cost a call, against a client without them.",
  options: { rounds: { type: "string", value: "N", says: "sets of new processes; at least 3; default 6" } },
} as const satisfies BenchCommand;

export function tracingSettings({ rounds }: ValuesOf<typeof TRACING.options>) {
  return { sets: numberOf("--rounds", rounds, { fallback: 6, least: 3, most: 1000 }) };
}

/** What `bench:nodes` counts, and how many by default and at most. More nodes would need more ports than there are. */
const COUNTS = {
  nodes: { fallback: 1000, least: 1, most: 10_000, says: "scripted nodes, in a second process" },
  scripts: { fallback: 50, least: 1, most: 10_000, says: "scripts that each node is given" },
  calls: { fallback: 200_000, least: 1, most: 100_000_000, says: "calls in each round" },
  "in-flight": { fallback: 1024, least: 1, most: 100_000, says: "calls in flight" },
  rounds: { fallback: 5, least: 1, most: 1000, says: "rounds of slotwire and bare sockets, in new processes" },
} as const;

function countOption({ fallback, says }: (typeof COUNTS)[keyof typeof COUNTS]) {
  return { type: "string", value: "N", says: `${says}; default ${fallback}` } as const;
}

export const NODES = {
  name: "bench:nodes",
  typed: "npm run bench:nodes --",
  usage: "[--nodes N] [--scripts N] [--calls N] [--in-flight N] [--rounds N]",
  summary: "Measures one process that connects to many nodes, preloads scripts and serves calls, against bare sockets.",
  options: {
    nodes: countOption(COUNTS.nodes),
    scripts: countOption(COUNTS.scripts),
    calls: countOption(COUNTS.calls),
    "in-flight": countOption(COUNTS["in-flight"]),
    rounds: countOption(COUNTS.rounds),
  },
} as const satisfies BenchCommand;

export type NodesSettings = ReturnType<typeof nodesSettings>;

export function nodesSettings(values: ValuesOf<typeof NODES.options>) {
  const count = (name: keyof typeof COUNTS) => numberOf(`--${name}`, values[name], COUNTS[name]);
  return {
    nodes: count("nodes"),
    scripts: count("scripts"),
    calls: count("calls"),
    inFlight: count("in-flight"),
    rounds: count("rounds"),
  };
}

export const TOUR = {
  name: "tour",
  typed: "npm start --",
  usage: "",
  summary: "Shows on a real cluster, which is started here, what can happen to a call and how slotwire handles it.",
  options: {},
} as const satisfies BenchCommand;

/** The names that `--only` uses for the figures that concern slotwire alone, and for latency under given rates. */
export const OWN_FIGURES = "own figures";
export const CURVES = "latency under a given rate";

export const CLIENTS = {
  name: "bench:clients",
  typed: "npm run bench:clients --",
  usage: "[--rounds N] [--only TEXT] [--rate N[,N...]|auto] [--out FOLDER]",
  summary: "Compares slotwire, other clients and bare sockets on a cluster that is started here: half an hour.",
  options: {
    rounds: roundsOption(6),
    only: ONLY,
    rate: RATE_OPTION,
    out: { ...OUT, says: `${OUT.says} (bench/results)` },
  },
  notes: [
    "Results are printed in the end, and written as Markdown, JSON and HTML.",
    `--only "${OWN_FIGURES}" measures what concerns slotwire alone: many nodes, memory, recovery from a flush.`,
    `--only "${CURVES}" measures p50, p99 and p99.9 over the rate of calls.`,
  ].join("\n"),
} as const satisfies BenchCommand;

/** @param workloads  The names of all workloads. */
export function clientsSettings(
  { rounds, only, rate, out }: ValuesOf<typeof CLIENTS.options>,
  workloads: readonly string[],
  defaultFolder: string,
) {
  const names = namesWith(only, [...workloads, CURVES, OWN_FIGURES]);
  return {
    rounds: roundsOf(rounds, 6),
    names,
    rates: ratesOf(rate ?? "auto"),
    hasCurves: names.includes(CURVES) || rate !== undefined,
    out: folderOf(out ?? defaultFolder) as string,
  };
}

/** All of these, for a look at each. */
export const COMMANDS: readonly BenchCommand<Options>[] = [
  FLOOR,
  BATCHES,
  NODES,
  CACHE,
  SUBSCRIPTIONS,
  TRACING,
  CLIENTS,
  TOUR,
];
