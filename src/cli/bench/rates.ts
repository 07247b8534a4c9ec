import { InvalidArgumentError } from "../../errors.ts";
import type { Option } from "../arguments.ts";
import { median } from "./estimate.ts";
import type { RatePoint } from "./report.ts";

/*
 * Which rates are measured, and where the knee is. Both follow from the slices that were measured so far, and from nothing
 * else. A rate is beyond the knee when most of its slices say so: one stall of the machine does not make a knee.
 */

/** The figures of one slice at a rate, which can be handed from process to process. */
export interface SliceFigures {
  readonly seconds: number;
  readonly due: number;
  readonly made: number;
  readonly dueLately: number;
  readonly answeredLately: number;
  readonly waiting: number;
  readonly stopped?: string;
  /** Milliseconds, from when a call was due; absent with too few calls. */
  readonly p99?: number;
}

/** A rate and what was measured at it. */
export interface MeasuredRate {
  readonly rate: number;
  readonly slices: readonly SliceFigures[];
  /** The p99 of all slices together; absent with too few calls. */
  readonly p99?: number | undefined;
}

/** How far a way comes: the highest rate that it holds, and the lowest one above that it does not; absent if not known. */
export interface Reach {
  readonly held?: number;
  readonly knee?: number;
  /** Whether the knee is none of luck: all slices at it say so, or the next higher rate was not held either. */
  readonly sure: boolean;
}

export type Rates = readonly number[] | "auto";

/** Of the calls that are due, so many must be made and answered in time. */
const IN_TIME = 0.98;
/** A p99 is far above those of lower rates when it is so many times their median, and at least so many milliseconds. */
const SLOW = { times: 10, milliseconds: 1 };
const FIRST = 1000;
const MOST = 1_000_000;
const MOST_RATES = 50;
/** The knee is known well enough when it lies within so much of the rate that was held. */
const FINE = 1.15;

/** `--rate`, an option of every benchmark that measures latency under a given rate. */
export const RATE_OPTION = {
  type: "string",
  value: "N[,N...]|auto",
  says: "also latency at so many calls a second, from when a call was due; auto looks for the highest rate that is held",
} as const satisfies Option;

/** The value of `--rate`. @throws {InvalidArgumentError} for anything else than rates or `auto`. */
export function ratesOf(text: string): Rates {
  if (text === "auto") return "auto";
  const words = text.split(",").map((word) => word.trim());
  const rates = words.map((word) => (/^\d{1,7}$/.test(word) ? Number(word) : Number.NaN));
  if (rates.length <= MOST_RATES && rates.every((rate) => rate >= 1 && rate <= MOST)) {
    return [...new Set(rates)].sort((a, b) => a - b);
  }
  throw new InvalidArgumentError(
    `--rate is ${JSON.stringify(text)}; accepted are up to ${MOST_RATES} rates from 1 to ${MOST} calls a second with commas between them, or auto.`,
  );
}

/** Why each rate is beyond the knee; undefined for a rate that was held. Rates must ascend. */
export function judge(rates: readonly MeasuredRate[]): readonly RatePoint["beyond"][] {
  const lower: number[] = [];
  return rates.map((each) => {
    const p99 = usualP99(each);
    const beyond = piledUp(each.slices) ?? (isSlow(each, lower) ? "slow" : undefined);
    if (beyond === undefined && p99 !== undefined) lower.push(p99);
    return beyond;
  });
}

/** How far a way comes, from all rates that were measured with it. */
export function reachOf(rates: readonly MeasuredRate[]): Reach {
  const sorted = [...rates].sort((a, b) => a.rate - b.rate);
  const beyond = judge(sorted);
  const held = sorted.findLast((_, index) => beyond[index] === undefined)?.rate;
  const [knee, ...higher] = sorted.filter(({ rate }) => held === undefined || rate > held);
  return {
    ...(held === undefined ? {} : { held }),
    ...(knee === undefined ? {} : { knee: knee.rate }),
    sure: knee !== undefined && (higher.length > 0 || knee.slices.every(isBehind)),
  };
}

