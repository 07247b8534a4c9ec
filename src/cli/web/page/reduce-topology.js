// @ts-check

/**
 * @import { StudyEventOf, StudyNode } from "../../study/events.ts"
 */

/** @typedef {{ start: number, end: number, address: string }} OwnedRange  Both ends included. */

/**
 * @typedef {object} TopologyFacts
 * @property {readonly StudyNode[]} nodes
 * @property {readonly OwnedRange[]} ranges  In ascending order, each as long as possible. Slots of nobody are in none.
 */

/** @type {TopologyFacts} */
export const NO_TOPOLOGY = { nodes: [], ranges: [] };

const SLOTS = 16384;

/**
 * What the client believes of nodes and slots after a change, and the addresses where nothing is left of a node of before.
 *
 * @param {TopologyFacts} before
 * @param {StudyEventOf<"topology">} event
 * @returns {{ topology: TopologyFacts, gone: readonly string[] }}
 */
export function afterTopology(before, event) {
  const { nodes, removed, moved } = event;
  const now = new Map(nodes.map((node) => [node.address, node]));
  const replaced = before.nodes.filter(({ address, id }) => {
    const node = now.get(address);
    // A view without ids tells nothing else of the node.
    return node !== undefined && node.id !== id && node.id !== "" && id !== "";
  });
  const ranges = moved.length === 0 ? before.ranges : rangesAfter(before.ranges, moved);
  const gone = [...removed, ...event.added, ...replaced.map(({ address }) => address)];
  return { topology: { nodes, ranges }, gone };
}

/**
 * @param {readonly OwnedRange[]} before
 * @param {StudyEventOf<"topology">["moved"]} moved
 * @returns {OwnedRange[]}
 */
function rangesAfter(before, moved) {
  /** @type {(string | null)[]} */
  const owners = new Array(SLOTS).fill(null);
  for (const { start, end, address } of before) owners.fill(address, start, end + 1);
  for (const { start, end, to } of moved) owners.fill(to, start, end + 1);
  /** @type {OwnedRange[]} */
  const ranges = [];
  for (let start = 0; start < SLOTS; ) {
    const address = owners[start] ?? null;
    let end = start;
    while (end + 1 < SLOTS && (owners[end + 1] ?? null) === address) end++;
    if (address !== null) ranges.push({ start, end, address });
    start = end + 1;
  }
  return ranges;
}

/**
 * The address of the node that owns a slot, as the client believes; undefined where it knows none.
 *
 * @param {TopologyFacts} topology
 * @param {number} slot
 * @returns {string | undefined}
 */
export function ownerOf({ ranges }, slot) {
  return ranges.find(({ start, end }) => start <= slot && slot <= end)?.address;
}
