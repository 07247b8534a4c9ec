import type { Filling } from "./bench-script.ts";

/** A script and a load under which it is called. */
export interface Situation {
  readonly bytes: number;
  readonly filling: Filling;
  readonly inFlight: number;
}

/** How long everything is measured. */
export interface Plan {
  /** Bursts of each way in each situation. */
  readonly rounds: number;
  /** Calls of one burst. */
  readonly callsOf: (situation: Situation) => number;
  /** Situations that are measured on a cold cache as well, and waves in each. */
  readonly cold: readonly Situation[];
  readonly wavesOf: (situation: Situation) => number;
  /** Calls with each detour. */
  readonly detours: number;
}

const SIZES = [100, 1024, 10_240, 65_536];
const IN_FLIGHT = [1, 64, 1024];
/** Below this, there is no room for a filling to speak of. */
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

/** Bursts of some tenths of a second, shorter for large scripts, which are slow to send. */
function callsOf({ bytes, inFlight }: Situation, share: number): number {
  const most = { 1: 4000, 64: 40_000 }[inFlight] ?? 60_000;
  return Math.max(inFlight * 2, Math.round((most * share) / (1 + bytes / 8192)));
}
