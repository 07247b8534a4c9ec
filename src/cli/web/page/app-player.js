// @ts-check
import { element, show } from "./app-dom.js";
import { drawCall } from "./draw-call.js";
import { sentence } from "./draw-timeline.js";

/**
 * @import { CallView } from "./draw-call.js"
 */

/** Slow motion: a millisecond takes a second. Longer waits are cut, so that nobody waits for a pause of the client. */
const SLOWER = 1000;
const LEAST_MS = 900;
const MOST_MS = 2600;

const player = element("player");
/** @type {CallView | null} */
let view = null;
let step = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let playing;

/**
 * Shows a call. A call that is shown already stays at its step, unless it stood at its end and has gone on.
 *
 * @param {CallView | null} next
 * @param {boolean} isOther  Another call than before.
 */
export function showCall(next, isOther) {
  const wasAtEnd = view === null || step >= view.steps - 1;
  view = next;
  if (isOther) stop();
  if (view !== null && (isOther || wasAtEnd) && playing === undefined) step = Math.max(0, view.steps - 1);
  draw();
}

/** @param {number} by */
export function stepBy(by) {
  stop();
  goTo(step + by);
}

/** @param {number} to */
export function stepTo(to) {
  stop();
  goTo(to < 0 ? (view?.steps ?? 1) - 1 : to);
}

/** Plays the call from its beginning, or goes on where it was paused. */
export function play() {
  if (playing !== undefined) {
    stop();
    return draw();
  }
  if (view === null) return;
  if (step >= view.steps - 1) step = 0;
  schedule();
  draw();
}

function schedule() {
  if (view === null) return;
  const ms = ((view.times[step + 1] ?? 0) - (view.times[step] ?? 0)) * SLOWER;
  playing = setTimeout(
    () => {
      playing = undefined;
      if (view === null) return;
      step = Math.min(step + 1, view.steps - 1);
      if (step < view.steps - 1) schedule();
      draw();
    },
    Math.min(MOST_MS, Math.max(LEAST_MS, ms)),
  );
}

function stop() {
  clearTimeout(playing);
  playing = undefined;
}

/** @param {number} to */
function goTo(to) {
  if (view === null) return;
  step = Math.min(Math.max(0, to), view.steps - 1);
  draw();
}

function draw() {
  const {
    title,
    ladder,
    wire,
    wireTitle,
    decision,
    decisionTitle,
    sentence: said,
    track,
  } = drawCall(view, step, {
    isPlaying: playing !== undefined,
    width: Math.max(300, element("ladder").clientWidth),
  });
  show(element("call-title"), title);
  show(element("ladder"), ladder);
  show(element("wire-title"), wireTitle);
  show(element("wire"), wire);
  show(element("decision-title"), decisionTitle);
  show(element("decision"), decision);
  show(player, track);
  show(element("sentence"), sentence(said));
}

export function startPlayer() {
  player.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button === null) return;
    const does = button.dataset.does;
    if (does === "first") stepTo(0);
    else if (does === "back") stepBy(-1);
    else if (does === "next") stepBy(1);
    else if (does === "last") stepTo(-1);
    else if (does === "play") play();
  });
  // The ladder is drawn for the width that it has.
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry?.contentRect.width ?? 0);
    if (now === width) return;
    width = now;
    draw();
  }).observe(element("ladder"));
  draw();
}
