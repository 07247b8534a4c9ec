import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import { drawCondition, listOf, type Picture } from "./draw-condition.ts";
import { columnsOf, cut, wrapped } from "./draw-text.ts";
import { type Condition, countOf, isHalfKnown, isReplica, listed, suspectedBy } from "./study/condition.ts";
import type { ServerState, StudyRange } from "./study/events.ts";
import { shardOf } from "./study/node-names.ts";
import type { Paint } from "./terminal.ts";

const NOBODY = "nobody";
const LEAST_BAR = 24;
const INDENT = 2;
/** The columns of the number of slots, including the spaces around it. */
const COUNT = 8;
/** Beside a shorter text than this, a node's state is put in a line of its own. */
const LEAST_STATE = 16;

/**
 * A cluster as lines of at most `width` columns. Each primary is shown with its number of slots, a bar that shows where
 * these slots are, its ranges, and its replicas; each node with its zone, if it has one. What is wrong comes below, and is wrapped, never cut.
 */
export function drawTopology({ states, condition, advice }: Picture, width: number, paint: Paint): string[] {
  const spansOf = (name: string) => condition.ranges.filter(({ owner }) => owner === name);
  const nameWidth = Math.max(...states.map(({ name }) => name.length));
  const labelOf = ({ name, address, zone }: ServerState) =>
    [name.padEnd(nameWidth), address || "no address", zone ?? []].flat().join("  ");
  const longest = Math.max(NOBODY.length, ...states.map((state) => columnsOf(labelOf(state))));
  // Beside long names there is no room for bars, so the bars go below the names.
  const isStacked = width - longest - COUNT - 2 < LEAST_BAR;
  const left = isStacked ? INDENT : longest + COUNT;
  const margin = " ".repeat(left);
  const bar = width - left - 2;
  const row = (label: string, spans: readonly StudyRange[], style: (text: string) => string) => {
    const count = String(countOf(spans));
    const head = `${pad(label, longest)}${count.padStart(COUNT - 2)}  `;
    const drawn = `│${style(barOf(spans, bar))}│`;
    const ranges = margin + paint.faint(listOf(spans, width - left));
    // Where the number has no room behind the name, it stands below it.
    const heads = columnsOf(head.trimEnd()) <= width ? [head] : [...wrapped(label, width), `${margin}${count} slots`];
    return [...(isStacked ? [...heads.map(style), margin + drawn] : [style(head) + drawn]), ranges];
  };
  const replicaRow = (state: ServerState) => {
    const head = pad(labelOf(state), longest + (isStacked ? INDENT : COUNT));
    const health = state.health === "fail" ? [] : [paint.faint(state.health)];
    const first = `replica, ${health.join("")}`;
    const troubles = troublesOf(state, states);
    const text = troubles.length === 0 ? first : `replica, ${troubles.join(", ")}`;
    const style = troubles.length === 0 ? (line: string) => line : paint.alarm;
    const labels = wrapped(labelOf(state), width).map(colour(state, paint));
    const label = colour(state, paint)(head);
    if (width - columnsOf(head) >= LEAST_STATE) {
      const [line = "", ...more] = wrapped(text, width - columnsOf(head));
      return [label + style(line), ...more.map((each) => " ".repeat(columnsOf(head)) + style(each))];
    }
    return [...labels, ...wrapped(text, width, " ".repeat(INDENT)).map(style)];
  };
  const replicasOf = (name: string) => states.filter((state) => isReplica(state) && state.primary === name);
  const names = new Set(states.map(({ name }) => name));
  const primaries = primariesIn(states, condition);
  return [
    ...headlines(states, primaries, condition, width, paint),
    "",
    `${(isStacked ? "" : "slots".padStart(left - 2)).padEnd(left)} 0${String(SLOT_COUNT - 1).padStart(bar - 1)}`,
    ...primaries.flatMap((state) => [
      ...row(labelOf(state), spansOf(state.name), (text) => paint.strong(colour(state, paint)(text))),
      ...troublesOf(state, states).flatMap((text) => wrapped(text, width, margin).map(paint.alarm)),
      ...replicasOf(state.name).flatMap(replicaRow),
    ]),
    ...(condition.unowned.length > 0 ? row(NOBODY, condition.unowned, paint.alarm) : []),
    ...states.filter((state) => isReplica(state) && !names.has(state.primary ?? "")).flatMap(replicaRow),
    ...drawCondition({ states, condition, advice }, width, paint),
  ].map((line) => cut(line.trimEnd(), width));
}

