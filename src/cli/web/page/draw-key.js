// @ts-check
import { chip } from "./draw-cluster.js";
import { escapeMarkup as html } from "./escape.js";

/**
 * @import { ServerState } from "../../study/events.ts"
 * @import { SlotView } from "./draw-slots.js"
 * @import { slotOfKey } from "./slots.js"
 */

/**
 * How a key leads to a slot, and the slot to a node. The part of the key that is hashed is underlined.
 *
 * @param {ReturnType<typeof slotOfKey>} found
 * @param {readonly ServerState[]} nodes
 * @param {SlotView} view
 * @param {string | null} believed  The name of the node that the client takes for the owner; null if it knows none.
 */
export function drawKey({ key, start, end, isTagged, crc, slot }, nodes, { owners, open }, believed) {
  const hashed = key.slice(start, end);
  const marked = `${html(key.slice(0, start))}<u>${html(hashed)}</u>${html(key.slice(end))}`;
  const owner = owners[slot] ?? null;
  const half = open.find((each) => each.slot === slot);
  const where =
    nodes.length === 0
      ? ""
      : half !== undefined
        ? `, half-way from ${chip(half.from)} to ${chip(half.to)}`
        : owner === null
          ? ', <b class="bad">served by nobody</b>'
          : `, served by ${chip(owner)}`;
  const belief = believed === null || believed === owner ? "" : `; the client still asks ${chip(believed)}`;
  const tag = isTagged ? ", by its hash tag" : "";
  return `<span class="mono">${marked}</span>: CRC16 ${crc}, modulo 16,384 = slot <b>${slot}</b>${tag}${where}${belief}`;
}
