import { escapeMarkup } from "../web/page/escape.js";

/** Series differ in colour and in form, for those who cannot tell the colours apart. */
const SHAPES = [
  '<circle r="4.5"/>',
  '<rect x="-4" y="-4" width="8" height="8"/>',
  '<path d="M0-5.5L5.5 0L0 5.5L-5.5 0Z"/>',
  '<path d="M0-5.5L5.5 4.5H-5.5Z"/>',
];
const DASHES = ["", "6 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2", "1 2", "8 2 2 2 2 2"];
/** How many colours there are. */
const COLOURS = 8;

/** A mark around the origin. */
export function shape(series: number): string {
  return `<g class="f${series % COLOURS}">${SHAPES[series % SHAPES.length]}</g>`;
}

/** The attributes of a line of a series. */
export function stroke(series: number): string {
  const dashes = DASHES[series % DASHES.length];
  return `class="line s${series % COLOURS}"${dashes === "" ? "" : ` stroke-dasharray="${dashes}"`}`;
}

/** @param shown  Those of the series that are named; default: all. */
export function legend(
  series: readonly string[],
  kind: "shape" | "line",
  shown: ReadonlySet<string> = new Set(series),
): string {
  const keys = series.map((name, index) => {
    if (!shown.has(name)) return "";
    const sample = kind === "shape" ? shape(index) : `<path ${stroke(index)} d="M-13 0H13"/>`;
    const box = kind === "shape" ? "-8 -8 16 16" : "-14 -8 28 16";
    return `<span class="key"><svg class="${kind}" viewBox="${box}" aria-hidden="true">${sample}</svg>${escapeMarkup(name)}</span>`;
  });
  return `<p class="legend">${keys.join(" ").trim()}</p>`;
}
