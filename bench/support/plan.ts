import { LEAST_ROUNDS } from "../../src/cli/bench/estimate.ts";
import { type CalledScript, ownScript } from "./called-script.ts";

/** A script and a load under which it is called. */
export interface Situation {
  readonly called: CalledScript;
  readonly inFlight: number;
}

/** How much is measured. */
export interface Plan {
  readonly situations: readonly Situation[];
  /** The least time for each way in each situation, in seconds. */
  readonly seconds: number;
  /** The least number of calls that each caller makes in a slice. */
  readonly callsEach: number;
  /** The situations in which other ways to call are compared with EVALSHA. */
  readonly otherWays: readonly Situation[];
  /** The situations that are also measured on a cold cache. */
  readonly cold: readonly Situation[];
  /** The number of waves of each way in such a situation. */
  readonly wavesOf: (situation: Situation) => number;
  /** The number of calls with each detour. */
  readonly detours: number;
  /** The scripts whose latency is measured under given rates, and the time at each rate for each way, in seconds. */
  readonly curves: readonly CalledScript[];
  readonly curveSeconds: number;
}

/** What the command line says of it. */
export interface PlanOptions {
  readonly quick: boolean;
  readonly seconds?: number | undefined;
  readonly inFlight?: readonly number[] | undefined;
  /** One's own script in place of the benchmark's. */
  readonly given?: CalledScript | undefined;
}

export const SIZES = [100, 1024, 10_240, 65_536];
export const IN_FLIGHT = [1, 64, 1024];
/** A smaller script has almost no room for filling text. */
const LEAST_FILLED = 1024;
const OTHER_WAYS = { bytes: 1024, inFlight: [1, 64] };
/** 1,024 calls of 64 KB take a fifth of a second: a quick run would spend half of its time there. */
const MOST_BYTES_QUICKLY = 2 ** 25;
const SECONDS = { full: 3, quick: 0.25 };
/** The scripts whose latency is measured under given rates, by their bytes. */
const CURVES = { full: [1024, 65_536], quick: [1024] };
const CURVE_SECONDS = { full: 2, quick: 1 };
/** A quick run has the situations with so many in flight at most. A wave of one call is short, so there can be more. */
const COLD = { inFlight: 64, waves: LEAST_ROUNDS + 1, wavesOfOne: 20 };
const DETOURS = { full: 100, quick: 15 };
/** With large scripts and many in flight, a slice that has so many calls of each caller is long: half a second. */
const CALLS_EACH = { full: 1, quick: 0 };

export function planOf({ quick, given, inFlight = IN_FLIGHT, seconds }: PlanOptions): Plan {
  const filled = given === undefined && !quick ? SIZES.filter((bytes) => bytes >= LEAST_FILLED) : [];
  const own = given === undefined ? SIZES.map((bytes) => ownScript(bytes)) : [given];
  const comments = filled.map((bytes) => ownScript(bytes, "comment"));
  const under = (scripts: readonly CalledScript[], loads: readonly number[]): Situation[] => {
    return loads.flatMap((load) => scripts.map((called) => ({ called, inFlight: load })));
  };
  const all = under([...own, ...comments], inFlight);
  const isShort = (each: Situation) => each.called.bytes * each.inFlight <= MOST_BYTES_QUICKLY;
  const situations = quick && given === undefined ? all.filter(isShort) : all;
  const loads = OTHER_WAYS.inFlight.filter((load) => inFlight.includes(load));
  const others = own.filter(({ bytes }) => given !== undefined || bytes === OTHER_WAYS.bytes);
  return {
    situations,
    seconds: seconds ?? (quick ? SECONDS.quick : SECONDS.full),
    callsEach: quick ? CALLS_EACH.quick : CALLS_EACH.full,
    otherWays: under(others, quick || loads.length === 0 ? [loads.at(-1) ?? (inFlight[0] as number)] : loads),
    cold: quick
      ? situations.filter((each) => each.inFlight <= COLD.inFlight && others.includes(each.called))
      : situations,
    wavesOf: ({ inFlight: load }) => (quick || load > 1 ? COLD.waves : COLD.wavesOfOne),
    detours: quick ? DETOURS.quick : DETOURS.full,
    curves: given === undefined ? own.filter(({ bytes }) => CURVES[quick ? "quick" : "full"].includes(bytes)) : [given],
    curveSeconds: seconds ?? CURVE_SECONDS[quick ? "quick" : "full"],
  };
}
