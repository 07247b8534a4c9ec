import { wrapped } from "../draw-text.ts";
import { printable } from "../printable.ts";
import type { Paint } from "../terminal.ts";
import { drawCurves } from "./draw-curve.ts";
import { metricName, metricsOf, ratioText } from "./page-words.ts";
import { noiseLine } from "./quiet.ts";
import type { BenchReport, Comparison, WayFigures } from "./report.ts";

const COLUMNS = ["", "calls/s", "p50 ms", "p99 ms", "p99.9 ms", "sent", "received", "calls"];
const WIDTHS = [7, 10, 9, 9, 10, 8, 10, 12];

/** What the drawing tells beside the report. */
export interface DrawnWith {
  readonly width: number;
  readonly paint: Paint;
  /** The replies that arrived and were checked, with those of the warm-up. */
  readonly replies?: number;
}

/** The report as lines: first whether to believe it, then the figures of each way, then the ratios with their intervals. */
export function drawBench(report: BenchReport, { width, paint, replies }: DrawnWith): string[] {
  const noise = noiseLine(report.quiet);
  const prose = (text: string) => wrapped(text, width);
  return [
    ...(noise === undefined ? [] : [...prose(noise).map(paint.alarm), ""]),
    ...prose(`${report.environment.setting}; ${report.environment.server}`),
    ...report.comparisons.flatMap((comparison) => drawComparison(comparison, width, paint)),
    "",
    ...prose(`${report.method} Bytes are for one call.`),
    ...(report.curves.length === 0 ? [] : ["", ...drawCurves(report.curves, width, paint), ""]),
    ...(replies === undefined
      ? []
      : prose(`${grouped(replies)} replies were counted, with those of the warm-up; none was wrong.`)),
  ];
}

function drawComparison(comparison: Comparison, width: number, paint: Paint): string[] {
  const { script, inFlight, base, ways } = comparison;
  const about = `${printable(script.name)} has ${grouped(script.bytes)} bytes; ${grouped(inFlight)} ${inFlight === 1 ? "call" : "calls"} in flight`;
  return [
    ...wrapped(about, width),
    "",
    paint.faint(rowOf(COLUMNS)),
    ...ways.map((way) => rowOf([way.name, ...cellsOf(way)])),
    ...ways.flatMap(({ name, ratios }) => {
      if (ratios === undefined) return [];
      const names = metricsOf([ratios]);
      const column = Math.max(...names.map((key) => metricName(key).length));
      return [
        "",
        `${name} to ${base}`,
        ...names.map((key) => {
          const ratio = ratios[key];
          if (ratio === undefined) return "";
          const text = key === "callsPerSecond" ? paint.strong(ratioText(ratio)) : ratioText(ratio);
          return `  ${metricName(key).padEnd(column)}  ${text}`;
        }),
      ];
    }),
  ];
}

function cellsOf({ callsPerSecond, latency, costs, calls }: WayFigures): string[] {
  const ms = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(2));
  const each = (name: string) => (costs[name] === undefined ? "-" : grouped(costs[name]));
  return [
    grouped(callsPerSecond.median),
    ms(latency.p50),
    ms(latency.p99),
    ms(latency.p999),
    each("bytesSent"),
    each("bytesReceived"),
    grouped(calls),
  ];
}

function rowOf(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(7) : cell.padStart(WIDTHS[index] ?? 0))).join("");
}

/** `12,345` */
function grouped(number: number): string {
  return Math.round(number).toLocaleString("en-US");
}
