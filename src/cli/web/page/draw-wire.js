// @ts-check
import { escapeMarkup } from "./escape.js";

/** @import { Frame } from "../../study/call-story.ts" */

/** Of a command or a reply so many bytes are shown. */
const MOST_BYTES = 2048;

/**
 * What was written or answered, as a block of text: one line for each command or reply.
 *
 * @param {readonly Frame[]} frames
 * @param {"sent" | "received"} direction
 * @param {string} node  The other side, as text.
 * @param {number} [most]  The bytes of each that are shown.
 * @returns {string} Empty if there are no bytes.
 */
export function drawWire(frames, direction, node, most = MOST_BYTES) {
  if (frames.length === 0) return "";
  const total = frames.reduce((sum, { length }) => sum + length, 0);
  const title = `${direction === "sent" ? "→" : "←"} ${node}, ${total} bytes`;
  const label = direction === "sent" ? `Written to ${node}` : `Answered by ${node}`;
  const lines = frames.map(({ text }) => {
    const shown = text.slice(0, most);
    const parts = shown.split(/(?<=\r\n)/).filter((part) => part !== "");
    const left = text.length - shown.length;
    return parts.map(lineOf).join("<wbr>") + (left > 0 ? `<span class="hid">... ${left} more bytes</span>` : "");
  });
  return `<pre class="wire" role="group" aria-label="${escapeMarkup(label)}"><span class="dir">${escapeMarkup(title)}</span>\n${lines.join("\n")}</pre>`;
}

/** @param {string} part */
function lineOf(part) {
  const text = escapeMarkup(visible(part));
  if (part.startsWith("-")) return `<span class="err">${text}</span>`;
  return /<\d+ bytes?>/.test(part) ? `<span class="hid">${text}</span>` : text;
}

/**
 * Bytes as text: a line's end is `\r\n`.
 *
 * @param {string} text  One character a byte.
 */
export function visible(text) {
  return text.replace(/[^\x20-\x7e]/g, (byte) => {
    if (byte === "\r") return "\\r";
    if (byte === "\n") return "\\n";
    return `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
