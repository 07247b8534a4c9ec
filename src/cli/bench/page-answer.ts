import { type Estimate, verdictOf } from "./estimate.ts";
import { counted, factorOf, intervalText, isKnown, listed, percentOf, ratioText } from "./page-words.ts";
import type { BenchReport, Comparison } from "./report.ts";

/** The answer of a report in words: what it is about, and a sentence for each thing that was compared. */
export interface Answer {
  readonly about: string;
  readonly sentences: readonly string[];
}

/** One way in one situation, with its ratios to the base. */
export interface Compared {
  readonly comparison: Comparison;
  readonly way: string;
  readonly ratios: Readonly<Record<string, Estimate>>;
}

/** All ways that have ratios. */
export function comparedIn({ comparisons }: Pick<BenchReport, "comparisons">): Compared[] {
  return comparisons.flatMap((comparison) => {
    return comparison.ways.flatMap(({ name, ratios }) =>
      ratios === undefined ? [] : [{ comparison, way: name, ratios }],
    );
  });
}

/** An answer for each way: in full for one situation, as a range over several. */
export function answersOf(report: Pick<BenchReport, "comparisons">): Answer[] {
  const byWay = new Map<string, Compared[]>();
  for (const each of comparedIn(report)) {
    const key = JSON.stringify([each.way, each.comparison.base]);
    byWay.set(key, [...(byWay.get(key) ?? []), each]);
  }
  return [...byWay.values()].map((own) => (own.length === 1 ? one(own[0] as Compared) : several(own)));
}

function one({ comparison, way, ratios }: Compared): Answer {
  const { script, inFlight, base } = comparison;
  const { callsPerSecond, bytesSent, serverCpu } = ratios;
  const sentences: string[] = [];
  if (isKnown(callsPerSecond)) {
    sentences.push(
      isUnclear(callsPerSecond)
        ? `No difference in calls a second was seen between ${way} and ${base}: ${intervalText(callsPerSecond, factorOf)} times.`
        : `${way} makes ${factorOf(callsPerSecond.median)} times the calls a second of ${base} (${span(callsPerSecond, factorOf)}).`,
    );
  }
  if (isKnown(bytesSent)) sentences.push(shareSentence(bytesSent, "of the bytes sent", "the bytes sent", way));
  if (isKnown(serverCpu)) sentences.push(shareSentence(serverCpu, "of the servers' CPU a call", "servers' CPU", way));
  return {
    about: `The script ${script.name} of ${counted(script.bytes, "byte")}, ${inFlightText(inFlight)}:`,
    sentences,
  };
}

function shareSentence(ratio: Estimate, of: string, noun: string, way: string): string {
  const form = ratio.median < 1 ? percentOf : (value: number) => `${factorOf(value)} times`;
  // A count of bytes is the same in each round: an interval without a width is not worth a word.
  const interval = form(ratio.low) === form(ratio.high) ? "" : ` (${span(ratio, form)})`;
  if (ratio.low === 1 && ratio.high === 1) return `As many ${noun.replace(/^the /, "")}.`;
  if (isUnclear(ratio)) return `No difference in ${noun} was seen: ${intervalText(ratio, factorOf)} times.`;
  const isHalf = Math.abs(ratio.median - 0.5) <= 0.03;
  if (isHalf) return `${way} needs half ${of.replace(/^of /, "")}${interval}.`;
  return `${way} needs ${ratio.median < 1 ? `${form(ratio.median)} ${of}` : `${form(ratio.median)} ${of.replace(/^of /, "")}`}${interval}.`;
}

function several(all: readonly Compared[]): Answer {
  const { way, comparison } = all[0] as Compared;
  const sentences: string[] = [];
  const calls = rangeOf(all, "callsPerSecond");
  if (calls !== undefined) {
    const { least, most, unclear } = calls;
    sentences.push(
      `${way} makes ${factorOf(least.ratio.median)} to ${factorOf(most.ratio.median)} times the calls a second of ${comparison.base}.`,
      `Least with ${least.title}: ${ratioText(least.ratio)}. Most with ${most.title}: ${ratioText(most.ratio)}.`,
    );
    if (unclear.length > 0) {
      const where =
        unclear.length <= 3
          ? `with ${listed(unclear.map(({ title }) => title))}`
          : `in ${unclear.length} of ${all.length} situations`;
      sentences.push(`No difference in calls a second was seen ${where}.`);
    }
  }
  for (const [key, of] of [
    ["bytesSent", "of the bytes sent"],
    ["serverCpu", "of the servers' CPU a call"],
  ] as const) {
    const range = rangeOf(all, key);
    if (range === undefined) continue;
    const { least, most } = range;
    sentences.push(
      `It needs ${percentOf(least.ratio.median)} (${least.title}) to ${percentOf(most.ratio.median)} (${most.title}) ${of}.`,
    );
  }
  return { about: `${way} against ${comparison.base}, ${counted(all.length, "situation")}:`, sentences };
}

function rangeOf(all: readonly Compared[], key: string) {
  const known = all.flatMap(({ comparison, ratios }) => {
    const ratio = ratios[key];
    return isKnown(ratio) ? [{ title: comparison.title, ratio }] : [];
  });
  const sorted = known.sort((a, b) => a.ratio.median - b.ratio.median);
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined) return undefined;
  return { least, most, unclear: known.filter(({ ratio }) => isUnclear(ratio)) };
}

function isUnclear(ratio: Estimate): boolean {
  return verdictOf(ratio) === "no difference seen";
}

function span({ low, high }: Estimate, form: (value: number) => string): string {
  return `${form(low)} to ${form(high)}`;
}

/** `1 call in flight`, `1,024 calls in flight` */
export function inFlightText(inFlight: number): string {
  return `${counted(inFlight, "call")} in flight`;
}
