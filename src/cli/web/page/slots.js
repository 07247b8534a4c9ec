// @ts-check

/** The number of hash slots of a cluster. */
export const SLOTS = 16384;

const POLYNOMIAL = 0x1021;

/**
 * The CRC16 that clusters use (XMODEM), computed bit by bit.
 *
 * @param {Uint8Array} bytes
 */
export function crc16(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? POLYNOMIAL : 0)) & 0xffff;
  }
  return crc;
}

/**
 * How a key leads to its slot. `start` and `end` are the part of the key that is hashed: the hash tag, or the whole key.
 *
 * @param {string} key
 * @returns {{ key: string, start: number, end: number, isTagged: boolean, crc: number, slot: number }}
 */
export function slotOfKey(key) {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const isTagged = close > open + 1;
  const [start, end] = isTagged ? [open + 1, close] : [0, key.length];
  const crc = crc16(new TextEncoder().encode(key.slice(start, end)));
  return { key, start, end, isTagged, crc, slot: crc % SLOTS };
}

/**
 * Ranges as text: `0-5460, 11113`. Past `most` ranges it says how many more there are.
 *
 * @param {readonly { start: number, end: number }[]} ranges
 * @param {number} [most]
 */
export function rangesText(ranges, most = Number.POSITIVE_INFINITY) {
  if (ranges.length === 0) return "no slots";
  const texts = ranges.slice(0, most).map(({ start, end }) => (start === end ? `${start}` : `${start}-${end}`));
  const more = ranges.length - texts.length;
  return texts.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** @param {readonly { start: number, end: number }[]} ranges */
export const sizeOf = (ranges) => ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0);
