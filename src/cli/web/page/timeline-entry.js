// @ts-check

/**
 * @import { LiveRecord } from "./record.js"
 * @typedef {{ at: number, seq: number, text: string, call: number | null }} Line
 * @typedef {{ id: number, kind: "call" | "calls" | "you" | "servers" | "client" | "failover", at: number, seq: number, who: string,
 *   text: string, call: number | null, tone: "" | "good" | "bad" | "warn", below: Line[], more: number }} Entry
 *   One thing that happened. `seq`: the event after which it was so. `call`: the call that can be replayed. `below`: what
 *   belongs to it, oldest first; `more` further lines are not kept. Names of nodes stand in brackets: `[A1]`.
 */

const MOST_LINES = 40;

/**
 * @param {Entry} entry
 * @param {{ at: number, seq: number }} event
 * @param {string} text
 * @param {number | null} [call]
 */
export function addLine(entry, { at, seq }, text, call = null) {
  const line = { at, seq, text, call };
  if (entry.below.length < MOST_LINES) entry.below.push(line);
  else entry.more++;
  return line;
}

/**
 * The node's name in brackets, or its address.
 *
 * @param {LiveRecord} record
 * @param {string | null} address
 */
export function nodeAt({ names }, address) {
  if (address === null) return "no node";
  const name = names.get(address);
  return name === undefined ? address : `[${name}]`;
}
