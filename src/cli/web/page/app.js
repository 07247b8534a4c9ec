// @ts-check
import { startControls, updateControls } from "./app-controls.js";
import { element, say, show } from "./app-dom.js";
import { startKeyboard } from "./app-keyboard.js";
import { offerLessons, startLessons } from "./app-lessons.js";
import { paintMap, startMap } from "./app-map.js";
import { showCall, startPlayer } from "./app-player.js";
import { viewOfCall } from "./draw-call.js";
import { drawNodes, drawSlotsAsText, drawStatus, mapLabel } from "./draw-cluster.js";
import { drawKey } from "./draw-key.js";
import { drawScripts } from "./draw-scripts.js";
import { slotView } from "./draw-slots.js";
import { drawTimeline } from "./draw-timeline.js";
import { add, addScript, emptyRecord, serversAt } from "./record.js";
import { ownerOf } from "./reduce-topology.js";
import { slotOfKey } from "./slots.js";
import { emptyTimeline, tell } from "./timeline.js";
import { clock, grouped } from "./words.js";

/**
 * @import { StudyEvent } from "../../study/events.ts"
 * @import { Hello, Rate } from "../protocol.ts"
 */

/** Entries of the timeline that are shown; more are kept. */
const MOST_SHOWN = 120;

const state = {
  /** @type {Hello | null} */
  hello: null,
  record: emptyRecord(),
  timeline: emptyTimeline(),
  isOpen: true,
  /** The call that the reader has made or chosen. @type {number | null} */
  call: null,
  /** The moment that the reader looks at; null is now. @type {number | null} */
  seq: null,
};
/** @type {number | null} */
let callShown = null;
let isDrawn = true;

const keyInput = /** @type {HTMLInputElement} */ (element("key"));

/** Draws at most once a frame, however many events come. */
function soon() {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(() => {
    isDrawn = true;
    draw();
  });
}

function draw() {
  const { hello, record, timeline, seq, isOpen } = state;
  const nodes = serversAt(record, seq);
  const view = slotView(nodes);
  const key = slotOfKey(keyInput.value);
  show(element("status"), drawStatus({ server: hello?.server ?? "", nodes, view, isOpen }));
  const believed = record.names.get(ownerOf(record.facts.topology, key.slot) ?? "") ?? null;
  show(element("key-slot"), drawKey(key, nodes, view, seq === null ? believed : null));
  show(element("nodes"), drawNodes(nodes, view));
  show(element("map-text"), drawSlotsAsText(nodes, view));
  element("map").setAttribute("aria-label", mapLabel(nodes, view));
  paintMap(view, key.slot);
  const none = hello?.mode === "watch" ? "With --scripts FOLDER, its scripts are looked for on every node." : undefined;
  drawDots(drawScripts(nodes, [...record.scripts.values()], record.arrivals, none));
  drawPast();
  const call = record.calls.get(chosenCall() ?? -1);
  showCall(call === undefined ? null : viewOfCall(call, record, hello), callShown !== (call?.call ?? null));
  callShown = call?.call ?? null;
  show(element("timeline"), drawTimeline(timeline.entries, { call: callShown, seq, most: MOST_SHOWN }));
  makeRoving(element("timeline"));
  updateControls(hello, nodes, view, key);
  offerLessons(hello !== null && hello.controls.includes("call"));
}

/** The call that the reader chose; without a choice the last one that was refused, or the last one. */
function chosenCall() {
  if (state.call !== null && state.record.calls.has(state.call)) return state.call;
  // The call's number has come before its events have. Until then, what is shown stays.
  if (state.call !== null && callShown !== null && state.call > callShown) return callShown;
  const calls = [...state.record.calls.values()];
  return (calls.findLast(({ refusals }) => refusals > 0) ?? calls.at(-1))?.call ?? null;
}

function drawPast() {
  const { seq, record } = state;
  element("past").hidden = seq === null;
  if (seq === null) return;
  const looked = record.servers.findLast((event) => event.seq <= seq) ?? record.servers[0];
  say(element("past-text"), `Map, nodes and scripts are shown as they were at ${clock(looked?.at ?? 0)}.`);
}

/**
 * Shows the matrix. A dot that is new, or has gone, is marked for a moment.
 *
 * @param {string} html
 */
