// @ts-check
import { element, say, show } from "./app-dom.js";
import { drawControls } from "./draw-controls.js";

/**
 * @import { ServerState } from "../../study/events.ts"
 * @import { Done, Hello } from "../protocol.ts"
 * @import { SlotView } from "./draw-slots.js"
 * @import { slotOfKey } from "./slots.js"
 */

const form = /** @type {HTMLFormElement} */ (element("controls"));
const said = element("said");

/** What the reader has typed or chosen, by the field's name, so that it survives when nodes come and go. */
/** @type {Map<string, string>} */
const chosen = new Map();
let lastSlot = -1;
/** @type {Hello | null} */
let lastHello = null;

/** @param {string} name */
const field = (name) => /** @type {HTMLInputElement | HTMLSelectElement | null} */ (form.elements.namedItem(name));

/**
 * Asks the server to do something.
 *
 * @param {Record<string, unknown>} what
 * @returns {Promise<Done>}
 */
export async function ask(what) {
  try {
    const response = await fetch("do", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(what),
    });
    return /** @type {Done} */ (await response.json());
  } catch {
    return { ok: false, error: "The command line does not answer." };
  }
}

/**
 * @param {string} text
 * @param {boolean} [isBad]
 */
function report(text, isBad = false) {
  say(said, text);
  said.classList.toggle("bad", isBad);
}

/** @param {{ key: () => string, follow: (call: number) => void }} page */
export function startControls({ key, follow }) {
  const fold = element("controls-fold");
  fold.addEventListener("click", () => {
    const isOpen = form.classList.toggle("unfolded");
    fold.setAttribute("aria-expanded", String(isOpen));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  const remember = (/** @type {Event} */ event) => {
    const { name, value, type, checked } = /** @type {HTMLInputElement} */ (event.target);
    chosen.set(name, type === "checkbox" ? String(checked) : value);
    if (name === "script") showWords();
    if (name === "load" && event.type === "change") perform({ name: "load", calls: Number(value) });
  };
  form.addEventListener("input", remember);
  form.addEventListener("change", remember);
  form.addEventListener("keydown", (event) => {
    const { name } = /** @type {HTMLInputElement} */ (event.target);
    if (event.key === "Enter" && ["args", "words"].includes(name)) perform(requestFor("call", key()));
  });
  form.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button?.dataset.do !== undefined) perform(requestFor(button.dataset.do, key()));
  });
  element("unredacted").addEventListener("change", (event) => {
    const { checked } = /** @type {HTMLInputElement} */ (event.target);
    void perform({ name: "show-arguments", on: checked });
  });
  element("key").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !form.hidden) perform(requestFor("call", key()));
  });

  /** @param {Record<string, unknown>} what */
  async function perform(what) {
    report("...");
    const answer = await ask(what);
    report(answer.ok ? answer.done : answer.error, !answer.ok);
    if (typeof answer.call === "number") follow(answer.call);
  }
}

/**
 * @param {string} name
 * @param {string} key
 * @returns {Record<string, unknown>}
 */
function requestFor(name, key) {
  const value = (/** @type {string} */ of) => field(of)?.value ?? "";
  const slot = Number(value("slot"));
  switch (name) {
    case "call":
      return callFor(key);
    case "move-slot":
    case "half-move":
      return { name, slot, to: value("to") };
    case "move-key":
      return { name, slot, to: value("to"), key };
    case "settle":
      return { name, slot };
    case "failover":
    case "kill":
    case "freeze":
    case "thaw":
      return { name, node: value("node") };
    default:
      return { name };
  }
}

/** @param {string} key */
function callFor(key) {
  const value = (/** @type {string} */ of) => field(of)?.value ?? "";
  const args = value("args")
    .split(/\s+/)
    .filter((word) => word !== "");
  const script = value("script");
  const from = value("from");
  const preloaded = /** @type {HTMLInputElement | null} */ (field("preloaded"))?.checked === true;
  // A script may have the name of a command.
  const command = /** @type {HTMLSelectElement | null} */ (field("script"))?.selectedOptions[0]?.dataset.command;
  const words = (command === "" ? value("words") : (command ?? "")).split(/\s+/).filter((word) => word !== "");
  const what = command !== undefined ? { command: [...words, key, ...args] } : { script, keys: [key], args };
  return { name: "call", ...what, ...(from !== "" && { from }), ...(preloaded && { preloaded }) };
}

function showWords() {
  const label = document.getElementById("words-label");
  if (label !== null) label.hidden = field("script")?.value !== "";
}

/**
 * @param {Hello | null} hello
 * @param {readonly ServerState[]} nodes
 * @param {SlotView} view
 * @param {ReturnType<typeof slotOfKey>} key
 */
export function updateControls(hello, nodes, { owners }, { slot }) {
  form.hidden = hello === null || hello.controls.length === 0;
  said.hidden = form.hidden;
  element("controls-fold").hidden = form.hidden;
  element("unredacted").hidden = hello?.controls.includes("show-arguments") !== true;
  if (hello !== null && hello !== lastHello) {
    const box = /** @type {HTMLInputElement | null} */ (element("unredacted").querySelector("input"));
    if (box !== null) box.checked = hello.showsArguments;
    lastHello = hello;
  }
  if (hello === null || form.hidden) return;
  if (show(form, drawControls(hello, nodes))) {
    for (const [name, value] of chosen) {
      const at = field(name);
      if (at instanceof HTMLInputElement && at.type === "checkbox") at.checked = value === "true";
      else if (at instanceof HTMLSelectElement) {
        if ([...at.options].some((option) => option.value === value)) at.value = value;
      } else if (at !== null) at.value = value;
    }
    showWords();
    lastSlot = -1;
  }
  if (slot === lastSlot) return;
  lastSlot = slot;
  // The slot follows the key, and the other node is the next one after the slot's owner.
  const at = field("slot");
  if (at !== null) at.value = String(slot);
  const to = field("to");
  if (to instanceof HTMLSelectElement) {
    const others = [...to.options].map(({ value }) => value).filter((name) => name !== owners[slot]);
    if (others[0] !== undefined && (!chosen.has("to") || to.value === owners[slot])) to.value = others[0];
  }
  const node = field("node");
  const owner = owners[slot] ?? null;
  if (node !== null && owner !== null && !chosen.has("node")) node.value = owner;
}
