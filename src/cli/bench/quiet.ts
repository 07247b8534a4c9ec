import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "./estimate.ts";
import type { Noise, Quiet, WayFigures } from "./report.ts";

/*
 * Whether the machine had nothing else to do. Three things tell: what others used of the processors while we rested, what they
 * used while we measured (all that was used, less what the client and its servers used), and how far the rounds of one way lie
 * apart. The first two are counted by the system. The third also shows what no count does, such as a processor that slows down.
 */

/** What the client and the servers used during a measurement. */
export interface Measurement {
  /**
   * CPU seconds of the servers, and of child processes that measured, as far as they were on this machine; 0 if there were
   * none, undefined if not known. The CPU of this process is known without.
   */
  readonly otherOwnCpu: number | undefined;
  readonly comparisons: readonly { readonly ways: readonly Pick<WayFigures, "rounds">[] }[];
}

/** Others use some of a processor on every machine: more than this is a noise. In cores, and for each core more. */
const USED = { least: 0.2, perCore: 0.01 };
const STOLEN = 0.02;
const SPREAD = 0.5;
const REST_MS = 500;

/** Looks at the machine before and after a measurement. */
export class QuietCheck {
  readonly #atRest: number;
  readonly #load: number;
  readonly #began: Reading;

  private constructor(atRest: number, load: number) {
    this.#atRest = atRest;
    this.#load = load;
    this.#began = read();
  }

  /** Rests for a while, and looks at what others do. The servers must be idle. */
  static async begin(restMs = REST_MS): Promise<QuietCheck> {
    const [load = 0] = loadavg();
    const before = read();
    await sleep(restMs);
    return new QuietCheck(coresOfOthers(before, read()), load);
  }

  end({ otherOwnCpu, comparisons }: Measurement): Quiet {
    const [before, after] = [this.#began, read()];
    const spreads = comparisons.flatMap(({ ways }) => ways.map(({ rounds }) => spreadOf(rounds)));
    return quietOf({
      cores: cpus().length,
      atRest: this.#atRest,
      ...(otherOwnCpu === undefined ? {} : { meanwhile: coresOfOthers(before, after, otherOwnCpu) }),
      ...(after.total > before.total ? { stolen: (after.steal - before.steal) / (after.total - before.total) } : {}),
      ...(spreads.length === 0 ? {} : { spread: Math.max(...spreads) }),
      load: this.#load,
    });
  }
}

/** Judges what was seen. */
export function quietOf(seen: Noise): Quiet {
  const { cores, atRest, meanwhile = 0, stolen = 0, spread = 0, load } = seen;
  const most = USED.least + USED.perCore * cores;
  const used = (share: number) => `${share.toFixed(1)} of ${cores} ${cores === 1 ? "core" : "cores"}`;
  const reasons: string[] = [];
  if (meanwhile > most) reasons.push(`Other processes used ${used(meanwhile)} during the measurement.`);
  else if (atRest > most)
    reasons.push(`Other processes used ${used(atRest)} before it began (load ${load.toFixed(1)}).`);
  if (stolen > STOLEN)
    reasons.push(`The hypervisor gave ${percent(stolen)} of the processors' time to other machines.`);
  if (spread > SPREAD) reasons.push(`The middle half of the rounds lies ${percent(spread)} apart.`);
  return { quiet: reasons.length === 0, reasons, seen };
}

/** `The machine was not quiet: other processes used 0.8 of 2 cores.`, or undefined. */
export function noiseLine({ quiet, reasons }: Quiet): string | undefined {
  if (quiet) return undefined;
  const parts = reasons.map((reason) => reason.charAt(0).toLowerCase() + reason.slice(1).replace(/\.$/, ""));
  return `The machine was not quiet: ${parts.join("; ")}.`;
}

/** How far the middle half of the values lies apart, as a share of their median. */
export function spreadOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.ceil(sorted.length / 2);
  return (median(sorted.slice(-half)) - median(sorted.slice(0, half))) / median(sorted);
}

/** Seconds since some moment; `own` is the CPU of this process. */
export interface Reading {
  readonly at: number;
  readonly busy: number;
  readonly own: number;
  /** In ticks. */
  readonly steal: number;
  readonly total: number;
}

function read(): Reading {
  let busy = 0;
  for (const { times } of cpus()) busy += times.user + times.nice + times.sys + times.irq;
  const { user, system } = process.cpuUsage();
  return { at: performance.now() / 1000, busy: busy / 1000, own: (user + system) / 1e6, ...stealOf() };
}

/** What processes used that are neither this one nor those whose CPU seconds are given. */
export function coresOfOthers(before: Reading, after: Reading, otherOwnCpu = 0): number {
  const others = after.busy - before.busy - (after.own - before.own) - otherOwnCpu;
  return Math.max(0, others / (after.at - before.at));
}

/** Only Linux tells what a hypervisor took; elsewhere nothing is known of it. */
function stealOf(): { readonly steal: number; readonly total: number } {
  try {
    const [, ...ticks] = (readFileSync("/proc/stat", "utf8").split("\n", 1)[0] as string).split(/\s+/).map(Number);
    return { steal: ticks[7] ?? 0, total: ticks.slice(0, 8).reduce((sum, each) => sum + each, 0) };
  } catch {
    return { steal: 0, total: 0 };
  }
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}
