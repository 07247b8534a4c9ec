// @ts-check
import { escapeMarkup } from "./escape.js";
import { lessonText, outcomeText, whenText } from "./sentences.js";

/** @import { TableRow } from "../../study/call-story.ts" */

const TARGETS = /** @type {Record<string, string>} */ ({
  "same-node": "the same node",
  owner: "the slot's owner",
  named: "the node that was named",
});

/** @param {TableRow} row */
export function nextText({ kind, to, when, outcome }) {
  if (kind === "reject") return `the caller gets an error: ${outcomeText(outcome)}`;
  const time = whenText({ when: /** @type {any} */ (when), backoffMs: null });
  return `${TARGETS[to ?? "owner"]}, ${time}`;
}

/**
 * Rows of the decision table. Those that decided are lit.
 *
 * @param {readonly TableRow[]} rows
 * @param {ReadonlySet<string>} lit  Names of rows.
 * @param {string} label  What the table is, for those who cannot see it.
 * @returns {string}
 */
export function drawDecision(rows, lit, label) {
  const body = rows.map((each) => {
    const { row, met, spends, learned } = each;
    const cells = [
      ["if", met],
      ["next", nextText(each)],
      ["spends", spends ?? "nothing"],
      ["learned", lessonText(learned)],
    ].map(([of, text]) => `<td data-of="${of}">${escapeMarkup(text)}</td>`);
    const isLit = lit.has(row);
    return `<tr${isLit ? ' class="lit" aria-current="true"' : ""} data-row="${escapeMarkup(row)}"><th scope="row">${escapeMarkup(row)}</th>${cells.join("")}</tr>`;
  });
  return `<table class="rules" aria-label="${escapeMarkup(label)}"><thead><tr><th scope="col">row</th><th scope="col">if</th><th scope="col">next attempt</th><th scope="col">spends</th><th scope="col">learned</th></tr></thead><tbody>${body.join("")}</tbody></table>`;
}
