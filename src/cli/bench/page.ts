import { escapeMarkup } from "../web/page/escape.js";
import { beyondText, heldText } from "./draw-curve.ts";
import type { Estimate } from "./estimate.ts";
import type { LatencySummary } from "./latency.ts";
import { type Answer, answersOf, type Compared, comparedIn } from "./page-answer.ts";
import { latencyCharts, rateCharts, scriptText, titleWithoutLoad, waysOf } from "./page-curves.ts";
import { framed, methodSection, noiseNote, paragraph, section, tableOf } from "./page-frame.ts";
import type { PageSection, RowChart, RowGroup, Rows } from "./page-parts.ts";
import { rowChart } from "./page-rows.ts";
import { figureOf, intervalText, isKnown, listed, metricName, metricsOf, ratioText } from "./page-words.ts";
import type { BenchReport, Comparison, RateCurve } from "./report.ts";

/** What a page tells beside the report. */
export interface PageMore {
  /** @default the names of the ways: "EVALSHA against EVAL" */
  readonly title?: string;
  readonly sections?: readonly PageSection[];
  /** In place of the report in "Raw data", when there is more than that. */
  readonly raw?: unknown;
}

/** With more ways than these, each has one row with several marks, and not a row for each metric. */
const MOST_IN_FULL = 3;
/** The metrics of which rows with several marks have one each. */
const MARKED = ["callsPerSecond", "bytesSent", "serverCpu"];

/** A report as one HTML page: without scripts, and without anything that a browser would have to fetch. */
export function pageOf(report: BenchReport, more: PageMore = {}): string {
  const { comparisons, curves, environment, method, quiet } = report;
  const compared = comparedIn(report);
  const title = more.title ?? titleOf(report);
  return framed(title, [
    `<header><h1>${escapeMarkup(title)}</h1>${noiseNote(quiet)}${answersOf(report).map(answer).join("")}${doubt(compared)}</header>`,
    ratioSection(compared),
    comparisons.length === 0 ? "" : figuresSection(comparisons),
    ratesSection(curves, waysOf(comparisons)),
    ...(more.sections ?? []).map(extraSection),
    methodSection(method, environment, more.raw ?? report),
  ]);
}

/** A section that was made elsewhere, of charts and a table. */
export function extraSection({ title, note, charts = [], rows }: PageSection): string {
  return section(title, paragraph(note), ...charts.map((chart) => rowChart(chart)), tableOf(rows, title));
}

/**
 * Latency by rate, for each script: charts, and a table of all points.
 * @param ways  Those of other charts of the page. They keep their colours.
 */
export function ratesSection(curves: readonly RateCurve[], ways: readonly string[]): string {
  if (curves.length === 0) return "";
  const scripts = new Map(curves.map(({ script }) => [scriptText(script), script]));
  const parts = [...scripts].flatMap(([name]) => {
    const own = curves.filter(({ script }) => scriptText(script) === name);
    const heading = scripts.size === 1 ? "" : `<h3>${escapeMarkup(name)}</h3>`;
    return [
      heading,
      rateCharts(own, ways),
      paragraph(own.map((curve) => `${curve.way} ${heldText(curve)}`).join(" "), ""),
      tableOf(rateRows(own), `latency by rate, ${name}`),
    ];
  });
  const note =
    "Calls are made at a given rate, whether or not earlier ones have been answered. Latency counts from the moment when a call was due, so a call that had to wait counts its waiting. Where the generator itself was late, the figures say little about the way. A dotted line stands at the lowest rate that was not held.";
  return section("Latency by calls a second", paragraph(note), ...parts);
}

function titleOf({ comparisons, curves }: BenchReport): string {
  const base = comparisons[0]?.base;
  const ways = waysOf(comparisons);
  if (base === undefined) return `Latency by rate: ${listed([...new Set(curves.map(({ way }) => way))])}`;
  return `${listed(ways.filter((name) => name !== base))} against ${base}`;
}

