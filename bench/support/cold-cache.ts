import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { sourceOf } from "./bench-script.ts";
import { closedLoop } from "./closed-loop.ts";
import { type DefineScript, keyOf } from "./comparison.ts";
import type { Situation } from "./plan.ts";
import { median } from "./statistics.ts";

/**
 * The median durations of waves in milliseconds. A wave is a number of calls at once, until the last one is answered.
 */
export interface ColdCache extends Situation {
  readonly evalsha: Wave;
  readonly eval: Wave;
}

export interface Wave {
  readonly warm: number;
  /** A wave right after SCRIPT FLUSH on every node. */
  readonly cold: number;
}

/**
 * A client audits the nodes' scripts 50 ms after a NOSCRIPT, and the next wave waits until the audit is over. The waves
 * of EVAL wait for the same time, so that both have an equal rest.
 */
const AUDIT_MS = 80;

/** Compares waves of calls right after SCRIPT FLUSH with waves of calls of a script that every node has. */
export async function coldCache(
  cluster: LocalCluster,
  connect: () => Promise<Cluster>,
  defineScript: DefineScript,
  situation: Situation,
  waves: number,
): Promise<ColdCache> {
  const { bytes, filling, inFlight } = situation;
  const source = sourceOf(bytes, filling);
  const script = defineScript({ name: "cold", source, numberOfKeys: 1 });
  // The script has a body of its own, so that no other client loads it.
  const body = `${source} `;
  // A new client knows no other script, so it loads no other script after a flush.
  const client = await connect();
  let missing = 0;
  client.on("scriptMissing", () => {
    missing++;
  });
  try {
    await client.preload(script);
    const run = (index: number) => client.run(script, [keyOf(index)], ["value"]);
    const send = (index: number) => client.command("EVAL", body, 1, keyOf(index), "value");
    const wave = async (call: (index: number) => Promise<unknown>) =>
      (await closedLoop(call, inFlight, inFlight)).seconds * 1000;
    // This makes the same round trips as a flush, so that both waves start from the same state.
    const noFlush = () =>
      Promise.all(cluster.nodes.map((address) => cluster.command(address, "SCRIPT", "EXISTS", "0")));
    const times = { evalsha: { warm: [], cold: [] }, eval: { warm: [], cold: [] } } as Record<
      "evalsha" | "eval",
      Record<keyof Wave, number[]>
    >;
    for (const [way, call] of [["evalsha", run] as const, ["eval", send] as const]) {
      const { warm, cold } = times[way];
      for (let tries = 0; cold.length < waves; tries++) {
        if (tries > 2 * waves) throw new Error("The scripts are there again right after each flush.");
        await wave(call);
        await noFlush();
        missing = 0;
        warm.push(await wave(call));
        if (missing > 0) throw new Error("A script was missing on a warm cache.");
        await cluster.flushScripts();
        const time = await wave(call);
        // A late audit can run between the flush and the wave, and load the script.
        if (way === "eval" || missing > 0) cold.push(time);
        await sleep(AUDIT_MS);
      }
    }
    const medians = ({ warm, cold }: Record<keyof Wave, number[]>) => ({ warm: median(warm), cold: median(cold) });
    return { ...situation, evalsha: medians(times.evalsha), eval: medians(times.eval) };
  } finally {
    await client.close();
  }
}
