import { escapeMarkup } from "../web/page/escape.js";
import { type Axis, axisOf, isDrawable } from "./page-axis.ts";
import { legend, shape } from "./page-marks.ts";
import type { ChartRow, Mark, RowChart } from "./page-parts.ts";
import { figureOf, shortOf } from "./page-words.ts";

/** What the marks of a row need above and below each other. */
const LANE = 13;
const LEAST_ROW = 26;
/** More dots than these cannot be told from each other. */
const MOST_DOTS = 60;

/**
 * A chart as a table: name, marks, figures. All rows share one axis. A place on it is a percentage, and all text is text of
 * the page, so that it keeps its size on a phone.
 */
export function rowChart(chart: RowChart, caption = true): string {
  const { title, series, groups, unit = "" } = chart;
  const rows = groups.flatMap((group) => group.rows);
  const axis = axisOf(
    [...rows.flatMap(valuesOf), ...(chart.line === undefined ? [] : [chart.line]), ...(chart.reach ?? [])],
    chart.scale,
  );
  const body = groups.map((group) => {
    const heading =
      group.title === undefined
        ? ""
        : `<tr role="row" class="group"><th role="columnheader" scope="colgroup" colspan="3">${escapeMarkup(group.title)}</th></tr>`;
    return `<tbody role="rowgroup">${heading}${group.rows.map((row) => rowOf(row, chart, axis)).join("")}</tbody>`;
  });
  const named = `${title}${unit === "" ? "" : `, ${unit}`}`;
  return `<figure class="rows">${caption ? `<figcaption>${escapeMarkup(named)}</figcaption>` : ""}${series.length > 1 ? legend(series, "shape") : ""}
<table role="table" aria-label="${escapeMarkup(named)}"><tbody role="rowgroup" aria-hidden="true">${axisRow(axis, "top")}</tbody>
${body.join("\n")}
<tbody role="rowgroup" aria-hidden="true">${axisRow(axis, "bottom")}</tbody></table></figure>`;
}

/** All values for which a chart needs room. Charts that stand beside each other reach over the values of all. */
export function valuesOf({ marks }: ChartRow): number[] {
  return marks.flatMap(({ value, dots = [] }) => [value.median, value.low, value.high, ...dots].filter(isDrawable));
}

function rowOf({ name, said, marks }: ChartRow, chart: RowChart, axis: Axis): string {
  const lanes = [...new Set(marks.map(({ series }) => series))];
  const height = Math.max(LEAST_ROW, lanes.length * LANE + 8);
  const top = (height - lanes.length * LANE) / 2;
  const drawn = marks.map((mark) => {
    const y = top + (lanes.indexOf(mark.series) + 0.5) * LANE;
    return chart.kind === "bars" ? bar(mark, axis, y) : point(mark, axis, y);
  });
  // One mark is what the figures beside it say. Of several, the figures say one.
  const told =
    chart.series.length < 2
      ? 'aria-hidden="true"'
      : `role="img" aria-label="${escapeMarkup(marks.map((mark) => `${chart.series[mark.series]}: ${toldOf(mark)}`).join("; "))}"`;
  const line =
    chart.line === undefined
      ? ""
      : `<line class="one" x1="${place(axis, chart.line)}" x2="${place(axis, chart.line)}" y1="0" y2="${height}"/>`;
  return `<tr role="row"${lanes.length > 1 ? ' class="many"' : ""}><th role="rowheader" scope="row">${escapeMarkup(name)}</th><td role="cell" class="strip"><svg height="${height}" ${told}>${gridOf(axis, height)}${line}${drawn.join("")}</svg></td><td role="cell" class="said">${saidOf(said)}</td></tr>\n`;
}

/** What follows an interval stands below it, because few have it. */
function saidOf(said: string): string {
  const [figure = "", ...rest] = said.split(/(?<=\)|^[\d.,]+), (?=\D)/);
  return escapeMarkup(figure) + rest.map((part) => `<br><small>${escapeMarkup(part)}</small>`).join("");
}

function toldOf({ value: { median, low, high } }: Mark): string {
  const interval = low === undefined || high === undefined ? "" : ` (${figureOf(low)} to ${figureOf(high)})`;
  return figureOf(median) + interval;
}

function bar({ series, value }: Mark, axis: Axis, y: number): string {
  if (!isDrawable(value.median)) return "";
  const thick = LANE - 2;
  const start = place(axis, 0);
  const width = `${round(SPAN * axis.at(value.median))}%`;
  return `<rect class="f${series % 8}" x="${start}" y="${y - thick / 2}" width="${width}" height="${thick}"/>${whisker(value, axis, y, "ink")}`;
}

function point({ series, value, dots = [] }: Mark, axis: Axis, y: number): string {
  if (!isDrawable(value.median)) return "";
  const few = thinned(dots.filter(isDrawable)).map(
    (dot) => `<circle class="f${series % 8} dot" cx="${place(axis, dot)}" cy="${y}" r="1.7"/>`,
  );
  const mark = `<svg x="${place(axis, value.median)}" y="${y}" overflow="visible" aria-hidden="true">${shape(series)}</svg>`;
  return few.join("") + whisker(value, axis, y, `s${series % 8}`) + mark;
}

function whisker({ low, high }: Mark["value"], axis: Axis, y: number, style: string): string {
  if (!isDrawable(low) || !isDrawable(high)) return "";
  const [from, to] = [place(axis, low), place(axis, high)];
  const end = (x: string) => `<line x1="${x}" x2="${x}" y1="${y - 3.5}" y2="${y + 3.5}"/>`;
  return `<g class="whisker ${style}"><line x1="${from}" x2="${to}" y1="${y}" y2="${y}"/>${end(from)}${end(to)}</g>`;
}

function thinned(dots: readonly number[]): readonly number[] {
  if (dots.length <= MOST_DOTS) return dots;
  const sorted = [...dots].sort((a, b) => a - b);
  return Array.from(
    { length: MOST_DOTS },
    (_, index) => sorted[Math.round((index * (sorted.length - 1)) / (MOST_DOTS - 1))] as number,
  );
}

function axisRow(axis: Axis, side: "top" | "bottom"): string {
  const texts = axis.ticks.map((tick) => {
    const share = axis.at(tick);
    const anchor = share < 0.07 ? "start" : share > 0.93 ? "end" : "middle";
    return `<text x="${place(axis, tick)}" y="13" text-anchor="${anchor}">${escapeMarkup(shortOf(tick))}</text>`;
  });
  return `<tr role="row" class="axis ${side}"><td role="cell"></td><td role="cell" class="strip"><svg height="18" aria-hidden="true">${texts.join("")}</svg></td><td role="cell"></td></tr>`;
}

function gridOf(axis: Axis, height: number): string {
  return axis.ticks
    .map((tick) => `<line class="grid" x1="${place(axis, tick)}" x2="${place(axis, tick)}" y1="0" y2="${height}"/>`)
    .join("");
}

/** Half a mark is wider than nothing: marks at the ends of the axis stay within the drawing. */
const INSET = 2;
const SPAN = 100 - 2 * INSET;

function place(axis: Axis, value: number): string {
  return `${round(INSET + SPAN * axis.at(value))}%`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
