import { widthOf } from "./estimate.ts";
import { percentOf } from "./page-words.ts";
import type { Comparison } from "./report.ts";

/** How narrow the intervals have become. @param seconds  The bound, for each way. */
export function reached({ ways }: Comparison, wanted: number, seconds: number): NonNullable<Comparison["until"]> {
  const widths = ways.flatMap(({ ratios }) => (ratios?.callsPerSecond ? [widthOf(ratios.callsPerSecond)] : []));
  return { wanted, width: Math.max(...widths), seconds };
}

/** Which intervals are wider than `--until` wants, as a sentence; none if all are as narrow. */
export function shortfallOf(comparisons: readonly Pick<Comparison, "title" | "until">[]): readonly string[] {
  const asked = comparisons.flatMap(({ title, until }) => (until === undefined ? [] : [{ title, ...until }]));
  const [worst, ...others] = asked.filter(({ width, wanted }) => width > wanted).sort((a, b) => b.width - a.width);
  if (worst === undefined) return [];
  const { title, width, wanted, seconds } = worst;
  const bound = `as --until wants: after ${seconds} s each, the bound was met first.`;
  if (asked.length === 1) {
    return [`The interval is ${upTo(width)} wide to a side and not ${percentOf(wanted)}, ${bound}`];
  }
  const which = `${others.length + 1} of ${asked.length}`;
  return [
    `The intervals of ${which} comparisons are up to ${upTo(width)} wide to a side (${title}) and not ${percentOf(wanted)}, ${bound}`,
  ];
}

/** Never as little as what was wanted. */
function upTo(share: number): string {
  return `${Math.ceil(1000 * share) / 10}%`;
}
