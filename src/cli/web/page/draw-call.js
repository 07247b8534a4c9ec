// @ts-check
import { foldedSteps, storyOf } from "./call-story.js";
import { drawDecision } from "./draw-decision.js";
import { drawLadder } from "./draw-ladder.js";
import { sentence } from "./draw-timeline.js";
import { drawWire } from "./draw-wire.js";
import { escapeMarkup as html } from "./escape.js";
import { decidedText, lessonText, nodeIn, plain, sentenceOf } from "./sentences.js";
import { counted, span } from "./words.js";

/**
 * @import { Step, Story, TableRow as Row, Telling } from "../../study/call-story.ts"
 * @import { Hello } from "../protocol.ts"
 * @import { LiveRecord, RecordedCall } from "./record.js"
 * @typedef {Row & { line?: number | null }} TableRow
 * @typedef {{ call: RecordedCall, story: Story, list: readonly Step[], steps: number, times: readonly number[], telling: Telling,
 *   rows: readonly TableRow[], file: string }} CallView
 *   A call with its steps. `times`: milliseconds since the call began, one for each step.
 */

/**
 * @param {RecordedCall} call
 * @param {LiveRecord} record
 * @param {Hello | null} hello
 * @returns {CallView}
 */
export function viewOfCall(call, record, hello) {
  const story = storyOf(call.events);
  const list = foldedSteps(story);
  const rows = /** @type {readonly TableRow[]} */ (hello?.rows ?? []);
  const telling = { names: Object.fromEntries(record.names), rows };
  return {
    call,
    story,
    list,
    steps: list.length,
    times: list.map(({ at }) => at),
    telling,
    rows,
    file: hello?.file ?? "",
  };
}

/** @typedef {{ isPlaying: boolean, width: number }} Playing  `width`: of the ladder, in px. */

/** Rows that are shown whatever decided: one for each kind of answer that a cluster client meets every day. */
const EVERYDAY = ["moved-known", "ask-known", "tryagain", "noscript-load", "clusterdown", "lost-unwritten", "lost"];

/**
 * All panels of a call at one of its steps, as HTML. `sentence` has names of nodes in brackets.
 *
 * @param {CallView | null} view
 * @param {number} step
 * @param {Playing} playing
 */
export function drawCall(view, step, playing) {
  if (view === null) {
    const none = '<p class="quiet">Make a call, or choose one below.</p>';
    return {
      ...{ title: "No call yet", ladder: none, wire: none, wireTitle: "On the wire", decision: none },
      ...{ decisionTitle: "The decision", sentence: "", track: "" },
    };
  }
  const now = view.list[step];
  return {
    title: titleOf(view),
    ladder: drawLadder(view.list, view.telling, { width: playing.width, upTo: step + 1 }),
    ...wireOf(view, step),
    ...decisionOf(view, step),
    sentence: now === undefined ? "" : sentenceOf(now, view.telling),
    track: drawTrack(view.steps, step, playing),
  };
}

/**
 * The bytes of the attempt that a step belongs to: what was written, and what was answered if it has come by then.
 *
 * @param {CallView} view
 * @param {number} step
 */
function wireOf({ list, telling }, step) {
  const before = list.slice(0, step + 1);
  const sent = before.findLast((each) => each.type === "sent");
  if (sent === undefined || sent.type !== "sent") {
    return { wireTitle: "On the wire", wire: '<p class="quiet">Nothing was written.</p>' };
  }
  const { hop } = sent;
  const node = plain(nodeIn(telling, hop.address));
  const answered = before.find((each) => each.type === "answered" && each.hop === hop);
  const answer = answered?.type === "answered" ? answered.answer : null;
  const frames = [drawWire(hop.sent, "sent", node), answer === null ? "" : drawWire(hop.received, "received", node)];
  const isLost = answer?.kind === "LOST";
  const none = hop.sent.length === 0 ? '<p class="quiet">The bytes of this call were not recorded.</p>' : "";
  const lost = isLost ? '<p class="quiet">Nothing came back: the connection was lost.</p>' : "";
  return {
    wireTitle: `On the wire <small>attempt ${hop.attempt}, ${html(node)}</small>`,
    wire: frames.join("") + none + lost,
  };
}

/**
 * The decision that was made last, among the rows of the table that are met most often; all rows can be unfolded.
 *
 * @param {CallView} view
 * @param {number} step
 */
