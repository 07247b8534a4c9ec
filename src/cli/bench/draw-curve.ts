import { wrapped } from "../draw-text.ts";
import { printable } from "../printable.ts";
import type { Paint } from "../terminal.ts";
import type { RateCurve, RatePoint } from "./report.ts";

const HEAD = ["calls/s", "p50", "p99", "p99.9", "late p50", "late p99", "calls"];
const WIDTHS = [10, 8, 8, 8, 10, 10, 10];
/** The picture beside the figures takes what is left of the line, within these bounds. */
const PICTURE = { least: 12, most: 60 };

/** What all figures of curves mean. */
const CURVES_SAY =
  "Latency under a given rate, in ms from when each call was due (open loop); late: how late the benchmark made the calls.";

/** The curves as lines: a table for each way, a picture of its quantiles beside it, and the rates that were held. */
export function drawCurves(curves: readonly RateCurve[], width: number, paint: Paint): string[] {
  const axis = axisOf(curves, Math.min(PICTURE.most, width - WIDTHS.reduce((sum, each) => sum + each, 2)));
  return [
    ...wrapped(CURVES_SAY, width),
    "",
    ...curves.flatMap((curve) => [
      paint.strong(`${printable(curve.way)}: ${printable(curve.script.name)}, ${curve.script.bytes} bytes`),
      paint.faint(rowOf(HEAD) + (axis === undefined ? "" : `  ${axis.head}`)),
      ...curve.points.flatMap((point) => linesOf(point, axis, paint)),
      "",
    ]),
    ...curves.flatMap((curve) => wrapped(`${printable(curve.way)} ${heldText(curve)}`, width)),
    ...(axis === undefined ? [] : [paint.faint("In the pictures: ● p50, ◆ p99, ○ p99.9, all on one axis.")]),
  ];
}

/** `holds 50,000 calls a second, and not 58,000`, in one sentence. */
export function heldText({ held, knee, points }: RateCurve): string {
  if (held === undefined)
    return `does not hold ${grouped(knee ?? Number.NaN)} calls a second, the lowest rate that was measured.`;
  if (knee === undefined) return `holds ${grouped(held)} calls a second, the highest rate that was measured.`;
  const point = points.find(({ rate }) => rate === knee);
  return `holds ${grouped(held)} calls a second, and not ${grouped(knee)}${point === undefined ? "" : `: ${beyondText(point)}`}.`;
}

/** Why a rate was not held. */
export function beyondText({ rate, made, answered, waiting, beyond }: RatePoint): string {
  switch (beyond) {
    case "stopped":
      return `${grouped(waiting)} calls waited for their answers, and no more were made`;
    case "late":
      return `${share(made, rate)} of the calls were made in time`;
    case "unanswered":
      if (answered > 0.99 * rate) return "calls were made late in some of the time, and answered late in some";
      return `${share(answered, rate)} of the calls were answered in time`;
    case "slow":
      return "the p99 is far above that of lower rates";
    default:
      return "held";
  }
}

function linesOf(point: RatePoint, axis: Axis | undefined, paint: Paint): string[] {
  const { rate, latency, lateness, beyond } = point;
  const cells = [latency.p50, latency.p99, latency.p999, lateness.p50, lateness.p99].map(millisecondsText);
  const row = rowOf([grouped(rate), ...cells, grouped(latency.calls)]);
  const line = axis === undefined ? row : `${row}  ${axis.draw(point)}`.trimEnd();
  if (beyond === undefined) return [line];
  return [paint.alarm(line), paint.alarm(`${"".padEnd(WIDTHS[0] ?? 0)}  not held: ${beyondText(point)}`)];
}

interface Axis {
  readonly head: string;
  draw(point: RatePoint): string;
}

/** A logarithmic axis from the least to the greatest quantile of all curves. */
function axisOf(curves: readonly RateCurve[], columns: number): Axis | undefined {
  const values = curves.flatMap(({ points }) => points.flatMap(({ latency: { p50, p99, p999 } }) => [p50, p99, p999]));
  const known = values.filter((value) => value !== undefined && value > 0) as number[];
  if (columns < PICTURE.least || known.length === 0) return undefined;
  const least = 10 ** Math.floor(Math.log10(Math.min(...known)));
  const greatest = 10 ** Math.max(Math.log10(least) + 1, Math.ceil(Math.log10(Math.max(...known))));
  const columnOf = (value: number) =>
    Math.round(((columns - 1) * Math.log(value / least)) / Math.log(greatest / least));
  const [left, right] = [`${plain(least)} ms`, plain(greatest)];
  return {
    head: left + right.padStart(columns - left.length),
    draw({ latency: { p50, p99, p999 } }) {
      const cells = Array.from({ length: columns }, () => " ");
      const marks = [
        { value: p50, sign: "●" },
        { value: p99, sign: "◆" },
        { value: p999, sign: "○" },
      ].flatMap(({ value, sign }) => (value === undefined || value <= 0 ? [] : [{ at: columnOf(value), sign }]));
      const [from, to] = [marks[0]?.at ?? 0, marks.at(-1)?.at ?? -1];
      for (let at = from; at <= to; at++) cells[at] = "─";
      // Where marks meet, the smaller quantile is seen.
      for (const { at, sign } of marks.reverse()) cells[at] = sign;
      return cells.join("");
    },
  };
}

function rowOf(cells: readonly string[]): string {
  return cells.map((cell, index) => cell.padStart(WIDTHS[index] ?? 0)).join("");
}

/** Three digits, `-` where too few calls are there. */
export function millisecondsText(value: number | undefined): string {
  if (value === undefined) return "-";
  if (value >= 99.95) return grouped(value);
  if (value >= 9.995) return value.toFixed(1);
  return value.toFixed(value >= 0.9995 ? 2 : 3);
}

function share(part: number, whole: number): string {
  return `${Math.min(99, Math.floor((100 * part) / whole))}%`;
}

function plain(value: number): string {
  return String(Number(value.toPrecision(1)));
}

/** `12,345` */
function grouped(number: number): string {
  return Math.round(number).toLocaleString("en-US");
}
