// @ts-check
import { escapeMarkup } from "./escape.js";
import { nodeClass } from "./palette.js";
import { countsText, decidedText, milliseconds, nodeIn, plain, sentenceOf } from "./sentences.js";

/**
 * @import { Step, Telling } from "../../study/call-story.ts"
 * @typedef {{ width: number, upTo?: number, mostText?: number }} LadderOptions
 *   `width`: of the drawing, in px. `upTo`: the number of steps that have happened; the last of them is emphasised, and
 *   later ones are faint. All, without it. `mostText`: the characters of one text; 2,000 without it.
 */

/** The width of a character of the monospaced font at 12 px. Fonts differ by a little, so it is a little more. */
const CHARACTER = 7.4;
const LINE = 16;
const ARROW = 20;
const TOP = 40;
/** The lifeline of the client. */
const LEFT = 16;
/** The nodes share the room behind it. The word "client" is in front of it. */
const FIRST_COLUMN = 60;
const INDENT = 12;
/** More nodes than these are not drawn: their lines would be too close. */
export const MOST_LANES = 6;
const MOST_TEXT = 2000;

/**
 * The hops of a call between the client and the nodes, as an SVG. Every text stands on lines of its own, above its arrow,
 * so that the drawing can be narrow.
 *
 * @param {readonly Step[]} steps  As `foldedSteps` gives them.
 * @param {Telling} telling
 * @param {LadderOptions} options
 * @returns {string}
 */
export function drawLadder(steps, telling, { width, upTo = steps.length, mostText = MOST_TEXT }) {
  const addresses = lanesOf(steps);
  const spacing = (width - FIRST_COLUMN - 4) / Math.max(1, addresses.length);
  /** @type {Map<string, number>} */
  const lanes = new Map(addresses.map((address, index) => [address, FIRST_COLUMN + spacing * (index + 0.5)]));
  const room = Math.max(10, Math.floor((width - LEFT - INDENT - 8) / CHARACTER));
  let y = TOP + 8;
  /** @type {string[]} */
  const parts = [];
  for (const [index, step] of steps.entries()) {
    const drawn = drawnStep(step, telling, lanes);
    if (drawn === null) continue;
    const { kind, text, arrow, is = step.type } = drawn;
    const lines = broken(text.length > mostText ? `${text.slice(0, mostText)} ...` : text, room);
    const state = index >= upTo ? " later" : index === upTo - 1 && upTo < steps.length ? " now" : "";
    const texts = lines.map((line, row) => {
      const baseline = y + row * LINE + 12;
      const wide = line.length * CHARACTER + 6;
      return `<rect class="back" x="${LEFT + INDENT - 3}" y="${baseline - 12}" width="${wide.toFixed(0)}" height="${LINE}"/><text x="${LEFT + INDENT}" y="${baseline}">${escapeMarkup(line)}</text>`;
    });
    y += lines.length * LINE;
    const line = arrow === null ? point(kind, y - (lines.length * LINE) / 2) : arrowOf(arrow, y + 8);
    y += arrow === null ? 8 : ARROW;
    parts.push(
      `<g class="step k-${kind}${state}" data-step="${index}" data-kind="${escapeMarkup(is)}">${line}${texts.join("")}</g>`,
    );
  }
  const height = y + 8;
  /** @param {string} address */
  const hueOf = (address) => {
    const name = telling.names[address];
    return name === undefined ? "" : ` ${nodeClass(name)}`;
  };
  const heads = [...lanes].map(([address, x]) => head(address, x, spacing, telling));
  const lifelines = [[LEFT, ""], ...[...lanes].map(([address, x]) => [x, hueOf(address)])].map(
    ([x, hue]) => `<path class="line${hue}" d="M${Number(x).toFixed(1)} ${TOP}V${height - 4}"/>`,
  );
  const label = `The call between the client and ${addresses.length === 1 ? "1 node" : `${addresses.length} nodes`}, in ${steps.length} steps`;
  return `<svg class="ladder" role="img" aria-label="${escapeMarkup(label)}" viewBox="0 0 ${width} ${height.toFixed(0)}" width="${width}" height="${height.toFixed(0)}"><title>${escapeMarkup(label)}</title>${lifelines.join("")}<text class="name" x="4" y="16">client</text>${heads.join("")}${parts.join("")}</svg>`;
}

/**
 * The nodes of the drawing, in the order in which the call met them.
 *
 * @param {readonly Step[]} steps
 */
export function lanesOf(steps) {
  const addresses = steps.flatMap((step) => {
    if (step.type === "folded") return step.folded.addresses;
    return "hop" in step && step.hop !== null ? [step.hop.address] : [];
  });
  return [...new Set(addresses)].slice(0, MOST_LANES);
}

/**
 * @param {string} address
 * @param {number} x
 * @param {number} spacing
 * @param {Telling} telling
 */
