// @ts-check
import { element, say } from "./app-dom.js";
import { ACROSS, slotMarks, slotPixels, slotText } from "./draw-slots.js";
import { HUES } from "./palette.js";
import { SLOTS } from "./slots.js";

/** @import { Rgb, SlotView } from "./draw-slots.js" */

const canvas = /** @type {HTMLCanvasElement} */ (element("map"));
const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
const readout = element("slot-at");
const small = new OffscreenCanvas(ACROSS, ACROSS);
const smallContext = /** @type {OffscreenCanvasRenderingContext2D} */ (small.getContext("2d"));
const CELL = canvas.width / ACROSS;

/** @type {SlotView | null} */
let view = null;
/** @type {number | null} */
let ringed = null;
/** @type {number | null} */
let cursor = null;

/**
 * @param {SlotView} next
 * @param {number | null} ring
 */
export function paintMap(next, ring) {
  view = next;
  ringed = ring;
  paint();
}

function paint() {
  if (view === null) return;
  const colours = coloursOf();
  const pixels = new ImageData(slotPixels(view, colours), ACROSS, ACROSS);
  smallContext.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  const { names, open, ring } = slotMarks(view, ringed);
  for (const { name, x, y } of names) label(name, x * CELL, y * CELL, colours);
  for (const { from, to, x, y } of open) disc(x * CELL, y * CELL, colours.hues[from], colours.hues[to], colours);
  if (ring !== null)
    circle(ring.x * CELL, ring.y * CELL, open.some(({ slot }) => slot === ring.slot) ? 26 : 15, colours);
  if (cursor !== null && document.activeElement === canvas) {
    const x = (cursor % ACROSS) * CELL;
    const y = Math.floor(cursor / ACROSS) * CELL;
    context.lineWidth = 3;
    context.strokeStyle = css(colours.ink);
    context.strokeRect(x - 3, y - 3, CELL + 6, CELL + 6);
  }
}

/**
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 * @param {{ ink: Rgb, paper: Rgb }} colours
 */
function circle(x, y, radius, { ink, paper }) {
  for (const [width, colour] of /** @type {const} */ ([
    [9, paper],
    [4, ink],
  ])) {
    context.lineWidth = width;
    context.strokeStyle = css(colour);
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}

/**
 * A slot that is in two places: half in the hue of the one, half in that of the other.
 *
 * @param {number} x
 * @param {number} y
 * @param {Rgb | undefined} from
 * @param {Rgb | undefined} to
 * @param {{ ink: Rgb, paper: Rgb, none: Rgb }} colours
 */
function disc(x, y, from, to, { paper, none }) {
  const radius = 15;
  context.fillStyle = css(paper);
  context.beginPath();
  context.arc(x, y, radius + 4, 0, 2 * Math.PI);
  context.fill();
  for (const [colour, begin] of /** @type {const} */ ([
    [from, Math.PI / 2],
    [to, -Math.PI / 2],
  ])) {
    context.fillStyle = css(colour ?? none);
    context.beginPath();
    context.arc(x, y, radius, begin, begin + Math.PI);
    context.fill();
  }
}

/**
 * @param {string} name
 * @param {number} x
 * @param {number} y
 * @param {{ ink: Rgb, paper: Rgb }} colours
 */
function label(name, x, y, { ink, paper }) {
  context.font = "700 30px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 8;
  context.strokeStyle = css(paper);
  context.strokeText(name, x, y);
  context.fillStyle = css(ink);
  context.fillText(name, x, y);
}

/** @param {Rgb} rgb */
const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

/** The colours of style.css, which depend on the reader's colour scheme. */
function coloursOf() {
  const style = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => rgbOf(style.getPropertyValue(name));
  const hues = Array.from({ length: HUES }, (_, hue) => colour(`--n${hue}`));
  return { hues, paper: colour("--card"), none: colour("--rule"), ink: colour("--ink") };
}

/**
 * @param {string} hex
 * @returns {Rgb}
 */
function rgbOf(hex) {
  const number = Number.parseInt(hex.trim().slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

/** @param {number} slot */
function pointAt(slot) {
  cursor = slot;
  if (view !== null) say(readout, slotText(view, slot));
  paint();
}

/** @param {(slot: number) => void} onChoose  Called with a slot that is clicked, or chosen by Enter. */
export function startMap(onChoose) {
  const slotAt = (/** @type {MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    const x = Math.min(ACROSS - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * ACROSS)));
    const y = Math.min(ACROSS - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * ACROSS)));
    return y * ACROSS + x;
  };
  canvas.addEventListener("mousemove", (event) => view !== null && say(readout, slotText(view, slotAt(event))));
  canvas.addEventListener("mouseleave", () => say(readout, "\u00a0"));
  canvas.addEventListener("click", (event) => onChoose(slotAt(event)));
  canvas.addEventListener("focus", () => pointAt(cursor ?? ringed ?? 0));
  canvas.addEventListener("blur", () => {
    say(readout, "\u00a0");
    paint();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -ACROSS, ArrowDown: ACROSS }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      pointAt(((cursor ?? 0) + step + SLOTS) % SLOTS);
    } else if (event.key === "Enter" && cursor !== null) onChoose(cursor);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
}
