import type { Cluster } from "../../cluster/cluster.ts";
import type { BenchCall, CallNumbers } from "./bench-call.ts";
import { type CurveOptions, measureCurves, rateWay } from "./rate-curve.ts";
import type { RateCurve } from "./report.ts";

/** Curves, and the number of replies that arrived and were checked, with those of the warm-up. */
export interface CountedCurves {
  readonly curves: readonly RateCurve[];
  readonly replies: number;
}

/** EVAL and EVALSHA under rising rates, in turns at each rate. */
export async function callCurves(
  cluster: Cluster,
  call: BenchCall,
  numbers: CallNumbers,
  options: CurveOptions,
): Promise<CountedCurves> {
  const { name, source } = call.script;
  const script = { name, bytes: Buffer.byteLength(source) };
  let replies = 0;
  const counted = (make: (number: number) => Promise<void>) => async () => {
    await make(numbers.take());
    replies++;
  };
  const ways = [
    rateWay("EVAL", script, counted(call.eval(cluster))),
    rateWay("EVALSHA", script, counted(call.evalsha(cluster))),
  ];
  return { curves: await measureCurves(ways, options), replies };
}
