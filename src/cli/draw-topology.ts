import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import { cut } from "./draw-text.ts";
import type { Paint } from "./terminal.ts";

/** A range of slots; `start` and `end` belong to the range. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const NOBODY = "nobody";
const LEAST_BAR = 24;
const INDENT = 2;
/** The columns of the number of slots, including the spaces around it. */
const COUNT = 8;

/** The ranges of slots without an owner. */
export function unownedOf({ ranges }: Topology): Span[] {
  const gaps: Span[] = [];
  let next = 0;
  for (const { start, end } of ranges) {
    if (start > next) gaps.push({ start: next, end: start - 1 });
    next = end + 1;
  }
  if (next < SLOT_COUNT) gaps.push({ start: next, end: SLOT_COUNT - 1 });
  return gaps;
}

/** The ranges of slots that a node owns. */
export function spansOf({ ranges }: Topology, node: TopologyNode): Span[] {
  return ranges.filter(({ primary }) => primary === node).map(({ start, end }) => ({ start, end }));
}

export function countOf(spans: readonly Span[]): number {
  return spans.reduce((sum, { start, end }) => sum + end - start + 1, 0);
}

/** The primaries in the order of their first slots. Primaries without slots come last. */
function primariesOf(topology: Topology): TopologyNode[] {
  const firstOf = (node: TopologyNode) => spansOf(topology, node)[0]?.start ?? SLOT_COUNT;
  const primaries = topology.nodes.filter(({ role }) => role === "primary");
  return primaries.sort((one, other) => firstOf(one) - firstOf(other));
}

/**
 * A topology as lines of at most `width` columns. Each primary is shown with its number of slots, a bar that shows
 * where these slots are, its ranges, and its replicas.
 * @param cause  Gives the reason why a node cannot be reached from here; undefined for a node that can be reached.
 */
export function drawTopology(
  topology: Topology,
  width: number,
  paint: Paint,
  cause: (node: TopologyNode) => string | undefined,
): string[] {
  const primaries = primariesOf(topology);
  const unowned = unownedOf(topology);
  const longest = Math.max(NOBODY.length, ...topology.nodes.map(({ address }) => address.length + INDENT));
  // Beside long names there is no room for bars, so the bars go below the names.
  const isStacked = width - longest - COUNT - 2 < LEAST_BAR;
  const left = isStacked ? INDENT : longest + COUNT;
  const margin = " ".repeat(left);
  const bar = width - left - 2;
  const row = (name: string, spans: readonly Span[], style: (text: string) => string) => {
    const head = `${name.padEnd(longest)}${String(countOf(spans)).padStart(COUNT - 2)}  `;
    const drawn = `│${barOf(spans, bar)}│`;
    const ranges = margin + paint.faint(listOf(spans, width - left));
    return [...(isStacked ? [style(head), margin + style(drawn)] : [style(head + drawn)]), ranges];
  };
  const stateOf = (node: TopologyNode) => {
    const why = cause(node);
    const health = node.health === "online" ? [] : [node.health];
    return [...health, ...(why === undefined ? [] : [`not reachable from here: ${why}`])].map(paint.alarm).join(", ");
  };
  const replica = (indent: number, node: TopologyNode) => {
    const name = (" ".repeat(indent) + node.address).padEnd(longest + COUNT);
    return `${name}replica, ${stateOf(node) || paint.faint("online")}`;
  };
  const lines = [headline(topology, primaries, unowned, paint), ""];
  lines.push(
    `${(isStacked ? "" : "slots".padStart(left - 2)).padEnd(left)} 0${String(SLOT_COUNT - 1).padStart(bar - 1)}`,
  );
  for (const primary of primaries) {
    lines.push(...row(primary.address, spansOf(topology, primary), paint.strong));
    const state = stateOf(primary);
    if (state !== "") lines.push(margin + state);
    for (const node of topology.nodes) if (node.primary === primary.address) lines.push(replica(INDENT, node));
  }
  if (unowned.length > 0) lines.push(...row(NOBODY, unowned, paint.alarm));
  const addresses = new Set(primaries.map(({ address }) => address));
  for (const node of topology.nodes) {
    if (node.role === "replica" && !addresses.has(node.primary ?? "")) lines.push(replica(0, node));
  }
  return lines.map((line) => cut(line.trimEnd(), width));
}

function headline(
  { nodes }: Topology,
  primaries: readonly TopologyNode[],
  unowned: readonly Span[],
  paint: Paint,
): string {
  const [first] = nodes;
  if (first?.id === "") return `${first.address} is a single server without cluster mode: it owns every slot`;
  const replicas = nodes.length - primaries.length;
  const owned =
    unowned.length === 0 ? "every slot has an owner" : paint.alarm(`${countOf(unowned)} slots have no owner`);
  const count = (number: number, one: string, many: string) => `${number} ${number === 1 ? one : many}`;
  return `${count(primaries.length, "primary", "primaries")}, ${count(replicas, "replica", "replicas")}; ${owned}`;
}

/**
 * A bar of `cells` columns that stands for all slots. A column is full if all of its slots are in `spans`, and never
 * empty if one of them is.
 */
export function barOf(spans: readonly Span[], cells: number): string {
  return Array.from({ length: cells }, (_, cell) => {
    const from = (cell * SLOT_COUNT) / cells;
    const to = ((cell + 1) * SLOT_COUNT) / cells;
    const covered = spans.reduce((sum, { start, end }) => {
      return sum + Math.max(0, Math.min(to, end + 1) - Math.max(from, start));
    }, 0);
    const share = covered / (to - from);
    if (share > 1 - 1e-6) return "█";
    return share >= 0.5 ? "▓" : share > 0 ? "░" : " ";
  }).join("");
}

/** The spans as text, such as `0-5460, 12182`, cut to what fits. */
function listOf(spans: readonly Span[], width: number): string {
  if (spans.length === 0) return "no slots";
  const texts = spans.map(({ start, end }) => (start === end ? String(start) : `${start}-${end}`));
  for (let shown = texts.length; shown > 0; shown--) {
    const more = texts.length - shown;
    const text = `${texts.slice(0, shown).join(", ")}${more === 0 ? "" : ` and ${more} more`}`;
    if (text.length <= width) return text;
  }
  return `${texts.length} ranges`;
}
