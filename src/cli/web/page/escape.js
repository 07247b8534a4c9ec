// @ts-check

/**
 * The text as HTML or SVG, in an element or an attribute.
 *
 * @param {unknown} text
 * @returns {string}
 */
export function escapeMarkup(text) {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export { escapeMarkup as escape };
