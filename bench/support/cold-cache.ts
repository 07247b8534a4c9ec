import { setTimeout as sleep } from "node:timers/promises";
import { type Estimate, estimateOf, ratioOf } from "../../src/cli/bench/estimate.ts";
import { type Cluster, defineScript } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import type { Situation } from "./plan.ts";

/**
 * The durations of waves in milliseconds. A wave is as many calls at once as are in flight, until the last one is answered.
 */
export interface ColdCache {
  readonly title: string;
  readonly script: { readonly name: string; readonly bytes: number };
  readonly inFlight: number;
  /** The number of waves behind each figure. */
  readonly waves: number;
  readonly evalsha: Wave;
  readonly eval: Wave;
}

export interface Wave {
  readonly warm: Estimate;
  /** A wave right after SCRIPT FLUSH on every node. */
  readonly cold: Estimate;
  /** Cold / warm, in pairs of waves one after the other. */
  readonly ratio: Estimate;
}

type Way = "evalsha" | "eval";

/**
 * A client audits the nodes' scripts 50 ms after a NOSCRIPT, and the next wave waits until the audit is over. The waves
 * of EVAL wait for the same time, so that both have an equal rest.
 */
const AUDIT_MS = 80;

/** Compares waves of calls right after SCRIPT FLUSH with waves of calls of a script that every node has. */
export async function coldCache(
  cluster: LocalCluster,
  connect: () => Promise<Cluster>,
  { called, inFlight }: Situation,
  waves: number,
): Promise<ColdCache> {
  const { script, keysOf, argsOf, check, title, bytes } = called;
  // The script of EVAL has a body of its own, so that no other client loads it.
  const body = defineScript({ name: script.name, source: `${script.source} ` }).source;
  // A new client knows no other script, so it loads no other script after a flush.
  const client = await connect();
  let missing = 0;
  client.on("scriptMissing", () => {
    missing++;
  });
  try {
    await client.preload(script);
    const calls: Record<Way, (number: number) => Promise<void>> = {
      evalsha: async (number) => check(await client.run(script, keysOf(number), argsOf(number))),
      eval: async (number) => {
        const keys = keysOf(number);
        check(await client.command("EVAL", body, keys.length, ...keys, ...argsOf(number)));
      },
    };
    // This makes the same round trips as a flush, so that both waves start from the same state.
    const noFlush = () =>
      Promise.all(cluster.nodes.map((address) => cluster.command(address, "SCRIPT", "EXISTS", "0")));
    const times: Record<Way, Record<"warm" | "cold", number[]>> = {
      evalsha: { warm: [], cold: [] },
      eval: { warm: [], cold: [] },
    };
    const pairOfWaves = async (way: Way): Promise<boolean> => {
      const { warm, cold } = times[way];
      await wave(calls[way], inFlight);
      await noFlush();
      missing = 0;
      const whenWarm = await wave(calls[way], inFlight);
      if (missing > 0) throw new Error("A script was missing on a warm cache.");
      await cluster.flushScripts();
      const whenCold = await wave(calls[way], inFlight);
      await sleep(AUDIT_MS);
      // A late audit can run between the flush and the wave, and load the script. Such a pair does not count.
      if (way === "evalsha" && missing === 0) return false;
      warm.push(whenWarm);
      cold.push(whenCold);
      return true;
    };
    const half = Math.ceil(waves / 2);
    // Whatever the machine does slowly then happens to both ways. After EVAL was flushed, EVALSHA needs its scripts again.
    for (const [way, until] of [
      ["evalsha", half],
      ["eval", half],
      ["eval", waves],
      ["evalsha", waves],
    ] as const) {
      await wave(calls[way], inFlight);
      await sleep(AUDIT_MS);
      for (let tries = 0; times[way].cold.length < until; tries++) {
        if (tries > 2 * waves) throw new Error("The scripts are there again right after each flush.");
        await pairOfWaves(way);
      }
    }
    const figures = ({ warm, cold }: Record<"warm" | "cold", number[]>): Wave => {
      return { warm: estimateOf(warm), cold: estimateOf(cold), ratio: ratioOf(cold, warm) };
    };
    return {
      title: `${title}, ${inFlight.toLocaleString("en")} in flight`,
      script: { name: script.name, bytes },
      inFlight,
      waves,
      evalsha: figures(times.evalsha),
      eval: figures(times.eval),
    };
  } finally {
    await client.close();
  }
}

/** Makes `inFlight` calls at once. Resolves to the time until the last one is answered, in milliseconds. */
async function wave(call: (number: number) => Promise<void>, inFlight: number): Promise<number> {
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, (_, number) => call(number)));
  return performance.now() - start;
}
