// @ts-check

/**
 * @import { StudyEventOf, StudyScript } from "../../study/events.ts"
 */

/**
 * @typedef {object} ScriptFacts
 * @property {string} name
 * @property {"held" | "loading" | "missing" | "failed"} state  As the client believes.
 * @property {number | null} load  The number of the load, while it is under way.
 */

/** @typedef {StudyEventOf<"load">} LoadFacts  A load under way. */
/** @typedef {Readonly<Record<string, Readonly<Record<string, ScriptFacts>>>>} Scripts  By address and SHA-1. */

/**
 * What is believed of scripts, and which loads are under way, after an event.
 *
 * @param {{ scripts: Scripts, loads: Readonly<Record<number, LoadFacts>> }} facts
 * @param {StudyEventOf<"load" | "loaded" | "audited">} event
 */
export function afterScriptEvent({ scripts, loads }, event) {
  if (event.type === "load") {
    const { address, load, script } = event;
    return { scripts: believe(scripts, address, [script], "loading", load), loads: { ...loads, [load]: event } };
  }
  if (event.type === "audited") {
    const held = believe(scripts, event.address, event.held, "held");
    return { scripts: believe(held, event.address, event.missing, "missing"), loads };
  }
  const { address, load, script, error } = event;
  const { [load]: _, ...still } = loads;
  const now = scripts[address]?.[script.sha];
  // A newer load, or the node's own word, may have taken over: then that counts.
  if (now !== undefined && now.load !== load) return { scripts, loads: still };
  const state = error === null ? "held" : error === "LOST" ? "missing" : "failed";
  return { scripts: believe(scripts, address, [script], state), loads: still };
}

/**
 * @param {Scripts} scripts
 * @param {string} address
 * @param {readonly StudyScript[]} which
 * @param {ScriptFacts["state"]} state
 * @param {number | null} [load]
 * @returns {Scripts}
 */
function believe(scripts, address, which, state, load = null) {
  if (which.length === 0) return scripts;
  const there = Object.fromEntries(which.map(({ name, sha }) => [sha, { name, state, load }]));
  return { ...scripts, [address]: { ...scripts[address], ...there } };
}

/**
 * Nodes are gone, or others are at their addresses: nothing is known of the scripts there.
 *
 * @param {Scripts} scripts
 * @param {readonly string[]} gone
 * @returns {Scripts}
 */
export function forgetNodes(scripts, gone) {
  if (gone.length === 0) return scripts;
  return Object.fromEntries(Object.entries(scripts).filter(([address]) => !gone.includes(address)));
}
