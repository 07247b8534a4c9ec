// @ts-check
import { chip } from "./draw-cluster.js";
import { escapeMarkup as html } from "./escape.js";
import { clock, counted } from "./words.js";

/** @import { Entry, Line } from "./timeline-entry.js" */

/** Words of servers that have a colour of their own. */
const WORDS = /\b(MOVED|ASK|TRYAGAIN|NOSCRIPT|CLUSTERDOWN|LOST|PFAIL|FAIL)\b/g;

/**
 * A sentence with names of nodes in brackets as HTML.
 *
 * @param {string} text
 */
export function sentence(text) {
  return html(text)
    .replace(WORDS, (word) => `<b class="word ${word.toLowerCase()}">${word}</b>`)
    .replace(/\[([A-Z]+\d*)\]/g, (_, name) => chip(name));
}

/**
 * What happened, newest first.
 *
 * @param {readonly Entry[]} entries
 * @param {{ call: number | null, seq: number | null, most: number }} chosen  The call or the moment that is shown.
 */
export function drawTimeline(entries, { call, seq, most }) {
  const shown = entries.slice(-most).reverse();
  if (shown.length === 0) return '<li class="quiet">Nothing yet. Make a call.</li>';
  return shown
    .map((entry) => {
      const isChosen =
        seq === null ? entry.call !== null && entry.call === call : entry.seq === seq && call === entry.call;
      const folded =
        entry.kind === "calls" && entry.more > 0
          ? ` <small>and ${counted(entry.more, "call")} before it, answered at once</small>`
          : "";
      const lines = entry.below.map((line) => drawLine(line, entry.at)).join("");
      const rest = entry.kind !== "calls" && entry.more > 0 ? `<li class="quiet">and ${entry.more} more</li>` : "";
      const below = lines === "" ? "" : `<ol class="below">${lines}${rest}</ol>`;
      return `<li class="${entry.kind} ${entry.tone}">${button(entry, isChosen, entry.who, folded, clock(entry.at))}${below}</li>`;
    })
    .join("");
}

/**
 * @param {Line} line
 * @param {number} since
 */
function drawLine(line, since) {
  return `<li>${button({ ...line, id: `${line.seq}-${line.call ?? ""}` }, false, "", "", `+${((line.at - since) / 1000).toFixed(2)} s`)}</li>`;
}

/**
 * @param {{ id: number | string, seq: number, call: number | null, text: string }} entry
 * @param {boolean} isChosen
 * @param {string} who
 * @param {string} more
 * @param {string} time
 */
function button({ id, seq, call, text }, isChosen, who, more, time) {
  const what = call === null ? "" : ` data-call="${call}"`;
  return `<button type="button" class="line" tabindex="-1" data-key="line-${id}" data-seq="${seq}"${what}${isChosen ? ' aria-current="true"' : ""}><span class="time">${html(time)}</span><span class="who">${html(who)}</span><span class="text">${sentence(text)}${more}</span></button>`;
}
