import { Bench } from "tinybench";
import type { Cluster, Script } from "../../src/index.ts";
import { sourceOf } from "./bench-script.ts";
import { type Burst, closedLoop } from "./closed-loop.ts";
import type { Plan, Situation } from "./plan.ts";
import type { ServerCosts, ServerMeter } from "./server-costs.ts";
import { CURVE_SHARES, median, quantile } from "./statistics.ts";

/** The figures of one way to call a script, in one situation. Latencies are in milliseconds. */
export interface Measured {
  /** The median of the rounds. */
  readonly callsPerSecond: number;
  /** The calls per second of each round, which show the spread. */
  readonly rounds: readonly number[];
  /** The number of calls of all rounds. Each was answered with the right reply. */
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** The latencies at the shares `CURVE_SHARES` of the calls. */
  readonly curve: readonly number[];
  /** One call's part of the costs that the servers counted. */
  readonly bytesInPerCall: number;
  readonly bytesOutPerCall: number;
  /** The CPU time of the server processes. */
  readonly serverCpuMicroseconds: number;
  /** The time in the command itself, from INFO commandstats. */
  readonly commandMicroseconds: number;
}

export interface Comparison extends Situation {
  readonly evalsha: Measured;
  readonly eval: Measured;
}

type Way = "evalsha" | "eval";
export type DefineScript = (definition: { name: string; source: string; numberOfKeys: 1 }) => Script<1>;

/** The clients and settings of a comparison. */
export interface Bed {
  readonly client: Cluster;
  readonly meter: ServerMeter;
  readonly defineScript: DefineScript;
  /** Whether no other client uses the cluster, so that the servers' count of calls must equal ours. */
  readonly alone: boolean;
}

/** The keys that the benchmark writes: some thousand, spread over all nodes. */
export const BENCH_KEYS: readonly string[] = Array.from({ length: 4096 }, (_, index) => `slotwire-bench:${index}`);

/** Compares EVALSHA with EVAL in turns, burst by burst. The order is reversed in every round. */
export async function compare(bed: Bed, situation: Situation, plan: Plan): Promise<Comparison> {
  const { bytes, filling, inFlight } = situation;
  const source = sourceOf(bytes, filling);
  const script = bed.defineScript({ name: `${bytes} bytes of ${filling}`, source, numberOfKeys: 1 });
  for (const { failed } of await bed.client.preload(script)) for (const { cause } of failed) throw cause;
  const calls = plan.callsOf(situation);
  const ways: Record<Way, (index: number) => Promise<unknown>> = {
    evalsha: (index) => bed.client.run(script, [keyOf(index)], ["value"]),
    eval: (index) => bed.client.command("EVAL", source, 1, keyOf(index), "value"),
  };
  const collected = { evalsha: new Collected(), eval: new Collected() };
  // Each burst is one run of a tinybench task. The calls per second are computed from the bursts' own counts and times.
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, throws: true });
  for (let round = 0; round < plan.rounds; round++) {
    for (const way of round % 2 === 0 ? (["evalsha", "eval"] as const) : (["eval", "evalsha"] as const)) {
      bench.add(`${way}, round ${round}`, async () => {
        let burst: Burst | undefined;
        const costs = await bed.meter.during(async () => {
          burst = await closedLoop(ways[way], inFlight, calls);
        });
        if (burst) collected[way].add(burst, costs);
        if (bed.alone) checkCount(way, calls, costs);
      });
    }
  }
  for (const way of ["evalsha", "eval"] as const) await closedLoop(ways[way], inFlight, Math.ceil(calls / 4));
  await bench.run();
  return { ...situation, evalsha: collected.evalsha.result("evalsha"), eval: collected.eval.result("eval") };
}

/** Checks that the servers ran each call exactly once, without a replay and without another command in its place. */
function checkCount(way: Way, calls: number, { evalshaCalls, evalCalls }: ServerCosts): void {
  const [own, other] = way === "evalsha" ? [evalshaCalls, evalCalls] : [evalCalls, evalshaCalls];
  if (own === calls && other === 0) return;
  throw new Error(`The servers counted ${own} ${way} and ${other} others for ${calls} calls.`);
}

class Collected {
  readonly #bursts: Burst[] = [];
  readonly #costs: ServerCosts[] = [];

  add(burst: Burst, costs: ServerCosts): void {
    this.#bursts.push(burst);
    this.#costs.push(costs);
  }

  result(way: Way): Measured {
    const rounds = this.#bursts.map(({ calls, seconds }) => calls / seconds);
    const calls = this.#bursts.reduce((sum, burst) => sum + burst.calls, 0);
    const latencies = new Float64Array(calls);
    let filled = 0;
    for (const burst of this.#bursts) {
      latencies.set(burst.latencies, filled);
      filled += burst.calls;
    }
    latencies.sort();
    const each = (name: keyof ServerCosts) => this.#costs.reduce((sum, costs) => sum + costs[name], 0) / calls;
    return {
      callsPerSecond: median(rounds),
      rounds,
      calls,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      p999: quantile(latencies, 0.999),
      max: quantile(latencies, 1),
      curve: CURVE_SHARES.map((share) => quantile(latencies, share)),
      bytesInPerCall: each("bytesIn"),
      bytesOutPerCall: each("bytesOut"),
      serverCpuMicroseconds: each("cpuMicroseconds"),
      commandMicroseconds: each(way === "evalsha" ? "evalshaMicroseconds" : "evalMicroseconds"),
    };
  }
}

export function keyOf(index: number): string {
  return BENCH_KEYS[index % BENCH_KEYS.length] as string;
}