function head(address, x, spacing, telling) {
  const name = telling.names[address];
  const port = address.slice(address.lastIndexOf(":"));
  const fits = (/** @type {string} */ text) => text.length * CHARACTER < spacing - 6;
  const below = [address, port].find(fits);
  const title = name ?? (fits(address) ? "node" : port);
  return `<text class="name" x="${x.toFixed(1)}" y="16" text-anchor="middle">${escapeMarkup(title)}</text>${below === undefined ? "" : `<text class="soft" x="${x.toFixed(1)}" y="32" text-anchor="middle">${escapeMarkup(below)}</text>`}`;
}

/**
 * @typedef {{ from: number, to: number, isDotted?: boolean, isLost?: boolean }} Arrow
 * @param {Step} step
 * @param {Telling} telling
 * @param {Map<string, number>} lanes
 * @returns {{ kind: string, text: string, arrow: Arrow | null, is?: string } | null}
 *   `kind`: its colour. `is`: what it is, where that is not the type of the step.
 */
function drawnStep(step, telling, lanes) {
  const lane = (/** @type {string} */ address) => lanes.get(address);
  const time = `${milliseconds(step.at)} · `;
  const numbered = (/** @type {number} */ attempt) => `${time}attempt ${attempt}: `;
  switch (step.type) {
    case "sent": {
      const { hop } = step;
      const to = lane(hop.address);
      if (to === undefined) return null;
      const load = hop.loadBytes > 0 ? `${hop.command.startsWith("FCALL") ? "FUNCTION" : "SCRIPT"} LOAD + ` : "";
      const text = `${numbered(hop.attempt)}${load}${hop.asking ? "ASKING + " : ""}${hop.command}, ${hop.bytes + hop.loadBytes} bytes`;
      return { kind: hop.asking ? "asking" : "sent", text, arrow: { from: LEFT, to } };
    }
    case "waited": {
      const to = lane(step.hop.address);
      if (to === undefined) return null;
      const text = `${numbered(step.hop.attempt)}no connection to ${plain(nodeIn(telling, step.hop.address))}: never written`;
      return { kind: "bad", text, arrow: { from: LEFT, to: LEFT + (to - LEFT) * 0.6, isDotted: true, isLost: true } };
    }
    case "answered": {
      const { hop, answer } = step;
      const from = lane(hop.address);
      if (from === undefined) return null;
      const isLost = answer.kind === "LOST";
      const text = `${numbered(hop.attempt)}${isLost ? "the connection is lost" : (answer.text ?? `${answer.kind}, ${answer.bytes} bytes`)}`;
      return {
        kind: kindOf(answer.kind),
        is: answer.kind,
        text,
        arrow: { from, to: isLost ? (from + LEFT) / 2 : LEFT, isDotted: isLost, isLost },
      };
    }
    case "decided":
      return {
        kind: "rule",
        text: `${step.decision.row}: ${plain(decidedText(step.decision, step.hop, telling))}`,
        arrow: null,
      };
    case "folded":
      return {
        kind: "bad",
        text: `... ${step.folded.attempts} more attempts: ${countsText(step.folded.failures)}`,
        arrow: null,
      };
    case "beside":
      return { kind: "rule", text: `${time}${plain(sentenceOf(step, telling))}`, arrow: null };
    case "ended": {
      const { code, outcome } = step.end;
      if (code === null) return null;
      return { kind: "bad", text: `${time}${code}, ${outcome}`, arrow: null };
    }
  }
}

/** @param {string} kind */
export function kindOf(kind) {
  if (kind === "reply") return "good";
  if (kind === "MOVED") return "moved";
  return kind === "ASK" ? "ask" : "bad";
}

/** @param {Arrow} arrow @param {number} y */
function arrowOf({ from, to, isDotted = false, isLost = false }, y) {
  const back = to > from ? -7 : 7;
  const end = isLost
    ? `<path class="hop" d="M${(to - 5).toFixed(1)} ${y - 5}l10 10m0 -10l-10 10"/>`
    : `<path class="tip" d="M${to.toFixed(1)} ${y}l${back} -5v10z"/>`;
  return `<path class="hop${isDotted ? " dotted" : ""}" d="M${from.toFixed(1)} ${y}H${to.toFixed(1)}"/>${end}`;
}

/** @param {string} kind @param {number} y */
const point = (kind, y) => (kind === "" ? "" : `<circle class="tip" cx="${LEFT}" cy="${y.toFixed(1)}" r="4"/>`);

/**
 * A text in lines of at most `room` characters.
 *
 * @param {string} text
 * @param {number} room
 * @returns {string[]}
 */
export function broken(text, room) {
  /** @type {string[]} */
  const lines = [];
  let line = "";
  for (const word of text.split(/(?<= )(?! )/)) {
    if (line !== "" && line.length + word.trimEnd().length > room) {
      lines.push(line.trimEnd());
      line = "";
    }
    line += word;
    while (line.trimEnd().length > room) {
      lines.push(line.slice(0, room));
      line = line.slice(room);
    }
  }
  if (line.trim() !== "") lines.push(line.trimEnd());
  return lines;
}
