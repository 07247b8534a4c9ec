// @ts-check
import { hueOf, textureOf } from "./palette.js";
import { SLOTS } from "./slots.js";

/**
 * @import { ServerState } from "../../study/events.ts"
 * @typedef {readonly [number, number, number]} Rgb
 * @typedef {{ slot: number, from: string, to: string, keysFrom: number | null, keysTo: number | null }} OpenSlot
 *   A slot that is half-way from one node to another, by names.
 * @typedef {{ owners: (string | null)[], keys: Uint32Array | null, open: OpenSlot[] }} SlotView
 *   For each slot, the name of its owner by the owner's own word, and the number of its keys; null if nobody was asked.
 */

/** Slots of one row of the map. Slot 0 is at the top left. */
export const ACROSS = 128;

/** How strong the hue of an empty slot is, of one key, and of the slot with the most keys. */
const EMPTY = 0.34;
const ONE_KEY = 0.66;

/**
 * Whether a server did not answer. One that answers may still have refused to tell something: then it has an `error` too.
 *
 * @param {ServerState} node
 */
export const isSilent = (node) => node.role === null;

/**
 * Who owns which slot by the servers' own words. When two nodes claim a slot, the one with the later epoch has it.
 *
 * @param {readonly ServerState[]} nodes
 * @returns {SlotView}
 */
export function slotView(nodes) {
  /** @type {(string | null)[]} */
  const owners = new Array(SLOTS).fill(null);
  /** @type {Map<string, OpenSlot>} */
  const open = new Map();
  let keys = null;
  const primaries = nodes.filter(({ role }) => role === "primary");
  for (const node of primaries.toSorted((a, b) => (a.configEpoch ?? 0) - (b.configEpoch ?? 0))) {
    for (const { start, end } of node.slots) owners.fill(node.name, start, end + 1);
  }
  for (const node of primaries) {
    for (const [slot, count] of Object.entries(node.keysBySlot ?? {})) {
      keys ??= new Uint32Array(SLOTS);
      keys[Number(slot)] = (keys[Number(slot)] ?? 0) + count;
    }
    if (node.keysBySlot !== undefined) keys ??= new Uint32Array(SLOTS);
    for (const { slot, kind, peer } of node.open) {
      const [from, to] = kind === "migrating" ? [node.name, peer] : [peer, node.name];
      const name = `${slot} ${from} ${to}`;
      if (!open.has(name)) {
        const keysAt = (/** @type {string} */ at) => {
          const state = nodes.find((each) => each.name === at);
          return state?.keysBySlot === undefined ? null : (state.keysBySlot[slot] ?? 0);
        };
        open.set(name, { slot, from, to, keysFrom: keysAt(from), keysTo: keysAt(to) });
      }
    }
  }
  return { owners, keys, open: [...open.values()].sort((a, b) => a.slot - b.slot) };
}

/**
 * The map as pixels, one for each slot: RGBA, 128 x 128.
 *
 * @param {SlotView} view
 * @param {{ hues: readonly Rgb[], paper: Rgb, none: Rgb }} colours
 */
export function slotPixels({ owners, keys }, { hues, paper, none }) {
  const pixels = new Uint8ClampedArray(SLOTS * 4);
  const most = Math.log2(1 + Math.max(1, keys?.reduce((a, b) => Math.max(a, b), 0) ?? 1));
  for (let slot = 0; slot < SLOTS; slot++) {
    const owner = owners[slot] ?? null;
    const count = keys === null ? 0 : (keys[slot] ?? 0);
    let strength = count === 0 ? EMPTY : ONE_KEY + (1 - ONE_KEY) * ((Math.log2(1 + count) - 1) / Math.max(1, most - 1));
    if (owner !== null && isThread(slot, textureOf(owner))) strength *= 0.55;
    const hue = owner === null ? none : (hues[hueOf(owner)] ?? none);
    for (let part = 0; part < 3; part++) {
      const from = paper[part] ?? 0;
      pixels[slot * 4 + part] = from + ((hue[part] ?? 0) - from) * (owner === null ? 1 : Math.min(1, strength));
    }
    pixels[slot * 4 + 3] = 255;
  }
  return pixels;
}

/**
 * Whether a slot is one of the paler ones of its owner's texture: none, stripes, lines, or a grid.
 *
 * @param {number} slot
 * @param {number} texture
 */
function isThread(slot, texture) {
  const x = slot % ACROSS;
  const y = Math.floor(slot / ACROSS);
  if (texture === 1) return (x + y) % 4 === 0;
  if (texture === 2) return y % 3 === 0;
  return texture === 3 && (x % 4 === 0 || y % 4 === 0);
}

/**
 * What is drawn over the pixels, in slots from the top left: names of owners in their largest range, half-moved slots as
 * discs in two hues, and the ring around the slot of the key.
 *
 * @param {SlotView} view
 * @param {number | null} ringed
 */
export function slotMarks({ owners, open }, ringed) {
  const centre = (/** @type {number} */ slot) => ({ x: (slot % ACROSS) + 0.5, y: Math.floor(slot / ACROSS) + 0.5 });
  /** @type {Map<string, { start: number, end: number }>} */
  const largest = new Map();
  for (let start = 0; start < SLOTS; ) {
    const owner = owners[start] ?? null;
    let end = start;
    while (end + 1 < SLOTS && owners[end + 1] === owner) end++;
    if (owner !== null) {
      const best = largest.get(owner);
      if (best === undefined || end - start > best.end - best.start) largest.set(owner, { start, end });
    }
    start = end + 1;
  }
  const names = [...largest]
    .filter(([, { start, end }]) => end - start >= ACROSS * 8)
    .map(([name, { start, end }]) => ({ name, hue: hueOf(name), x: 3.5, y: (start + end) / 2 / ACROSS }));
  return {
    names,
    open: open.map(({ slot, from, to }) => ({ slot, from: hueOf(from), to: hueOf(to), ...centre(slot) })),
    ring: ringed === null ? null : { slot: ringed, ...centre(ringed) },
  };
}

/**
 * What is to be read about one slot, for the pointer and for the cursor keys.
 *
 * @param {SlotView} view
 * @param {number} slot
 */
export function slotText({ owners, keys, open }, slot) {
  const owner = owners[slot];
  const moving = open.find((each) => each.slot === slot);
  const count = keys === null ? "" : `, ${keys[slot] === 1 ? "1 key" : `${keys[slot]} keys`}`;
  if (moving !== undefined) return `slot ${slot}: half-way from ${moving.from} to ${moving.to}${count}`;
  return `slot ${slot}: ${owner ?? "no owner"}${count}`;
}