function drawDots(html) {
  const at = element("scripts");
  const statesOf = () => new Map([...at.querySelectorAll("td")].map((cell) => [cell.dataset.dot, cell.className]));
  const before = statesOf();
  if (!show(at, html)) return;
  for (const cell of at.querySelectorAll("td")) {
    const was = before.get(cell.dataset.dot);
    if (was !== undefined && was !== cell.className) cell.querySelector(".dot")?.classList.add("fresh");
  }
}

/**
 * One entry of a list is in the tab order, and the arrow keys go to the others.
 *
 * @param {HTMLElement} list
 */
function makeRoving(list) {
  const buttons = [...list.querySelectorAll("button")];
  const current = buttons.find((button) => button === document.activeElement) ?? buttons[0];
  for (const button of buttons) button.tabIndex = button === current ? 0 : -1;
}

function startTimeline() {
  const list = element("timeline");
  list.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button !== null) choose(button.dataset.call ?? null, Number(button.dataset.seq));
  });
  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    buttons[Math.min(Math.max(0, to), buttons.length - 1)]?.focus();
    makeRoving(list);
  });
}

/**
 * Shows a call again, and the cluster as it was then.
 *
 * @param {string | null} call
 * @param {number} seq
 */
function choose(call, seq) {
  if (call !== null) state.call = Number(call);
  state.seq = seq;
  soon();
}

function backToNow() {
  state.seq = null;
  soon();
}

/** @param {number} call */
function follow(call) {
  state.call = call;
  state.seq = null;
  soon();
}

/**
 * What a lesson needs to know of its slot.
 *
 * @param {number} slot
 */
function placeOf(slot) {
  const nodes = serversAt(state.record, null);
  const { owners, open } = slotView(nodes);
  const owner = owners[slot] ?? null;
  const other = nodes.find(({ role, name, slots }) => role === "primary" && name !== owner && slots.length > 0);
  return { slot, owner, other: other?.name ?? null, open: open.map((each) => each.slot) };
}

/** @param {string} key */
function useKey(key) {
  keyInput.value = key;
  soon();
}

/**
 * Forgets what was heard, because all of it is told anew. What the reader has chosen stays.
 *
 * @param {Hello} hello
 */
function begin(hello) {
  Object.assign(state, { hello, record: emptyRecord(), timeline: emptyTimeline(), isOpen: true });
  say(element("mode"), hello.mode);
  // Without a client there are no calls to show.
  for (const part of document.querySelectorAll(".of-calls")) part.toggleAttribute("hidden", hello.mode === "watch");
  for (const script of hello.scripts) addScript(state.record, script);
  document.title = `slotwire: ${hello.server || "a cluster at work"}`;
}

/** @param {readonly StudyEvent[]} events */
function take(events) {
  for (const event of events) {
    add(state.record, event);
    tell(state.timeline, state.record, event);
  }
  soon();
}

/** @param {Rate} rate */
function takeRate({ calls, dropped }) {
  const counted = dropped > 0 ? `, ${grouped(dropped)} only counted` : "";
  say(element("rate"), calls === 0 ? "" : `${grouped(calls)} calls/s${counted}`);
}

function listen() {
  const saved = document.getElementById("record");
  if (saved !== null) {
    const { hello, events } = JSON.parse(saved.textContent ?? "{}");
    begin({ ...hello, controls: [] });
    element("save").hidden = true;
    take(events);
    return;
  }
  const source = new EventSource("events");
  const on = (/** @type {string} */ name, /** @type {(data: any) => void} */ hear) =>
    source.addEventListener(name, (event) => hear(JSON.parse(event.data)));
  // The page shows what it knew until the record has come, which follows at once and takes longer.
  /** @type {Hello | null} */
  let hello = null;
  on("hello", (told) => {
    hello = told;
  });
  on("record", (events) => {
    if (hello !== null) begin(hello);
    hello = null;
    take(events);
  });
  on("rate", takeRate);
  source.addEventListener("error", () => {
    state.isOpen = false;
    soon();
  });
}

keyInput.addEventListener("input", soon);
element("now").addEventListener("click", backToNow);
startMap((slot) => {
  const node = /** @type {HTMLInputElement | null} */ (document.querySelector('[name="slot"]'));
  if (node !== null) node.value = String(slot);
});
startPlayer();
startTimeline();
startControls({ key: () => keyInput.value, follow });
startLessons({ follow, place: placeOf, useKey });
startKeyboard({ backToNow });
listen();