function decisionOf({ list, rows, telling, file }, step) {
  const decided = list.slice(0, step + 1).findLast((each) => each.type === "decided");
  if (decided === undefined || decided.type !== "decided") {
    const ahead = list.some(({ type }) => type === "decided");
    const why = ahead ? "No decision was needed up to this step." : "Nothing failed, so nothing had to be decided.";
    const brief = drawDecision(rowsOf(rows, null), new Set(), "Rows of the decision table");
    return { decisionTitle: "The decision", decision: `<p class="quiet">${why}</p><div class="brief">${brief}</div>` };
  }
  const { decision, hop } = decided;
  const lit = new Set([decision.row]);
  const at = rows.find(({ row }) => row === decision.row);
  const line = at?.line === undefined || at.line === null ? "" : `:${at.line}`;
  const given = [
    `${decision.failure} to attempt ${decided.hop?.attempt ?? "?"}`,
    hop?.asking ? "behind ASKING" : "",
    decision.remedy === null ? "" : `remedy ${decision.remedy}`,
    `${counted(decision.redirections, "redirection")} and ${counted(decision.retries, "retry", "retries")} spent, with this one`,
  ].filter((each) => each !== "");
  return {
    decisionTitle: `The decision <small class="mono">${html(file)}${line}</small>`,
    decision: `<div class="brief">${drawDecision(rowsOf(rows, decision.row), lit, "The row that decided, among others")}</div>
<dl class="facts"><dt>met</dt><dd>${html(at?.met ?? decision.row)}</dd><dt>given</dt><dd>${html(given.join(", "))}</dd><dt>then</dt><dd>${sentence(decidedText(decision, hop, telling))}</dd><dt>taught</dt><dd>${html(lessonText(decision.learned))}</dd></dl>`,
  };
}

/**
 * @param {readonly TableRow[]} rows
 * @param {string | null} lit
 */
const rowsOf = (rows, lit) => rows.filter(({ row }) => row === lit || EVERYDAY.includes(row));

/** @param {CallView} view */
function titleOf({ call, story }) {
  const end = story.ends[0];
  const where = call.slot < 0 ? "" : `, slot ${call.slot}`;
  const took = end === undefined || end.at === null ? "under way" : span(end.at - end.from);
  const said = [took, counted((end?.attempts ?? 0) + (end?.untold ?? 0), "attempt"), outcomeOf(end)];
  return `Call ${call.call}: ${html(call.script?.name ?? call.command)}${where} <small>${html(said.filter((each) => each !== "").join(", "))}</small>`;
}

/** @param {Story["ends"][number] | undefined} end */
function outcomeOf(end) {
  if (end === undefined || end.at === null) return "";
  if (end.code === null) return "answered";
  return `${end.code}${end.outcome === null ? "" : `, ${end.outcome}`}`;
}

const ICONS = /** @type {const} */ ({
  first: '<path d="M2 2h2v12H2zM14 2v12L5 8z"/>',
  back: '<path d="M12 2v12L3 8z"/>',
  next: '<path d="M4 2v12l9-6z"/>',
  last: '<path d="M12 2h2v12h-2zM2 2v12l9-6z"/>',
  play: '<path d="M3 1v14l12-7z"/>',
  pause: '<path d="M3 2h4v12H3zM9 2h4v12H9z"/>',
});

/**
 * The buttons of the player and the track of steps.
 *
 * @param {number} steps
 * @param {number} step
 * @param {Playing} playing
 */
export function drawTrack(steps, step, { isPlaying }) {
  const button = (
    /** @type {keyof typeof ICONS} */ icon,
    /** @type {string} */ does,
    /** @type {string} */ label,
    text = "",
    off = false,
  ) =>
    `<button type="button" data-does="${does}" data-key="player-${does}"${does === "play" ? ' class="primary"' : ""} aria-label="${label}" title="${label}"${off ? ' aria-disabled="true"' : ""}><svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[icon]}</svg>${text}</button>`;
  const marks = Array.from(
    { length: steps },
    (_, each) => `<i class="${each === step ? "now" : each < step ? "on" : ""}"></i>`,
  );
  return [
    button("first", "first", "First step", "", step === 0),
    button("back", "back", "Step back", "", step === 0),
    button(
      isPlaying ? "pause" : "play",
      "play",
      isPlaying ? "Pause" : "Play at a thousandth of the speed",
      isPlaying ? "Pause" : "Play 1/1000",
    ),
    button("next", "next", "Step forwards", "", step >= steps - 1),
    button("last", "last", "Last step", "", step >= steps - 1),
    `<span class="track" aria-hidden="true">${marks.join("")}</span>`,
    `<span class="quiet num">step ${steps === 0 ? 0 : step + 1} of ${steps}</span>`,
  ].join("");
}
