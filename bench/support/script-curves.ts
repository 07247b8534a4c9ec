import type { CallNumbers } from "../../src/cli/bench/bench-call.ts";
import { measureCurves, rateWay } from "../../src/cli/bench/rate-curve.ts";
import type { Rates } from "../../src/cli/bench/rates.ts";
import type { RateCurve } from "../../src/cli/bench/report.ts";
import type { Cluster } from "../../src/index.ts";
import type { CalledScript } from "./called-script.ts";
import { evalAndEvalsha } from "./ways.ts";

export interface ScriptCurvesOptions {
  readonly rates: Rates;
  readonly numbers: CallNumbers;
  /** The time at each rate, for each way. */
  readonly seconds: number;
  readonly progress: (script: CalledScript, way: string, rate: number) => void;
}

/** EVALSHA and EVAL under rising rates, in turns at each rate, script by script. */
export async function scriptCurves(
  client: Cluster,
  scripts: readonly CalledScript[],
  { rates, numbers, seconds, progress }: ScriptCurvesOptions,
): Promise<readonly RateCurve[]> {
  const curves: RateCurve[] = [];
  for (const called of scripts) {
    for (const { failed } of await client.preload(called.script)) for (const { cause } of failed) throw cause;
    const script = { name: called.script.name, bytes: called.bytes };
    const ways = evalAndEvalsha(client, called, 1).map(({ name, call }) =>
      rateWay(name, script, () => call(numbers.take())),
    );
    curves.push(
      ...(await measureCurves(ways, { rates, seconds, progress: (way, rate) => progress(called, way, rate) })),
    );
  }
  return curves;
}
