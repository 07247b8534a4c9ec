// @ts-check

import { isSilent } from "./draw-slots.js";
import { escapeMarkup as html } from "./escape.js";
import { nodeClass, shardOf } from "./palette.js";
import { rangesText, SLOTS, sizeOf } from "./slots.js";
import { counted, grouped, listed, short } from "./words.js";

/**
 * @import { ServerState } from "../../study/events.ts"
 * @import { SlotView } from "./draw-slots.js"
 */

/**
 * Whether the cluster is well, and what is wrong first if it is not.
 *
 * @param {readonly ServerState[]} nodes
 * @param {SlotView} view
 * @returns {{ isWell: boolean, text: string, more: string[] }}
 */
export function healthOf(nodes, { owners, open }) {
  if (nodes.length === 0) return { isWell: true, text: "asking the servers", more: [] };
  const wrong = [];
  const unowned = owners.filter((owner) => owner === null).length;
  const silent = nodes.filter(isSilent).map(({ name }) => name);
  const refusing = nodes.filter(({ state }) => state === "fail").map(({ name }) => name);
  const disagreeing = nodes.filter(({ disagrees }) => disagrees.length > 0).map(({ name }) => name);
  if (unowned > 0) wrong.push(`${grouped(unowned)} of 16,384 slots not served`);
  if (refusing.length > 0) wrong.push(`${listed(refusing)} ${refusing.length === 1 ? "says" : "say"} CLUSTERDOWN`);
  if (silent.length > 0) wrong.push(`${listed(silent)} ${silent.length === 1 ? "is" : "are"} silent`);
  if (disagreeing.length > 0)
    wrong.push(`${listed(disagreeing)} ${disagreeing.length === 1 ? "names" : "name"} another owner`);
  if (open.length > 0) wrong.push(`${counted(open.length, "slot")} half-moved`);
  const isWell = unowned === 0 && refusing.length === 0;
  if (isWell) return { isWell, text: `all ${grouped(SLOTS)} slots served`, more: wrong };
  return { isWell, text: /** @type {string} */ (wrong[0]), more: wrong.slice(1) };
}

/**
 * The line at the top: which servers, how many, and whether all is well.
 *
 * @param {{ server: string, nodes: readonly ServerState[], view: SlotView, isOpen: boolean }} state
 */
export function drawStatus({ server, nodes, view, isOpen }) {
  const primaries = nodes.filter(({ role }) => role === "primary").length;
  const replicas = nodes.filter(({ role }) => role === "replica").length;
  const { isWell, text, more } = healthOf(nodes, view);
  const pills = [];
  if (server !== "") pills.push(pill("", server));
  if (nodes.length > 0)
    pills.push(pill("", `${counted(primaries, "primary", "primaries")}, ${counted(replicas, "replica")}`));
  pills.push(pill(isWell ? "good" : "bad", text), ...more.map((each) => pill("warn", each)));
  if (!isOpen) pills.push(pill("bad", "the command line has gone; this is what was heard last"));
  return pills.join("");
}

/**
 * @param {string} tone
 * @param {string} text
 */
const pill = (tone, text) => `<span class="pill ${tone}">${html(text)}</span>`;

/** @param {string} name */
export const chip = (name) => `<b class="chip ${nodeClass(name)}">${html(name)}</b>`;

/**
 * The nodes, each primary followed by its replicas, then the slots that are half-moved.
 *
 * @param {readonly ServerState[]} nodes
 * @param {SlotView} view
 */
