// @ts-check
import { inFamilies } from "./draw-cluster.js";
import { escapeMarkup as html } from "./escape.js";
import { short } from "./words.js";

/**
 * @import { ServerState } from "../../study/events.ts"
 * @import { Hello } from "../protocol.ts"
 */

/**
 * What can be done, in three groups: call, move, break. Only what the server offers is shown.
 *
 * @param {Hello} hello
 * @param {readonly ServerState[]} nodes
 */
export function drawControls({ controls, scripts }, nodes) {
  const has = (/** @type {string} */ name) => controls.includes(name);
  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ title, kind = "") =>
    has(name)
      ? `<button type="button" data-do="${name}" data-key="do-${name}"${kind} title="${html(title)}">${label}</button>`
      : "";
  const families = inFamilies(nodes);
  const primaries = families.filter(({ role }) => role === "primary");
  const option = (/** @type {ServerState} */ { name, address }) =>
    `<option value="${html(name)}">${html(`${name} ${short(address)}`)}</option>`;
  const call = `<fieldset><legend>Call <small>with the key</small></legend><div>
<label>what <select name="script" data-key="script">${scripts.map(({ name }) => `<option value="${html(name)}">${html(name)}</option>`).join("")}<option value="GET" data-command="GET">GET</option><option value="SET" data-command="SET">SET</option><option value="" data-command="">other ...</option></select></label>
<label id="words-label" hidden>command <input name="words" class="mono" data-key="words" spellcheck="false" autocomplete="off" value="TTL"></label>
<label>arguments <input name="args" class="args mono" data-key="args" spellcheck="false" autocomplete="off" placeholder="none"></label>
${button("call", "Call", "Make the call (c)", ' class="primary"')}</div><div>
<label>ask first <select name="from" data-key="from"><option value="">owner, by its map</option>${primaries.map(option).join("")}</select></label>
<label><input type="checkbox" name="preloaded" data-key="preloaded"> as if preloaded</label>
${has("load") ? '<label>calls/s <select name="load" data-key="load"><option value="0">none</option><option value="20">20</option><option value="200">200</option><option value="1000">1,000</option></select></label>' : ""}</div></fieldset>`;
  const move = `<fieldset><legend>Move <small>the key's slot</small></legend><div>
<label>slot <input name="slot" type="number" min="0" max="16383" data-key="slot"></label>
<label>to <select name="to" data-key="to">${primaries.map(option).join("")}</select></label></div><div>
${button("move-slot", "Whole slot", "Moves all keys, then the slot: MOVED")}${button("half-move", "Half-move", "Begins to move the slot and stops: ASK")}${button("move-key", "This key", "Moves the key alone; the slot must be half-moved: TRYAGAIN for calls with several keys")}${button("settle", "Settle", "Ends what was half-moved")}</div></fieldset>`;
  const break_ = `<fieldset><legend>Break <small>on purpose</small></legend><div>
<label>node <select name="node" data-key="node">${families.map(option).join("")}</select></label>
${button("failover", "Fail over", "Promotes a replica, in agreement with its primary")}${button("kill", "Kill", "SIGKILL")}${button("freeze", "Freeze", "SIGSTOP")}${button("thaw", "Thaw", "SIGCONT")}</div><div>
${button("flush", "Flush scripts", "SCRIPT FLUSH on every node")}${button("lose-reply", "Lose a reply", "The reply of the next call is lost with its connection")}${button("add-node", "Add node", "Starts a node without slots")}</div></fieldset>`;
  return call + move + break_;
}
