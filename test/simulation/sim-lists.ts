import type { SimNode } from "./sim-node.ts";

/*
 * Lists are kept as texts of words, so that whatever copies or moves keys does it with them as well. A list without
 * elements is no key.
 */

/** The elements of a list, the first one first. */
export function elementsOf(node: SimNode, key: string): string[] {
  return node.data.get(key)?.split(" ") ?? [];
}

/** Returns the length, as RPUSH does. */
export function push(node: SimNode, key: string, elements: readonly string[]): number {
  const all = [...elementsOf(node, key), ...elements];
  node.set(key, all.join(" "), "rpush");
  node.hasPushed = true;
  return all.length;
}

/** Takes the first element of the first list that has one: its key and the element. */
export function pop(node: SimNode, keys: readonly string[]): [key: string, element: string] | undefined {
  for (const key of keys) {
    const [first, ...others] = elementsOf(node, key);
    if (first === undefined) continue;
    node.set(key, others.length === 0 ? null : others.join(" "), "lpop");
    if (others.length === 0) node.set(key, null, "del");
    return [key, first];
  }
  return undefined;
}

/** One step of SCAN. Each process has its keys in an order of its own, so a cursor of one means nothing to another. */
export function scanStep({ data, runId }: SimNode, cursor: number, count: number): [cursor: number, keys: string[]] {
  const placed = [...data.keys()].map((key) => ({ key, place: placeOf(`${runId}${key}`) }));
  const left = placed.filter(({ place }) => place >= cursor).sort((a, b) => a.place - b.place);
  // Keys of one place come together.
  const end = left.findIndex(({ place }, index) => index >= count && place !== left[index - 1]?.place);
  const page = end === -1 ? left : left.slice(0, end);
  return [end === -1 ? 0 : (left[end]?.place as number), page.map(({ key }) => key)];
}

/** 1 to 2^32: FNV-1a. */
function placeOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash + 1;
}
