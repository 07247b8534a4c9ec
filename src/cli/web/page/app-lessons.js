// @ts-check
import { ask } from "./app-controls.js";
import { element, say, show } from "./app-dom.js";
import { drawLessons, freshLesson } from "./draw-lesson.js";
import { LESSONS, slotOfLesson } from "./lessons.js";

/**
 * @import { Place, Request } from "./lessons.js"
 * @typedef {{ follow: (call: number) => void, place: (slot: number) => Place, useKey: (key: string) => void }} LessonPage
 */

const at = element("lessons");
/** @type {number | null} */
let open = null;
let state = freshLesson();
/** Counts the lessons that were begun, so that what was asked for in an earlier one is ignored. */
let begun = 0;

function draw() {
  show(at, drawLessons(LESSONS, open, state));
}

/** @param {boolean} isOffered */
export function offerLessons(isOffered) {
  at.hidden = !isOffered;
  if (isOffered) draw();
}

/** @param {LessonPage} page */
export function startLessons(page) {
  at.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button === null) return;
    const { lesson, step, choice } = button.dataset;
    if (lesson !== undefined) begin(Number(lesson) - 1, page);
    else if (step !== undefined) void perform(Number(step), page);
    else if (choice !== undefined) void answer(Number(choice));
  });
}

/**
 * @param {number} index
 * @param {LessonPage} page
 */
function begin(index, page) {
  begun++;
  open = open === index ? null : index;
  state = freshLesson();
  draw();
  const lesson = open === null ? undefined : LESSONS[open];
  if (lesson === undefined) return;
  page.useKey(lesson.keys[0] ?? "");
  focusOn('[data-step="0"]');
}

/**
 * @param {number} index
 * @param {LessonPage} page
 */
async function perform(index, page) {
  const lesson = LESSONS[open ?? -1];
  const step = lesson?.steps[index];
  if (lesson === undefined || step === undefined || state.busy !== null) return;
  const of = begun;
  if (index < state.done) state = { ...freshLesson(), done: index };
  state = { ...state, busy: index, error: null };
  draw();
  const requests = step.requests(page.place(slotOfLesson(lesson)));
  const failed = step.isBackground ? background(requests, page) : await inOrder(requests, page, () => of === begun);
  if (of !== begun) return;
  state = { ...state, busy: null, error: failed, done: failed === null ? index + 1 : state.done };
  draw();
  focusOn(
    failed === null && index + 1 < lesson.steps.length
      ? `[data-step="${index + 1}"]`
      : failed === null
        ? '[data-choice="0"]'
        : `[data-step="${index}"]`,
  );
  say(element("said"), failed ?? step.says);
}

/**
 * Performs requests one after the other. Returns what went wrong, or null. A call that ends with an error is what some
 * lessons are about: it is shown like any other call.
 *
 * @param {readonly Request[]} requests
 * @param {LessonPage} page
 * @param {() => boolean} isWanted
 */
async function inOrder(requests, page, isWanted) {
  for (const request of requests) {
    if (!isWanted()) return null;
    const { quiet, ...what } = request;
    const answer = await ask(what);
    if (typeof answer.call === "number" && quiet !== true) page.follow(answer.call);
    if (!answer.ok && typeof answer.call !== "number") return answer.error;
  }
  return null;
}

/**
 * @param {readonly Request[]} requests
 * @param {LessonPage} page
 */
function background(requests, page) {
  void inOrder(requests, page, () => true);
  return null;
}

/** @param {number} choice */
async function answer(choice) {
  const lesson = LESSONS[open ?? -1];
  if (lesson === undefined) return;
  const of = begun;
  const answered = await ask({ name: "ledger", lesson: lesson.lesson });
  if (!answered.ok) {
    state = { ...state, error: answered.error };
    return draw();
  }
  const runs = /** @type {{ runs: number | null }[]} */ (answered.runs);
  const counts = runs.map((each) => each.runs);
  if (of !== begun) return;
  state = { ...state, chosen: choice, counts, error: null };
  draw();
  say(element("said"), at.querySelector(".ledger")?.textContent ?? "");
}

/** @param {string} selector */
function focusOn(selector) {
  /** @type {HTMLElement | null} */ (at.querySelector(selector))?.focus();
}
