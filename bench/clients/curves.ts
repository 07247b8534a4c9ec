import { measureCurves, type RateSlice, type RateWay } from "../../src/cli/bench/rate-curve.ts";
import type { Rates } from "../../src/cli/bench/rates.ts";
import type { RateCurve } from "../../src/cli/bench/report.ts";
import { AskedProcess } from "../support/asked-process.ts";
import { PEERS, type PeerName } from "./peers.ts";
import { SCRIPTS } from "./workload.ts";

export const CURVE_SCRIPT: RateCurve["script"] = { name: "write", bytes: SCRIPTS.write.length };
export const CURVE_ARGUMENT = "x".repeat(16);

/** What a process is asked for: to warm up, or to make calls at a rate. */
export type CurveRequest = { readonly warmUp: true } | { readonly rate: number; readonly milliseconds: number };

export interface ClientCurvesOptions {
  readonly nodes: readonly string[];
  readonly rates: Rates;
  /** The time at each rate, for each client. */
  readonly seconds: number;
  readonly progress: (client: string, rate: number) => void;
}

/** Latency under rising rates for each client, each in a process of its own, in turns at each rate. */
export async function clientCurves(options: ClientCurvesOptions): Promise<readonly RateCurve[]> {
  const processes: AskedProcess<CurveRequest, RateSlice>[] = [];
  try {
    const ways: RateWay[] = [];
    for (const name of Object.keys(PEERS) as PeerName[]) {
      const worker = new URL("curve-worker.ts", import.meta.url);
      const process = await AskedProcess.start<CurveRequest, RateSlice>(name, worker, [name, ...options.nodes]);
      processes.push(process);
      ways.push({
        name,
        script: CURVE_SCRIPT,
        warmUp: async () => void (await process.ask({ warmUp: true })),
        slice: (rate, milliseconds) => process.ask({ rate, milliseconds }),
      });
    }
    return await measureCurves(ways, options);
  } finally {
    for (const process of processes) process.end();
  }
}
