// @ts-check
import { chip, inFamilies } from "./draw-cluster.js";
import { isSilent } from "./draw-slots.js";
import { escapeMarkup as html } from "./escape.js";
import { short } from "./words.js";

/**
 * @import { ServerState, StudyScript } from "../../study/events.ts"
 * @typedef {Readonly<Record<string, string>>} Arrivals  How a script came to a node: by `node name + " " + sha`.
 */

/**
 * Which node knows which script, by the servers' own word (SCRIPT EXISTS).
 *
 * @param {readonly ServerState[]} nodes
 * @param {readonly StudyScript[]} scripts
 * @param {Arrivals} arrivals
 * @param {string} [none]  What is said without a script.
 */
export function drawScripts(nodes, scripts, arrivals, none = "No script has been called yet.") {
  if (scripts.length === 0) return `<p class="quiet">${html(none)}</p>`;
  const head = scripts.map(({ name, sha }) => `<th scope="col" title="SHA-1 ${html(sha)}">${html(name)}</th>`);
  const rows = inFamilies(nodes).map((node) => {
    const cells = scripts.map(({ name, sha }) => cell(node, name, sha, arrivals[`${node.name} ${sha}`]));
    return `<tr class="${node.role === "replica" ? "replica" : ""}"><th scope="row">${chip(node.name)} <span class="mono quiet">${html(short(node.address))}</span></th>${cells.join("")}</tr>`;
  });
  return `<div class="across" tabindex="0" role="group" aria-label="Scripts by node"><table class="matrix"><thead><tr><td></td>${head.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>
<p class="key-line"><span class="dot known"></span>knows it <span class="dot missing"></span>does not <span class="dot unasked"></span>no answer</p>`;
}

/**
 * @param {ServerState} node
 * @param {string} name
 * @param {string} sha
 * @param {string | undefined} arrival
 */
function cell(node, name, sha, arrival) {
  const knows = isSilent(node) ? undefined : node.scripts[sha];
  const state = knows === undefined ? "unasked" : knows ? "known" : "missing";
  const said = { known: "knows", missing: "does not know", unasked: "did not say whether it knows" }[state];
  const how = state === "known" && arrival !== undefined ? `<small>${html(arrival)}</small>` : "";
  return `<td data-dot="${html(`${node.name} ${name}`)}" class="${state}"><span class="dot ${state}" role="img" aria-label="${html(`${node.name} ${said} ${name}`)}"></span>${how}</td>`;
}
