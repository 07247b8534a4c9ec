// @ts-check
import { element } from "./app-dom.js";
import { play, stepBy, stepTo } from "./app-player.js";

/** Keys and what they do. Single keys work while no field has the focus, and can be switched off. */
const KEYS = /** @type {const} */ ([
  ["c", "call with the key"],
  ["k", "go to the key"],
  ["1 to 6", "begin a lesson"],
  ["\u2190 \u2192", "a step of the call back or forwards"],
  ["Home End", "the first step, the last step"],
  ["p", "play in slow motion, or pause"],
  ["t", "go to the timeline; \u2191 \u2193 from entry to entry, Enter replays"],
  ["s", "go to the slot map; arrow keys from slot to slot, Enter takes the slot"],
  ["n", "back to now"],
  ["?", "this list"],
]);

let isOn = true;

/** @param {{ backToNow: () => void }} page */
export function startKeyboard({ backToNow }) {
  const dialog = /** @type {HTMLDialogElement} */ (element("help"));
  dialog.innerHTML = `<h2 id="help-title">Keyboard</h2><p>Tab reaches everything. Where no field has the focus:</p>
<dl>${KEYS.map(([key, what]) => `<dt>${key.replace(/\S+/g, (word) => (word === "to" ? word : `<kbd>${word}</kbd>`))}</dt><dd>${what}</dd>`).join("")}</dl>
<p><label><input type="checkbox" id="keys-on" checked> Single keys are on</label></p>
<p><button type="button" class="primary" id="help-close">Close</button></p>`;
  element("keys-on").addEventListener("change", (event) => {
    isOn = /** @type {HTMLInputElement} */ (event.target).checked;
  });
  element("help-close").addEventListener("click", () => dialog.close());
  element("help-open").addEventListener("click", () => dialog.showModal());

  const focusIn = (/** @type {string} */ selector) =>
    /** @type {HTMLElement | null} */ (document.querySelector(selector))?.focus();
  const click = (/** @type {string} */ selector) =>
    /** @type {HTMLElement | null} */ (document.querySelector(selector))?.click();
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || dialog.open) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("input, select, textarea") || !isOn) return;
    const { key } = event;
    if (key === "?") dialog.showModal();
    else if (key === "ArrowLeft") stepBy(-1);
    else if (key === "ArrowRight") stepBy(1);
    else if (key === "Home") stepTo(0);
    else if (key === "End") stepTo(-1);
    else if (key === "p") play();
    else if (key === "n") backToNow();
    else if (key === "k") focusIn("#key");
    else if (key === "t") focusIn("#timeline button[tabindex='0']");
    else if (key === "s") focusIn("#map");
    else if (key === "c") click('[data-do="call"]');
    else if (/^[1-6]$/.test(key)) click(`[data-lesson="${key}"]`);
    else return;
    event.preventDefault();
  });
}
