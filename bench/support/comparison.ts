import { Bench } from "tinybench";
import type { Cluster, Script } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { type Filling, sourceOf } from "./bench-script.ts";
import { type Burst, closedLoop } from "./closed-loop.ts";
import { serverCosts } from "./server-costs.ts";
import { median, quantile } from "./statistics.ts";

/** One way to call a script, in one situation. Latencies in milliseconds. */
export interface Measured {
  readonly callsPerSecond: number;
  /** Of single rounds: the spread. */
  readonly rounds: readonly number[];
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Latency at evenly spaced shares of the calls, for curves: 0, 1/64, ... 1. */
  readonly curve: readonly number[];
  /** By the servers' own count. */
  readonly bytesInPerCall: number;
  readonly serverCpuMicroseconds: number;
}

export interface Comparison {
  readonly bytes: number;
  readonly filling: Filling;
  readonly inFlight: number;
  readonly evalsha: Measured;
  readonly eval: Measured;
}

export interface Situation {
  readonly bytes: number;
  readonly filling: Filling;
  readonly inFlight: number;
  /** Calls in a burst, and bursts of each way. */
  readonly calls: number;
  readonly rounds: number;
}

type Define = (definition: { name: string; source: string; numberOfKeys: 1 }) => Script<1>;

/** EVALSHA against EVAL, taking turns burst by burst, the order turned round in each. Replies are checked. */
export async function compare(
  cluster: LocalCluster,
  client: Cluster,
  defineScript: Define,
  situation: Situation,
): Promise<Comparison> {
  const { bytes, filling, inFlight, calls, rounds } = situation;
  const source = sourceOf(bytes, filling);
  const script = defineScript({ name: `${bytes} bytes`, source, numberOfKeys: 1 });
  await client.preload(script);
  const ways = {
    evalsha: async (index: number) => check(await client.run(script, [keyOf(index)], ["value"])),
    eval: async (index: number) => check(await client.command("EVAL", source, 1, keyOf(index), "value")),
  };
  const collected = { evalsha: new Collected(), eval: new Collected() };
  for (const way of ["evalsha", "eval"] as const) await closedLoop(ways[way], inFlight, Math.ceil(calls / 4));
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["evalsha", "eval"] as const) : (["eval", "evalsha"] as const);
    const bench = new Bench({ name: `${bytes} bytes`, iterations: 1, time: 0, warmup: false, throws: true });
    for (const way of order) {
      // The burst is tinybench's task; calls a second come from the burst's own count and time.
      bench.add(way, async () => {
        const before = await serverCosts(cluster);
        const burst = await closedLoop(ways[way], inFlight, calls);
        const after = await serverCosts(cluster);
        collected[way].add(burst, after.bytesIn - before.bytesIn, after.cpuMicroseconds - before.cpuMicroseconds);
      });
    }
    await bench.run();
  }
  return { bytes, filling, inFlight, evalsha: collected.evalsha.result(), eval: collected.eval.result() };
}

class Collected {
  readonly #bursts: Burst[] = [];
  #bytesIn = 0;
  #cpu = 0;

  add(burst: Burst, bytesIn: number, cpuMicroseconds: number): void {
    this.#bursts.push(burst);
    this.#bytesIn += bytesIn;
    this.#cpu += cpuMicroseconds;
  }

  result(): Measured {
    const rounds = this.#bursts.map(({ calls, seconds }) => calls / seconds);
    const all = Float64Array.from(this.#bursts.flatMap(({ latencies }) => [...latencies])).sort();
    return {
      callsPerSecond: median(rounds),
      rounds,
      p50: quantile(all, 0.5),
      p99: quantile(all, 0.99),
      p999: quantile(all, 0.999),
      curve: Array.from({ length: 65 }, (_, step) => quantile(all, step / 64)),
      bytesInPerCall: this.#bytesIn / all.length,
      serverCpuMicroseconds: this.#cpu / all.length,
    };
  }
}

function keyOf(index: number): string {
  return `bench:${index % 4096}`;
}

function check(reply: unknown): void {
  if (reply !== 1) throw new Error(`a script that returns 1 gave ${String(reply)}`);
}