function answer({ about, sentences }: Answer): string {
  const items = sentences.map((sentence) => `<li>${escapeMarkup(sentence)}</li>`);
  return `<div class="answer"><p>${escapeMarkup(about)}</p><ul>${items.join("")}</ul></div>`;
}

/** Whether there were enough rounds for the intervals of the answer. */
function doubt(compared: readonly Compared[]): string {
  const said = compared.flatMap(({ ratios }) => MARKED.map((key) => ratios[key])).filter(isKnown);
  const least = Math.min(...said.map(({ confidence }) => confidence));
  // Rounding in JSON must not make doubts.
  if (said.length === 0 || least > 0.949) return "";
  return paragraph(
    `There were few rounds: an interval holds the true value in ${Math.floor(least * 100)} of 100 runs, and not in 95.`,
    "noisy",
  );
}

function ratioSection(compared: readonly Compared[]): string {
  const known = compared.filter(({ ratios }) => Object.values(ratios).some(isKnown));
  if (known.length === 0) return "";
  const bases = [...new Set(known.map(({ comparison }) => comparison.base))];
  const title = `Ratios to ${listed(bases)}`;
  const note =
    "Each mark is the median of the ratios within rounds, and the line through it is the interval that holds the true median in 95 of 100 runs. Right of the line at 1 is more, left of it is less. Where an interval crosses that line, no difference was seen.";
  const chart = known.length <= MOST_IN_FULL ? inFull(known) : inMarks(known);
  const table = known.length <= MOST_IN_FULL ? "" : tableOf(ratioRows(known), title);
  return section(title, paragraph(note), rowChart(chart, chart.series.length > 1), table);
}

/** All ratios of several comparisons on one axis, a row for each way. */
export function ratioChartOf(comparisons: readonly Comparison[]): RowChart {
  return inMarks(comparedIn({ comparisons }));
}

function inFull(known: readonly Compared[]): RowChart {
  const groups = known.map(({ comparison, way, ratios }) => ({
    ...(known.length > 1 ? { title: `${way}, ${comparison.title}` } : {}),
    rows: metricsOf([ratios]).flatMap((key) => {
      const value = ratios[key];
      return isKnown(value) ? [{ name: metricName(key), said: ratioText(value), marks: [{ series: 0, value }] }] : [];
    }),
  }));
  return { title: "Ratio", kind: "points", scale: "logarithmic", series: [], line: 1, groups };
}

function inMarks(known: readonly Compared[]): RowChart {
  const metrics = MARKED.filter((key) => known.some(({ ratios }) => isKnown(ratios[key])));
  const ways = new Set(known.map(({ way }) => way));
  const loads = [...new Set(known.map(({ comparison }) => comparison.inFlight))];
  const groups: RowGroup[] = loads.map((load) => ({
    title: `${load.toLocaleString("en")} in flight`,
    rows: known
      .filter(({ comparison }) => comparison.inFlight === load)
      .map(({ comparison, way, ratios }) => ({
        name: titleWithoutLoad(comparison) + (ways.size > 1 ? `: ${way}` : ""),
        said: isKnown(ratios.callsPerSecond) ? ratioText(ratios.callsPerSecond) : "",
        marks: metrics.flatMap((key, series) => {
          const value = ratios[key];
          return isKnown(value) ? [{ series, value }] : [];
        }),
      })),
  }));
  const title = "Ratio; the figures are those of calls a second";
  return { title, kind: "points", scale: "logarithmic", series: metrics.map(metricName), line: 1, groups };
}

function ratioRows(known: readonly Compared[]): Rows {
  const metrics = metricsOf(known.map(({ ratios }) => ratios));
  return [
    ["", ...metrics.map(metricName)],
    ...known.map(({ comparison, way, ratios }) => [
      `${way}, ${comparison.title}`,
      ...metrics.map((key) => (isKnown(ratios[key]) ? ratioText(ratios[key]) : "-")),
    ]),
  ];
}

