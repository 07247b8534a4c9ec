import type { ClientsReport } from "../../bench/clients/page.ts";
import { type Estimate, estimateOf, ratioOf } from "../../src/cli/bench/estimate.ts";
import { Latencies, type LatencySummary } from "../../src/cli/bench/latency.ts";
import {
  type BenchReport,
  type Comparison,
  type Environment,
  FORMAT,
  type RateCurve,
  type WayFigures,
} from "../../src/cli/bench/report.ts";

/*
 * Reports of benchmarks that nobody ran, with figures as a real machine has them: for tests of what is made from reports.
 */

export const ENVIRONMENT: Environment = {
  date: "2026-01-02T03:04:05.678Z",
  cpu: "A CPU of some kind",
  cores: 2,
  memoryGiB: 4,
  system: "Linux 6.1",
  node: "v20.9.0",
  server: "Redis 7.0.15",
  setting: "3 primaries on this machine, over loopback",
  slotwire: "0.1.0",
  commit: "abc1234",
};

/** One comparison of EVALSHA with EVAL, as `slotwire bench` makes it. */
export function smallReport(more: Partial<BenchReport> = {}): BenchReport {
  return reportOf([comparisonOf({ name: "take.lua", bytes: 1024 }, 64, { rate: 92_000, factor: 2.41 })], more);
}

/** Many situations, as `npm run bench` has them. */
export function largeReport(more: Partial<BenchReport> = {}): BenchReport {
  const factors: Record<number, number> = { 100: 1.02, 1024: 1.4, 10240: 6, 65536: 42 };
  const comparisons = [1, 64, 1024].flatMap((inFlight) =>
    [100, 1024, 10_240, 65_536].map((bytes) => {
      const factor = 1 + ((factors[bytes] ?? 1) - 1) * (inFlight === 1 ? 0.1 : 1);
      return comparisonOf({ name: `${bytes}.lua`, bytes }, inFlight, {
        rate: inFlight === 1 ? 10_000 : 250_000 / factor,
        factor,
      });
    }),
  );
  return reportOf(comparisons, more);
}

export function reportOf(comparisons: readonly Comparison[], more: Partial<BenchReport> = {}): BenchReport {
  return {
    format: FORMAT,
    environment: ENVIRONMENT,
    quiet: { quiet: true, reasons: [] },
    method: "Rounds of EVALSHA and EVAL in shuffled order, in a closed loop. Every reply is checked.",
    comparisons,
    curves: [],
    ...more,
  };
}

/** @param speed  EVAL's calls a second, and how many times as many EVALSHA makes. */
export function comparisonOf(
  script: Comparison["script"],
  inFlight: number,
  speed: { readonly rate: number; readonly factor: number },
): Comparison {
  const { rate, factor } = speed;
  const noise = noiseOf(script.bytes + inFlight);
  const slow = Array.from({ length: 24 }, () => rate * noise());
  const fast = slow.map((value) => value * factor * noise());
  const source = {
    bytesSent: script.bytes + 64,
    bytesReceived: 4,
    serverCpu: 2e6 / rate,
    inCommand: 1.5,
    clientCpu: 3e6 / rate,
  };
  const sha = {
    bytesSent: 104,
    bytesReceived: 4,
    serverCpu: 2e6 / rate / factor ** 0.8,
    inCommand: 1.4,
    clientCpu: 2e6 / rate / factor,
  };
  const base = wayOf("EVAL", slow, inFlight, source);
  const way = wayOf("EVALSHA", fast, inFlight, sha);
  const cost = (key: keyof typeof source) =>
    ratioOf(
      slow.map(() => sha[key] * (key.startsWith("bytes") ? 1 : noise())),
      slow.map(() => source[key]),
    );
  const ratios = {
    callsPerSecond: ratioOf(fast, slow),
    p50: ratioOf(slow, fast),
    p99: ratioOf(
      slow.map((value) => value * noise()),
      fast,
    ),
    bytesSent: cost("bytesSent"),
    bytesReceived: cost("bytesReceived"),
    serverCpu: cost("serverCpu"),
    inCommand: cost("inCommand"),
    clientCpu: cost("clientCpu"),
  };
  const size = script.bytes < 1024 ? `${script.bytes} B` : `${script.bytes / 1024} KB`;
  return {
    id: `${script.name}-${inFlight}`,
    title: `${size} script, ${inFlight.toLocaleString("en")} in flight`,
    script,
    inFlight,
    base: "EVAL",
    ways: [base, { ...way, ratios }],
  };
}

