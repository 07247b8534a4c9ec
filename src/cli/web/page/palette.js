// @ts-check

/** How many hues there are: `--n0` to `--n7` in style.css. People with colour blindness can tell them apart. */
export const HUES = 8;
/** How many textures a hue can have in the slot map before hues repeat without a difference. */
export const TEXTURES = 4;

/**
 * The number of a node's shard: A is 0, B is 1, Z is 25, AA is 26. A replica has the number of the primary it was named
 * after, and keeps it when it is promoted, because it serves the same slots.
 *
 * @param {string} name
 */
export function shardOf(name) {
  let number = 0;
  for (const letter of /^[A-Z]+/.exec(name)?.[0] ?? "A") number = number * 26 + letter.charCodeAt(0) - 64;
  return number - 1;
}

/** @param {string} name */
export const hueOf = (name) => shardOf(name) % HUES;
/** @param {string} name */
export const textureOf = (name) => Math.floor(shardOf(name) / HUES) % TEXTURES;

/**
 * The classes that give an element the hue and the texture of a node.
 *
 * @param {string} name
 */
export const nodeClass = (name) => `n${hueOf(name)} x${textureOf(name)}`;
