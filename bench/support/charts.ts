import { printable } from "../../src/cli/printable.ts";
import { CURVE_SHARES } from "./statistics.ts";

/** Bars side by side. */
export interface BarGroup {
  readonly label: string;
  readonly values: readonly number[];
}

/** Latencies in milliseconds at `CURVE_SHARES`. */
export interface Curve {
  readonly style: string;
  readonly points: readonly number[];
}

const WIDTH = 320;
const HEIGHT = 190;
const LEFT = 40;
const RIGHT = WIDTH - 8;
const BOTTOM = 166;
const TOP = 18;
const WIDEST_BAR = 34;

/**
 * A chart of groups of bars. `styles` has a class for each bar of a group. `told` describes the chart in words, for
 * readers who cannot see it.
 */
export function barChart(groups: readonly BarGroup[], styles: readonly string[], told: string): string {
  const step = niceStep(Math.max(...groups.flatMap(({ values }) => values)) / 4);
  const most = Math.max(...groups.flatMap(({ values }) => values));
  const y = (value: number) => BOTTOM - ((BOTTOM - TOP) * value) / most;
  const grid: string[] = [];
  for (let value = 0; value <= most * 1.0001; value += step) grid.push(level(y(value), short(value)));
  const room = (RIGHT - LEFT) / groups.length;
  const width = Math.min((room * 0.8) / styles.length, WIDEST_BAR);
  const bars = groups.map(({ label, values }, group) => {
    const middle = LEFT + room * (group + 0.5);
    const shapes = values.map((value, index) => {
      const x = middle + (index - values.length / 2) * width;
      const shape = `<rect class="${styles[index]}" x="${round(x + 1)}" y="${round(y(value))}" width="${round(width - 2)}" height="${round(BOTTOM - y(value))}"/>`;
      // With more than two bars there is no room for their figures, which are in the table anyway.
      return values.length > 2 ? shape : shape + text(x + width / 2, y(value) - 3, short(value), "middle");
    });
    return shapes.join("") + text(middle, BOTTOM + 16, label, "middle");
  });
  return drawing(told, grid.join("") + bars.join(""));
}

/**
 * A chart of the latency by the share of calls that it covers. Both axes are logarithmic: each nine has the same width.
 */
export function curveChart(curves: readonly Curve[], told: string): string {
  const logs = curves.flatMap(({ points }) => points.map(Math.log10));
  const low = Math.min(...logs);
  const high = Math.max(...logs, low + 0.5);
  const y = (milliseconds: number) => BOTTOM - ((BOTTOM - TOP) * (Math.log10(milliseconds) - low)) / (high - low);
  const nines = (share: number) => -Math.log10(1 - share);
  const most = nines(CURVE_SHARES.at(-1) ?? 0.999);
  const x = (share: number) => LEFT + ((RIGHT - LEFT - 12) * nines(share)) / most;
  const grid: string[] = [];
  const factors = high - low > 1.5 ? [1] : [1, 2, 5];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) grid.push(level(y(value), `${decimal(value)} ms`));
    }
  }
  for (const share of [0.5, 0.9, 0.99, 0.999]) {
    grid.push(`<path class="grid" d="M${round(x(share))} ${TOP}V${BOTTOM}"/>`);
    grid.push(text(x(share), BOTTOM + 16, `${decimal(share * 100)}%`, "middle"));
  }
  const lines = curves.map(({ style, points }) => {
    const path = points.map((value, index) => `${round(x(CURVE_SHARES[index] ?? 0))} ${round(y(value))}`);
    return `<path class="${style} line" d="M${path.join("L")}"/>`;
  });
  return drawing(told, grid.join("") + lines.join(""));
}

/** The least number of at least `value` that is 1, 2 or 5 times a power of ten. */
export function niceStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((factor) => factor * power >= value) ?? 10);
}

function level(y: number, label: string): string {
  return `<path class="grid" d="M${LEFT} ${round(y)}H${RIGHT}"/>${text(LEFT - 4, y + 4, label, "end", "soft")}`;
}

function text(x: number, y: number, content: string, anchor: "middle" | "end", style = ""): string {
  const kind = style === "" ? "" : ` class="${style}"`;
  return `<text${kind} x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

function drawing(told: string, content: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(told)}">${content}</svg>`;
}

/** A text for HTML, in an element or an attribute. Hidden characters are shown, because a server can name itself so. */
export function escaped(content: string): string {
  const shown = content.split("\n").map(printable).join("\n");
  return shown.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function short(value: number): string {
  if (value >= 10_000) return `${Math.round(value / 1000)}k`;
  if (value >= 1000) return `${decimal(value / 1000, 2)}k`;
  return decimal(value, value >= 100 ? 3 : 2);
}

function decimal(value: number, digits = 6): string {
  return String(Number(value.toPrecision(digits)));
}