/** The colour of a node's name. A replica has that of the primary it was named after, and keeps it when it is promoted. */
function colour({ name }: ServerState, paint: Paint): (text: string) => string {
  return (text) => paint.hue(shardOf(name), text);
}

/** The primaries in the order of their first slots. Primaries without slots come last. */
function primariesIn(states: readonly ServerState[], { ranges }: Condition): ServerState[] {
  const firstOf = ({ name }: ServerState) => ranges.find(({ owner }) => owner === name)?.start ?? SLOT_COUNT;
  return states.filter((state) => !isReplica(state)).sort((one, other) => firstOf(one) - firstOf(other));
}

/** What a node's row tells besides slots: what others and it itself say of its health. */
export function troublesOf(state: ServerState, states: readonly ServerState[]): string[] {
  const { name, role, error, meeting } = state;
  const { fail, suspect } = suspectedBy(name, states);
  return [
    ...(fail.length > 0 ? [`FAIL by ${listed(fail)}`] : []),
    ...(suspect.length > 0 ? [`PFAIL by ${listed(suspect)}`] : []),
    ...(error === null ? [] : [role === null ? `not reachable from here: ${error}` : error]),
    ...(state.state === "fail" ? ["its own cluster_state is fail"] : []),
    ...(meeting.length > 0 ? [`still in a handshake with ${listed(meeting)}`] : []),
  ];
}

function headlines(
  states: readonly ServerState[],
  primaries: readonly ServerState[],
  { unserved, disagreements, open, unknown }: Condition,
  width: number,
  paint: Paint,
): string[] {
  const [first] = states;
  if (first?.id === "") {
    return wrapped(`${first.address} is a single server without cluster mode: it owns every slot`, width);
  }
  const count = (nodes: readonly ServerState[], one: string, many: string) => {
    const failed = nodes.filter(({ health }) => health === "fail").length;
    return `${nodes.length} ${nodes.length === 1 ? one : many}${failed > 0 ? ` (${failed} failed)` : ""}`;
  };
  const lost = countOf(unserved);
  const served = lost === 0 ? "every slot is served" : `${lost} of ${SLOT_COUNT} slots are not served`;
  const shape = `${count(primaries, "primary", "primaries")}, ${count(states.filter(isReplica), "replica", "replicas")}`;
  const answered = states.filter(({ role }) => role !== null).length;
  const who =
    answered === states.length ? (answered === 1 ? "it" : `all ${answered}`) : `${answered} of ${states.length}`;
  const isAgreed = disagreements.length + unknown.length === 0 && !open.some(isHalfKnown);
  const views = answered < 2 ? "" : isAgreed ? ", and they agree" : ", and they disagree";
  return [
    ...wrapped(`${shape}; ${served}`, width).map(lost > 0 ? paint.alarm : paint.strong),
    ...wrapped(`Each node was asked for its own view: ${who} answered${views}.`, width).map(
      isAgreed && answered === states.length ? paint.faint : paint.alarm,
    ),
  ];
}

/**
 * A bar of `cells` columns that stands for all slots. A column is full if all of its slots are in `spans`, and never
 * empty if one of them is.
 */
export function barOf(spans: readonly StudyRange[], cells: number): string {
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

const pad = (text: string, columns: number) => text + " ".repeat(Math.max(0, columns - columnsOf(text)));
