// @ts-check
import { escapeMarkup as html } from "./escape.js";

/**
 * @import { Lesson } from "./lessons.js"
 * @typedef {{ done: number, busy: number | null, chosen: number | null, counts: readonly (number | null)[] | null, error: string | null }} LessonState
 *   `done`: how many steps are done. `busy`: the step that is under way. `counts`: what the servers' ledger says.
 */

/** @returns {LessonState} */
export const freshLesson = () => ({ done: 0, busy: null, chosen: null, counts: null, error: null });

/**
 * The six lessons as buttons, and the one that is open: three steps, a question, and the answer of the servers' ledger.
 *
 * @param {readonly Lesson[]} lessons
 * @param {number | null} open
 * @param {LessonState} state
 */
export function drawLessons(lessons, open, state) {
  const tabs = lessons.map(
    ({ title }, index) =>
      `<button type="button" data-lesson="${index + 1}" data-key="lesson-${index + 1}" aria-expanded="${index === open}" aria-pressed="${index === open}"><span class="num">${index + 1}</span> ${html(title)}</button>`,
  );
  const lesson = open === null ? undefined : lessons[open];
  return `<div class="lesson-tabs"><h2 id="lessons-title">Lessons</h2>${tabs.join("")}</div>${lesson === undefined ? "" : drawLesson(lesson, state)}`;
}

/**
 * @param {Lesson} lesson
 * @param {LessonState} state
 */
function drawLesson(lesson, { done, busy, chosen, counts, error }) {
  const steps = lesson.steps.map(({ label, says }, index) => {
    const isOff = index > done || busy === index;
    const state = index < done ? "done" : index === done ? "next" : "";
    return `<li class="${state}"><button type="button" data-step="${index}" data-key="lesson-step-${index}"${index === done ? ' class="primary"' : ""}${isOff ? " disabled" : ""}>${index + 1}. ${html(label)}</button>${index < done || busy === index ? `<p>${html(busy === index ? "..." : says)}</p>` : ""}</li>`;
  });
  const isOver = done >= lesson.steps.length;
  const right = counts === null ? null : lesson.right(counts);
  const choices = lesson.choices.map((choice, index) => {
    const mark = right === null ? "" : index === right ? " right" : index === chosen ? " wrong" : "";
    return `<button type="button" data-choice="${index}" data-key="lesson-choice-${index}" class="choice${mark}" aria-pressed="${index === chosen}">${html(choice)}</button>`;
  });
  const question = isOver
    ? `<div class="question"><p><b>${html(lesson.question)}</b></p><div class="choices">${choices.join("")}</div>${answer(lesson, chosen, counts, right)}</div>`
    : '<div class="question quiet"><p>A question comes after the third step.</p></div>';
  const failed = error === null ? "" : `<p class="bad">${html(error)}</p>`;
  return `<div class="lesson"><p class="what">${html(lesson.what)}</p><ol class="lesson-steps">${steps.join("")}</ol>${question}${failed}</div>`;
}

/**
 * @param {Lesson} lesson
 * @param {number | null} chosen
 * @param {readonly (number | null)[] | null} counts
 * @param {number | null} right
 */
function answer({ ledger }, chosen, counts, right) {
  if (chosen === null || counts === null) return "";
  const found = counts.map((count) => (count === null ? "nothing" : String(count))).join(" and ");
  const verdict = chosen === right ? '<b class="good">Right.</b>' : '<b class="bad">No.</b>';
  return `<p class="ledger">${verdict} ${html(ledger.replace("COUNT", found))}</p>`;
}
