import type { Cluster } from "../../cluster/cluster.ts";
import { type BenchCall, FIRST_NUMBER } from "./bench-call.ts";
import { type CurveOptions, measureCurves, rateWay } from "./rate-curve.ts";
import type { RateCurve } from "./report.ts";

/** EVAL and EVALSHA under rising rates, in turns at each rate. */
export function callCurves(cluster: Cluster, call: BenchCall, options: CurveOptions): Promise<readonly RateCurve[]> {
  const { name, source } = call.script;
  const script = { name, bytes: Buffer.byteLength(source) };
  const [byEval, bySha] = [call.eval(cluster), call.evalsha(cluster)];
  return measureCurves(
    [
      rateWay("EVAL", script, (number) => byEval(FIRST_NUMBER + number)),
      rateWay("EVALSHA", script, (number) => bySha(FIRST_NUMBER + number)),
    ],
    options,
  );
}
