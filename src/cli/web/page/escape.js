// @ts-check

/** Characters that a browser does not show, or that change the order in which a line is read. */
const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** @param {string} character */
function visible(character) {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/**
 * The text as HTML or SVG, in an element or an attribute. Hidden characters are shown.
 *
 * @param {unknown} text
 * @returns {string}
 */
export function escapeMarkup(text) {
  const shown = String(text).replace(HIDDEN, visible);
  return shown.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export { escapeMarkup as escape };
