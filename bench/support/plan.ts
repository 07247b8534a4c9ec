import type { Filling } from "./bench-script.ts";

/** A script and a load under which it is called. */
export interface Situation {
  readonly bytes: number;
  readonly filling: Filling;
  readonly inFlight: number;
}

/** How much is measured. */
export interface Plan {
  /** The number of bursts of each way, in each situation. */
  readonly rounds: number;
  /** The number of calls of one burst. */
  readonly callsOf: (situation: Situation) => number;
  /** The situations that are also measured on a cold cache, and the number of waves in each. */
  readonly cold: readonly Situation[];
  readonly wavesOf: (situation: Situation) => number;
  /** The number of calls with each detour. */
  readonly detours: number;
}

const SIZES = [100, 1024, 10_240, 65_536];
const IN_FLIGHT = [1, 64, 1024];
/** A smaller script has almost no room for filling text. */
const LEAST_FILLED = 1024;

export const SITUATIONS: readonly Situation[] = IN_FLIGHT.flatMap((inFlight) =>
  SIZES.flatMap((bytes) =>
    (["code", "comment"] as const)
      .filter((filling) => filling === "code" || bytes >= LEAST_FILLED)
      .map((filling) => ({ bytes, filling, inFlight })),
  ),
);

export const FULL: Plan = {
  rounds: 7,
  callsOf: (situation) => callsOf(situation, 1),
  cold: SITUATIONS,
  wavesOf: ({ inFlight }) => ({ 1: 21, 64: 15 })[inFlight] ?? 9,
  detours: 100,
};

export const QUICK: Plan = {
  rounds: 3,
  callsOf: (situation) => callsOf(situation, 0.08),
  cold: SITUATIONS.filter(({ filling }) => filling === "code"),
  wavesOf: () => 3,
  detours: 15,
};

/**
 * The size of bursts of some tenths of a second. Bursts of large scripts are shorter, because these are slow to send.
 */
function callsOf({ bytes, inFlight }: Situation, share: number): number {
  const most = { 1: 4000, 64: 40_000 }[inFlight] ?? 60_000;
  return Math.max(inFlight * 2, Math.round((most * share) / (1 + bytes / 8192)));
}
