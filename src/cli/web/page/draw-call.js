// @ts-check
import { foldedSteps, storyOf } from "./call-story.js";
import { escape } from "./escape.js";
import { plain, sentenceOf } from "./sentences.js";
import { counted, span } from "./words.js";

/**
 * @import { Step, Story, TableRow, Telling } from "../../study/call-story.ts"
 * @import { Hello } from "../protocol.ts"
 * @import { LiveRecord, RecordedCall } from "./record.js"
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
  return { call, story, list, steps: list.length, times: list.map(({ at }) => at), telling, rows, file: hello?.file ?? "" };
}

/** @typedef {{ isPlaying: boolean, isStill: boolean, isUnredacted: boolean }} Playing */

/**
 * All panels of a call at one of its steps, as HTML. `sentence` is plain text.
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
    ladder: `<ol>${view.list.slice(0, step + 1).map((each) => `<li>${escape(plain(sentenceOf(each, view.telling)))}</li>`).join("")}</ol>`,
    wire: "",
    wireTitle: "On the wire",
    decision: "",
    decisionTitle: "The decision",
    sentence: now === undefined ? "" : plain(sentenceOf(now, view.telling)),
    track: drawTrack(view.steps, step, playing),
  };
}

/** @param {CallView} view */
function titleOf({ call, story }) {
  const end = story.ends[0];
  const where = call.slot < 0 ? "" : `, slot ${call.slot}`;
  const took = end === undefined || end.at === null ? "under way" : span(end.at - end.from);
  const said = [took, counted(end?.attempts ?? 0, "attempt"), outcomeOf(end)];
  return `Call ${call.call}: ${escape(call.script?.name ?? call.command)}${where} <small>${escape(said.filter((each) => each !== "").join(", "))}</small>`;
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
  const button = (/** @type {keyof typeof ICONS} */ icon, /** @type {string} */ does, /** @type {string} */ label, text = "", off = false) =>
    `<button type="button" data-does="${does}" data-key="player-${does}"${does === "play" ? ' class="primary"' : ""} aria-label="${label}" title="${label}"${off ? ' aria-disabled="true"' : ""}><svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[icon]}</svg>${text}</button>`;
  const marks = Array.from({ length: steps }, (_, each) => `<i class="${each === step ? "now" : each < step ? "on" : ""}"></i>`);
  return [
    button("first", "first", "First step", "", step === 0),
    button("back", "back", "Step back", "", step === 0),
    button(isPlaying ? "pause" : "play", "play", isPlaying ? "Pause" : "Play at a thousandth of the speed", isPlaying ? "Pause" : "Play 1/1000"),
    button("next", "next", "Step forwards", "", step >= steps - 1),
    button("last", "last", "Last step", "", step >= steps - 1),
    `<span class="track" aria-hidden="true">${marks.join("")}</span>`,
    `<span class="quiet num">step ${steps === 0 ? 0 : step + 1} of ${steps}</span>`,
  ].join("");
}
