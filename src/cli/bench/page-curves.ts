import { escapeMarkup } from "../web/page/escape.js";
import type { LatencySummary } from "./latency.ts";
import { inFlightText } from "./page-answer.ts";
import { type Axis, axisOf, isDrawable } from "./page-axis.ts";
import { legend, shape, stroke } from "./page-marks.ts";
import { counted, figureOf, shortOf } from "./page-words.ts";
import type { Comparison, RateCurve } from "./report.ts";

interface Line {
  readonly series: number;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly marked?: boolean;
}

interface Frame {
  readonly x: Axis;
  readonly y: Axis;
  readonly xLabel: (value: number) => string;
  readonly yLabel: (value: number) => string;
  /** Lines from top to bottom, with a name: the knees. */
  readonly verticals?: readonly { readonly series: number; readonly x: number; readonly name: string }[];
}

const WIDTH = 320;
const LEFT = 58;
const RIGHT = WIDTH - 22;
const HEIGHT = 160;
const NAME_ROOM = 15;

const nines = (share: number) => -Math.log10(1 - share);
/** The shares that have a name on the axis. */
const SHARES = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/**
 * The latencies of all ways by the share of calls, a chart for each comparison. Charts of as many calls in flight have the same
 * axes: more calls in flight wait longer for each other, and are no worse for that.
 */
export function latencyCharts(comparisons: readonly Comparison[]): string {
  const ways = waysOf(comparisons);
  const loads = [...new Set(comparisons.map(({ inFlight }) => inFlight))];
  const groups = loads.map((load) => {
    const own = comparisons.filter(({ inFlight }) => inFlight === load);
    const heading = loads.length === 1 ? "" : `<h3>${escapeMarkup(inFlightText(load))}</h3>`;
    return heading + latencyGrid(own, ways, loads.length === 1 ? titleOf : titleWithoutLoad);
  });
  return legend(ways, "line") + groups.join("\n");
}

/** The names of all ways; those that are bases come last. */
export function waysOf(comparisons: readonly Comparison[]): string[] {
  const bases = new Set(comparisons.map(({ base }) => base));
  const names = new Set(comparisons.flatMap(({ ways }) => ways.map(({ name }) => name)));
  return [...[...names].filter((name) => !bases.has(name)), ...[...names].filter((name) => bases.has(name))];
}

const titleOf = ({ title }: Comparison) => title;

/** A title without the number of calls in flight, which stands above. */
export function titleWithoutLoad({ title, inFlight }: Pick<Comparison, "title" | "inFlight">): string {
  const end = `, ${inFlight.toLocaleString("en")} in flight`;
  return title.endsWith(end) ? title.slice(0, -end.length) : title;
}

function latencyGrid(
  comparisons: readonly Comparison[],
  ways: readonly string[],
  captionOf: (comparison: Comparison) => string,
): string {
  const points = comparisons.flatMap(({ ways }) => ways.flatMap(({ latency }) => latency.curve));
  if (points.length === 0) return "";
  const furthest = Math.max(nines(0.9), ...points.map(([share]) => nines(share)));
  const x: Axis = { ticks: SHARES.filter((share) => nines(share) <= furthest), at: (share) => nines(share) / furthest };
  const y = axisOf(
    points.map(([, milliseconds]) => milliseconds),
    "logarithmic",
  );
  const frame: Frame = {
    x,
    y,
    xLabel: (share) => `${Number((share * 100).toPrecision(6))}%`,
    yLabel: millisecondsText,
  };
  const charts = comparisons.map((comparison) => {
    const { title, ways: own } = comparison;
    const lines = own.map(({ name, latency }) => ({ series: ways.indexOf(name), points: latency.curve }));
    const told = own.map(({ name, latency }) => `${name}: ${quantilesText(latency)}`).join(". ");
    return figure(captionOf(comparison), `Closed-loop latency, ${title}. ${told}.`, frame, lines);
  });
  return `<div class="charts">${charts.join("\n")}</div>`;
}

const QUANTILES = [
  ["p50", (point) => point.latency.p50],
  ["p99", (point) => point.latency.p99],
  ["p99.9", (point) => point.latency.p999],
  ["Generator's lateness, p99", (point) => point.lateness.p99 ?? point.lateness.p50],
] as const satisfies readonly (readonly [string, (point: RateCurve["points"][number]) => number | undefined])[];

/**
 * Latency by rate for one script: a chart for each quantile and one for the generator's lateness, with the same axes.
 * @param known  The ways of other charts of the page. They keep their colours.
 */