export function drawNodes(nodes, { open }) {
  const rows = inFamilies(nodes).map((node) => {
    const isReplica = node.role === "replica";
    const slots = isReplica ? `replica of ${node.primary ?? "?"}` : counted(sizeOf(node.slots), "slot");
    const keys = node.keys === null ? "" : counted(node.keys, "key");
    return `<tr class="${isReplica ? "replica" : ""}" data-node="${html(node.name)}">
<th scope="row">${chip(node.name)}</th><td class="mono">${html(short(node.address))}</td><td>${html(slots)}</td><td class="num">${html(keys)}</td>
<td>${stateOf(node)}</td></tr>${suspicions(node)}`;
  });
  const half = open.map(({ slot, from, to, keysFrom, keysTo }) => {
    const there =
      keysFrom === null || keysTo === null ? "" : `: ${keysTo} of ${counted(keysFrom + keysTo, "key")} there`;
    return `<li><span class="halves ${nodeClass(from)}"><i class="${nodeClass(to)}"></i></span>slot <b>${slot}</b> is half-way from ${chip(from)} to ${chip(to)}${html(there)}</li>`;
  });
  return `<table class="nodes"><thead><tr><th scope="col">node</th><th scope="col">port</th><th scope="col">serves</th><th scope="col" class="num">holds</th><th scope="col">state</th></tr></thead>
<tbody>${rows.join("")}</tbody></table>${half.length > 0 ? `<ul class="half">${half.join("")}</ul>` : ""}`;
}

/** @param {ServerState} node */
function stateOf(node) {
  if (isSilent(node)) return `<span class="bad" title="${html(node.error ?? "")}">silent</span>`;
  if (node.state === "fail") return '<span class="bad">CLUSTERDOWN</span>';
  return '<span class="good">ok</span>';
}

/** @param {ServerState} node */
function suspicions(node) {
  const said = [
    ...Object.entries(node.suspects).map(
      ([name, flag]) => `${flag === "fail" ? `${name} has failed (FAIL)` : `${name} may have failed (PFAIL)`}`,
    ),
    ...node.disagrees.map(({ slots, says, is }) => `${rangesText([slots])} is ${says}'s, not ${is}'s`),
  ];
  if (said.length === 0) return "";
  return `<tr class="said"><td></td><td colspan="4">${html(node.name)} says: ${html(listed(said, 4))}</td></tr>`;
}

/**
 * Primaries in the order of their names, each followed by its replicas.
 *
 * @param {readonly ServerState[]} nodes
 */
export function inFamilies(nodes) {
  const order = (/** @type {ServerState} */ a, /** @type {ServerState} */ b) =>
    shardOf(a.name) - shardOf(b.name) || a.name.length - b.name.length || (a.name < b.name ? -1 : 1);
  const primaries = nodes.filter(({ role, primary }) => role === "primary" || primary === null).sort(order);
  const families = primaries.flatMap((primary) => [
    primary,
    ...nodes
      .filter((node) => node !== primary && node.primary === primary.name && !primaries.includes(node))
      .sort(order),
  ]);
  return [...families, ...nodes.filter((node) => !families.includes(node))];
}

/**
 * The map in words.
 *
 * @param {readonly ServerState[]} nodes
 * @param {SlotView} view
 */
export function drawSlotsAsText(nodes, { owners, open }) {
  const lines = nodes
    .filter(({ role }) => role === "primary")
    .map(({ name, slots }) => `<li>${html(name)}: ${html(rangesText(slots, 40))}</li>`);
  const unowned = owners.filter((owner) => owner === null).length;
  if (unowned > 0) lines.push(`<li>no owner: ${counted(unowned, "slot")}</li>`);
  for (const { slot, from, to } of open) lines.push(`<li>${slot}: half-way from ${html(from)} to ${html(to)}</li>`);
  return `<ul>${lines.join("")}</ul>`;
}

/**
 * @param {readonly ServerState[]} nodes
 * @param {SlotView} view
 */
export function mapLabel(nodes, { open }) {
  const owners = nodes.filter(({ role, slots }) => role === "primary" && slots.length > 0);
  const said = owners.map(({ name, slots }) => `${name} owns ${rangesText(slots, 3)}`);
  const half = open.length === 0 ? "" : ` Half-moved: ${listed(open.map(({ slot }) => String(slot)))}.`;
  return `Slot map. ${listed(said, 8)}.${half} Arrow keys go from slot to slot.`;
}