/** What `npm run bench:clients` measures, in less. */
export function clientsReport(more: Partial<ClientsReport> = {}): ClientsReport {
  const speeds = { floor: 1.1, slotwire: 1, ioredis: 0.3, "node-redis": 0.17, "iovalkey auto": 0.36 };
  const noise = noiseOf(7);
  const around = (value: number): Estimate => estimateOf(Array.from({ length: 12 }, () => value * noise()));
  const workloads = [
    { name: "1 in flight, 16 B", group: "1 in flight", rate: 25_000 },
    { name: "64 in flight, 16 B", group: "64 in flight", rate: 170_000 },
    { name: "64 in flight, 16 KiB", group: "64 in flight", rate: 28_000 },
  ];
  return {
    environment: ENVIRONMENT,
    quiet: { quiet: true, reasons: [] },
    method: "Five rounds; each client in a process of its own, in turn.",
    clients: Object.keys(speeds).map((name) => ({ name, settings: `the defaults of ${name}; batches of one slot` })),
    metrics: [
      { key: "callsPerSecond", name: "Calls a second", unit: "" },
      { key: "cpu", name: "Client's CPU a call", unit: "µs" },
      { key: "p50", name: "p50, closed loop", unit: "µs" },
      { key: "p99", name: "p99, closed loop", unit: "µs" },
    ],
    workloads: workloads.map(({ rate, ...workload }) => ({
      ...workload,
      clients: Object.entries(speeds).map(([name, speed]) => ({
        name,
        calls: 100_000,
        figures: {
          callsPerSecond: around(rate * speed),
          cpu: around(4 / speed),
          p50: around(1e6 / rate / speed),
          ...(name === "ioredis" ? {} : { p99: around(4e6 / rate / speed) }),
        },
      })),
    })),
    ratios: workloads.flatMap(({ name }) => [
      { workload: name, metric: "callsPerSecond", to: "floor", ratio: around(0.97) },
      { workload: name, metric: "callsPerSecond", to: "best peer", peer: "iovalkey auto", ratio: around(2.8) },
      { workload: name, metric: "cpu", to: "floor", ratio: around(1.2) },
      { workload: name, metric: "cpu", to: "best peer", peer: "ioredis", ratio: around(0.25) },
    ]),
    claims: [
      { what: "64 in flight: CPU at most 1.1 x floor", seen: "1.20 (1.10 to 1.31)", holds: false },
      { what: "64 in flight: CPU at most 1/3 of the best peer", seen: "0.25", holds: true },
      {
        what: "1 in flight: p50 at most 1.05 x floor",
        seen: "1.02 (0.97 to 1.08)",
        holds: false,
        verdict: "not decided",
      },
    ],
    curves: [],
    raw: { rounds: 5 },
    ...more,
  };
}

/** @param capacity  Calls a second from which on the way cannot keep up. */
export function curveOf(way: string, capacity: number): RateCurve {
  const most = capacity * 0.9;
  const points = [0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1, 1.1].map((share) => {
    const rate = Math.round(share * 100_000);
    const load = Math.min(0.99, rate / capacity);
    return {
      rate,
      made: Math.min(rate, capacity),
      answered: Math.min(rate, capacity),
      waiting: Math.ceil(rate / 1000),
      ...(rate > most ? { beyond: "slow" as const } : {}),
      latency: latenciesOf(20_000, 0.2 / (1 - load)),
      lateness: latenciesOf(20_000, 0.02 + (load > 0.9 ? 0.3 : 0)),
    };
  });
  const rates = points.map(({ rate }) => rate);
  const [held, knee] = [rates.findLast((rate) => rate <= most), rates.find((rate) => rate > most)];
  const reach = { ...(held === undefined ? {} : { held }), ...(knee === undefined ? {} : { knee }) };
  return { way, script: { name: "take.lua", bytes: 1024 }, points, ...reach };
}

/** @param typical  The median in milliseconds, of a long tail. */
export function latenciesOf(calls: number, typical: number): LatencySummary {
  const latencies = new Latencies();
  for (let call = 0; call < calls; call++) latencies.add(typical * (0.6 + 0.4 * (1 - (call + 0.5) / calls) ** -0.45));
  return latencies.summary();
}

function wayOf(
  name: string,
  rounds: readonly number[],
  inFlight: number,
  costs: Readonly<Record<string, number>>,
): WayFigures {
  const callsPerSecond = estimateOf(rounds);
  const calls = Math.round(callsPerSecond.median * 0.2);
  const latency = latenciesOf(Math.min(calls, 20_000), (inFlight / callsPerSecond.median) * 1000);
  return { name, calls, callsPerSecond, rounds, latency, costs };
}

/** Factors around 1, the same in every run. */
function noiseOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return 0.9 + (0.2 * state) / 2_147_483_648;
  };
}
