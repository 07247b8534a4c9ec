// @ts-check

/**
 * The element with this id, which index.html has.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function element(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no element ${id}`);
  return found;
}

/** @type {WeakMap<Element, string>} */
const shown = new WeakMap();

/**
 * Shows HTML in an element if it is not there already. What had the focus has it afterwards: it is found by `data-key`.
 *
 * @param {HTMLElement} at
 * @param {string} html
 * @returns {boolean} Whether anything changed.
 */
export function show(at, html) {
  if (shown.get(at) === html) return false;
  shown.set(at, html);
  const focused = at.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
  const key = focused?.dataset.key;
  const scroll = at.scrollTop;
  at.innerHTML = html;
  at.scrollTop = scroll;
  if (key !== undefined) {
    const again = /** @type {HTMLElement | null} */ (at.querySelector(`[data-key="${CSS.escape(key)}"]`));
    again?.focus({ preventScroll: true });
  }
  return true;
}

/**
 * @param {HTMLElement} at
 * @param {string} text
 */
export function say(at, text) {
  if (at.textContent !== text) at.textContent = text;
}

export const prefersStillness = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