export function rateCharts(curves: readonly RateCurve[], known: readonly string[]): string {
  const own = new Set(curves.map(({ way }) => way));
  const ways = [...new Set([...known, ...own])];
  const rates = curves.flatMap(({ points, knee }) => [...points.map(({ rate }) => rate), knee].filter(isDrawable));
  const values = curves
    .flatMap(({ points }) => points.flatMap((point) => QUANTILES.map(([, of]) => of(point))))
    .filter(isDrawable);
  if (rates.length === 0 || values.length === 0) return "";
  const knees = curves.flatMap(({ way, knee }) => {
    return isDrawable(knee) ? [{ series: ways.indexOf(way), x: knee, name: `${way}: ${shortOf(knee)}` }] : [];
  });
  const frame: Frame = {
    x: axisOf(rates, "logarithmic"),
    y: axisOf(values, "logarithmic"),
    xLabel: (rate) => `${shortOf(rate)}/s`,
    yLabel: millisecondsText,
  };
  const charts = QUANTILES.map(([name, of], index) => {
    const lines = curves.map(({ way, points }) => ({
      series: ways.indexOf(way),
      marked: true,
      points: points.flatMap((point) => {
        const value = of(point);
        return isDrawable(value) && isDrawable(point.rate) ? [[point.rate, value] as const] : [];
      }),
    }));
    const isLatency = index < QUANTILES.length - 1;
    const told = curves.map(({ way, points, knee }) => {
      const each = points.map((point) => `${figureOf(of(point) ?? Number.NaN)} ms at ${shortOf(point.rate)}/s`);
      return `${way}: ${each.join(", ")}${isLatency && isDrawable(knee) ? `; not held at ${shortOf(knee)}/s` : ""}`;
    });
    const label = `${name} by calls a second. ${told.join(". ")}.`;
    return figure(name, label, isLatency ? { ...frame, verticals: knees } : frame, lines);
  });
  return `${legend(ways, "line", own)}<div class="charts">${charts.join("\n")}</div>`;
}

/** What was asked of a curve in a heading: `take.lua, 120 bytes`. */
export function scriptText({ name, bytes }: { readonly name: string; readonly bytes: number }): string {
  return `${name}, ${counted(bytes, "byte")}`;
}

function quantilesText({ p50, p99, p999, max }: LatencySummary): string {
  const named = [
    ["p50", p50],
    ["p99", p99],
    ["p99.9", p999],
    ["slowest", max],
  ] as const;
  return named.flatMap(([name, value]) => (isDrawable(value) ? [`${name} ${figureOf(value)} ms`] : [])).join(", ");
}

function millisecondsText(value: number): string {
  return value < 1
    ? `${shortOf(value * 1000)} µs`
    : value < 1000
      ? `${shortOf(value)} ms`
      : `${shortOf(value / 1000)} s`;
}

function figure(
  caption: string,
  told: string,
  { x, y, xLabel, yLabel, verticals = [] }: Frame,
  lines: readonly Line[],
): string {
  const top = 10 + verticals.length * NAME_ROOM;
  const bottom = top + HEIGHT;
  const across = (value: number) => round(LEFT + (RIGHT - LEFT) * x.at(value));
  const down = (value: number) => round(bottom - HEIGHT * y.at(value));
  const parts: string[] = [];
  for (const tick of y.ticks) {
    parts.push(
      `<path class="grid" d="M${LEFT} ${down(tick)}H${RIGHT}"/>`,
      text(LEFT - 6, down(tick) + 4, yLabel(tick), "end"),
    );
  }
  for (const tick of x.ticks) {
    parts.push(`<path class="grid" d="M${across(tick)} ${top}V${bottom}"/>`);
    if (!isCrowded(tick, x)) parts.push(text(across(tick), bottom + 18, xLabel(tick), "middle"));
  }
  for (const [index, { series, x: value, name }] of verticals.entries()) {
    const at = across(value);
    const level = 12 + index * NAME_ROOM;
    parts.push(`<path class="knee s${series % 8}" d="M${at} ${level + 4}V${bottom}"/>`);
    parts.push(text(at, level, name, at > WIDTH / 2 ? "end" : "start"));
  }
  for (const { series, points, marked } of lines) {
    if (points.length === 0) continue;
    const path = points.map(([px, py]) => `${across(px)} ${down(py)}`);
    parts.push(`<path ${stroke(series)} d="M${path.join("L")}"/>`);
    if (marked)
      parts.push(
        ...points.map(
          ([px, py]) => `<g transform="translate(${across(px)} ${down(py)}) scale(.7)">${shape(series)}</g>`,
        ),
      );
  }
  return `<figure><figcaption>${escapeMarkup(caption)}</figcaption><svg class="curve" viewBox="0 0 ${WIDTH} ${bottom + 26}" role="img" aria-label="${escapeMarkup(told)}">${parts.join("")}</svg></figure>`;
}

/** Names on the x axis need room. The nines are evenly spaced, and the last ones are the longest. */
function isCrowded(tick: number, { ticks, at }: Axis): boolean {
  const next = ticks[ticks.indexOf(tick) + 1];
  return next !== undefined && (at(next) - at(tick)) * (RIGHT - LEFT) < 50;
}

function text(x: number, y: number, content: string, anchor: "start" | "middle" | "end"): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${escapeMarkup(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
