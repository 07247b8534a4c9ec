// @ts-check

/** @param {number} count */
export const grouped = (count) => String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ",");

/**
 * @param {number} count
 * @param {string} noun
 * @param {string} [many]
 */
export const counted = (count, noun, many = `${noun}s`) => `${grouped(count)} ${count === 1 ? noun : many}`;

/**
 * The time of an event since the record began: `12.418 s`, or `2:04.120` from a minute on.
 *
 * @param {number} ms
 */
export function clock(ms) {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(3)} s`;
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(3).padStart(6, "0")}`;
}

/**
 * The length of a time: `0.42 ms`, `18 ms`, `1.2 s`.
 *
 * @param {number} ms
 */
export function span(ms) {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/**
 * `A`, `A and B`, `A, B and C`; past `most` it says how many more there are.
 *
 * @param {readonly string[]} items
 * @param {number} [most]
 */
export function listed(items, most = 6) {
  const shown = items.length > most ? [...items.slice(0, most), `${items.length - most} more`] : items;
  if (shown.length < 2) return shown.join("");
  return `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

/**
 * An address without its host if the host is this machine: `:7000`.
 *
 * @param {string} address
 */
export const short = (address) => address.replace(/^(127\.0\.0\.1|localhost)(?=:)/, "");
