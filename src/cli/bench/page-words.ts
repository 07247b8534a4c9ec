import { type Estimate, verdictOf } from "./estimate.ts";
import { isDrawable } from "./page-axis.ts";

/** What the keys of ratios and costs are called on a page, in the order in which they are shown. */
const NAMES: Readonly<Record<string, string>> = {
  callsPerSecond: "calls a second",
  bytesSent: "bytes sent",
  bytesReceived: "bytes received",
  serverCpu: "server's CPU",
  inCommand: "in the command",
  clientCpu: "client's CPU",
  p50: "p50, closed loop",
  p99: "p99, closed loop",
  p999: "p99.9, closed loop",
};

export function metricName(key: string): string {
  return Object.hasOwn(NAMES, key) ? (NAMES[key] as string) : key;
}

/** The keys that occur, known ones first. */
export function metricsOf(records: readonly Readonly<Record<string, unknown>>[]): string[] {
  const found = new Set(records.flatMap((record) => Object.keys(record)));
  const known = Object.keys(NAMES).filter((key) => found.has(key));
  return [...known, ...[...found].filter((key) => !Object.hasOwn(NAMES, key)).sort()];
}

/** Whether an estimate has a median and an interval that can be drawn and said. */
export function isKnown(estimate: Estimate | undefined): estimate is Estimate {
  return estimate != null && [estimate.median, estimate.low, estimate.high].every(isDrawable);
}

/** `2.41 (2.05 to 3.18)`, and what it does not say where it spans 1. */
export function ratioText(ratio: Estimate): string {
  const text = intervalText(ratio, factorOf);
  if (ratio.low === 1 && ratio.high === 1) return `${text}, the same`;
  return verdictOf(ratio) === "no difference seen" ? `${text}, no difference seen` : text;
}

/** `165,000 (157,000 to 170,000)`, or `0.096` where nothing varies: bytes are the same in each round. */
export function intervalText(
  { median, low, high }: Pick<Estimate, "median" | "low" | "high">,
  form: (value: number) => string = roughly,
): string {
  const [middle, from, to] = [form(median), form(low), form(high)];
  return from === to ? middle : `${middle} (${from} to ${to})`;
}

/** A measured value: more than three digits are not known. */
export function roughly(value: number): string {
  return figureOf(value >= 100 ? Number(value.toPrecision(3)) : value);
}

/** A factor with two decimals, or with two digits if it is less than 0.1. */
export function factorOf(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 0.1 ? value.toFixed(value >= 10 ? 1 : 2) : value.toPrecision(2);
}

/** The number with about three significant digits. */
export function figureOf(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value === 0) return "0";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

/** A figure for an axis: `250k`. */
export function shortOf(value: number): string {
  for (const [size, sign] of [
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (value >= size) return `${Number((value / size).toPrecision(3))}${sign}`;
  }
  return String(Number(value.toPrecision(3)));
}

/** A share in percent: `9%`, `0.15%`. */
export function percentOf(share: number): string {
  const percent = share * 100;
  return `${percent >= 10 ? percent.toFixed(0) : Number(percent.toPrecision(2))}%`;
}

/** `1 call`, `2,000 calls` */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** `a, b and c` */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