/**
 * The next rate to measure, of those that the user gave, or looking for the knee of each way: up in steps of 1, 2, 5, 10 (or
 * down, when the first rate is too much), and then between what was held and what was not. Undefined in the end.
 */
export function nextRate(rates: Rates, measured: readonly number[], reaches: readonly Reach[]): number | undefined {
  if (rates !== "auto") return rates.find((rate) => !measured.includes(rate));
  if (measured.length === 0) return FIRST;
  const highest = Math.max(...measured);
  if (reaches.some(({ sure }) => !sure) && highest < MOST) return inSeries(highest, 1);
  const lowest = Math.min(...measured);
  if (reaches.some(({ held }) => held === undefined) && lowest > 1) return inSeries(lowest, -1);
  const [widest] = reaches.flatMap(between).sort((a, b) => b.width - a.width);
  return widest?.rate;
}

/** The rate half-way between what was held and what was not, until both are near to each other. */
function between({ held, knee }: Reach): readonly { readonly rate: number; readonly width: number }[] {
  if (held === undefined || knee === undefined || knee / held <= FINE) return [];
  const rate = Math.round(Number(Math.sqrt(held * knee).toPrecision(2)));
  return rate > held && rate < knee ? [{ rate, width: knee / held }] : [];
}

/** The neighbour of a rate in the series 1, 2, 5, 10, 20, 50 ... */
function inSeries(rate: number, step: 1 | -1): number {
  const decade = 10 ** Math.floor(Math.log10(rate) + 1e-9);
  const steps = [0.5, 1, 2, 5, 10].map((each) => each * decade);
  const next = step === 1 ? steps.find((each) => each > rate) : steps.findLast((each) => each < rate);
  return Math.max(1, next ?? rate);
}

/** Whether a rate needs a second look: most of its slices say that it was not held, and others say that it was. */
export function isDoubtful(rates: readonly MeasuredRate[], rate: number): boolean {
  const sorted = [...rates].sort((a, b) => a.rate - b.rate);
  const index = sorted.findIndex((each) => each.rate === rate);
  return judge(sorted)[index] !== undefined && !(sorted[index]?.slices.every(isBehind) ?? true);
}

/** In most of the slices calls were left out, were made late, or piled up without an answer. */
function piledUp(slices: readonly SliceFigures[]): RatePoint["beyond"] {
  if (most(slices, ({ stopped }) => stopped === "waiting" || stopped === "refused")) return "stopped";
  if (most(slices, ({ due, made }) => isShort(made, due))) return "late";
  if (most(slices, ({ dueLately, answeredLately }) => isShort(answeredLately, dueLately))) return "unanswered";
  // Some slices fail for one reason, and some for another.
  return most(slices, isBehind) ? "unanswered" : undefined;
}

function isBehind({ stopped, due, made, dueLately, answeredLately }: SliceFigures): boolean {
  return stopped !== undefined || isShort(made, due) || isShort(answeredLately, dueLately);
}

/** One call is no shortage: at low rates it is more than the share that may be missing. */
function isShort(got: number, due: number): boolean {
  return got + 1 < due * IN_TIME;
}

function most(slices: readonly SliceFigures[], is: (slice: SliceFigures) => boolean): boolean {
  return slices.filter(is).length * 2 > slices.length;
}

/** The median of the slices, which a single stall does not change; of all calls, where slices have too few. */
function usualP99({ slices, p99 }: MeasuredRate): number | undefined {
  const each = slices.flatMap((slice) => slice.p99 ?? []);
  return each.length * 2 > slices.length ? median(each) : p99;
}

function isSlow({ slices, p99 }: MeasuredRate, lower: readonly number[]): boolean {
  const limit = Math.max(SLOW.milliseconds, SLOW.times * median(lower));
  const each = slices.flatMap((slice) => slice.p99 ?? []);
  if (each.length * 2 > slices.length) return each.filter((value) => value > limit).length * 2 > slices.length;
  return p99 !== undefined && p99 > limit;
}