function figuresSection(comparisons: readonly Comparison[]): string {
  return [
    section(
      "Calls a second",
      paragraph("The median of the rounds with its interval; the small dots are single rounds."),
      rowChart(ratesChart(comparisons), false),
    ),
    section(
      "Latency, closed loop",
      paragraph(
        "By the share of calls that were answered within it; each nine has the same width. Closed loop: from a caller's call to its reply. A caller makes its next call when it has the reply, so what would have been called meanwhile is left out. A curve ends where fewer than 10 calls lie beyond.",
      ),
      latencyCharts(comparisons),
    ),
    section(
      "Figures",
      paragraph(
        "Latencies are in milliseconds, closed loop; - stands where fewer than 10 calls lie beyond. Bytes and microseconds of CPU are those of one call.",
      ),
      tableOf(figureRows(comparisons), "figures"),
    ),
  ].join("\n");
}

function ratesChart(comparisons: readonly Comparison[]): RowChart {
  const ways = waysOf(comparisons);
  const groups = comparisons.map(({ title, ways: own }) => ({
    title,
    rows: own.map(({ name, callsPerSecond, rounds }) => ({
      name,
      said: isKnown(callsPerSecond) ? intervalText(callsPerSecond) : "-",
      marks: isKnown(callsPerSecond) ? [{ series: ways.indexOf(name), value: callsPerSecond, dots: rounds }] : [],
    })),
  }));
  return { title: "Calls a second", kind: "points", scale: "logarithmic", series: [], groups };
}

const LATENCIES = [
  ["p50", ({ p50 }) => p50],
  ["p99", ({ p99 }) => p99],
  ["p99.9", ({ p999 }) => p999],
  ["slowest", ({ max }) => max],
] as const satisfies readonly (readonly [string, (latency: LatencySummary) => number | undefined])[];

function figureRows(comparisons: readonly Comparison[]): Rows {
  const costs = metricsOf(comparisons.flatMap(({ ways }) => ways.map((way) => way.costs)));
  const isTime = (key: string) => /cpu|command/i.test(key);
  return [
    [
      "",
      "calls",
      "calls a second",
      ...LATENCIES.map(([name]) => name),
      ...costs.map((key) => metricName(key) + (isTime(key) ? ", µs" : "")),
    ],
    ...comparisons.flatMap(({ title, ways }) =>
      ways.map(({ name, calls, callsPerSecond, latency, costs: own }) => [
        comparisons.length === 1 ? name : `${name}, ${title}`,
        calls.toLocaleString("en"),
        estimateText(callsPerSecond),
        ...LATENCIES.map(([, of]) => figure(of(latency))),
        ...costs.map((key) => figure(own[key])),
      ]),
    ),
  ];
}

function rateRows(curves: readonly RateCurve[]): Rows {
  const quantiles = LATENCIES.map(([name]) => name);
  return [
    [
      "",
      "calls/s wanted",
      "made",
      "calls",
      ...quantiles.map((name) => `${name} ms`),
      "late: p50 ms",
      "late: p99 ms",
      "held",
    ],
    ...curves.flatMap(({ way, points }) =>
      points.map((point) => [
        way,
        figureOf(point.rate),
        figureOf(point.made),
        point.latency.calls.toLocaleString("en"),
        ...LATENCIES.map(([, of]) => figure(of(point.latency))),
        figure(point.lateness.p50),
        figure(point.lateness.p99),
        point.beyond === undefined ? "yes" : `no: ${beyondText(point)}`,
      ]),
    ),
  ];
}

function estimateText(estimate: Estimate): string {
  return isKnown(estimate) ? intervalText(estimate) : "-";
}

function figure(value: number | null | undefined): string {
  return typeof value === "number" ? figureOf(value) : "-";
}
