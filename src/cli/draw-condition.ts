import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import { wrapped } from "./draw-text.ts";
import {
  type Condition,
  countOf,
  type Disagreement,
  isHalfKnown,
  isReplica,
  listed,
  type OpenSlot,
  suspectedBy,
  type Unserved,
} from "./study/condition.ts";
import type { ServerState, StudyRange } from "./study/events.ts";
import type { Paint } from "./terminal.ts";

/** The most lines of one kind: a cluster that is broken in a thousand ways is broken. */
const MOST = 12;

/** What is drawn. */
export interface Picture {
  readonly states: readonly ServerState[];
  readonly condition: Condition;
  /** How an open slot can be closed that only one end knows of. */
  readonly advice: string;
}

/** What is to be said below the map, as sections of wrapped lines: none for a cluster in which all is well. */
export function drawCondition({ states, condition, advice }: Picture, width: number, paint: Paint): string[] {
  const section = (title: string, items: readonly (readonly [head: string, text: string])[], after: string[] = []) => {
    if (items.length === 0) return [];
    const column = Math.min(Math.max(...items.map(([head]) => head.length)), Math.floor(width / 3));
    const lines = items.slice(0, MOST).flatMap(([head, text]) => {
      if (head.length > column) return [`  ${head}`, ...wrapped(text, width, " ".repeat(column + 4))];
      return wrapped(text, width, `  ${head.padEnd(column)}  `);
    });
    const rest = items.length > MOST ? [`  and ${items.length - MOST} more`] : [];
    return ["", title, ...lines, ...rest, ...after.flatMap((text) => wrapped(text, width, "  "))];
  };
  const { unserved, open, disagreements, unknown } = condition;
  const isMendable = open.some(isHalfKnown);
  return [
    ...section(paint.alarm("Not served"), reasonsOf(unserved, states)),
    ...section(
      isMendable ? paint.alarm("Open slots") : paint.strong("Open slots"),
      open.map((each) => [String(each.slot), openText(each)]),
      isMendable ? [advice] : [],
    ),
    ...section(paint.alarm("The nodes disagree"), [
      ...disagreements.map((each): [string, string] => [listOf([each], width), disagreementText(each, states)]),
      ...unknown.map(({ node, to }): [string, string] => [
        node,
        `${listed(to)} ${to.length === 1 ? "does" : "do"} not know it`,
      ]),
    ]),
  ];
}

/** The reasons why slots are not served, each with all of its slots. Nodes that refuse calls do so for one reason. */
function reasonsOf(unserved: readonly Unserved[], states: readonly ServerState[]): [string, string][] {
  const groups = new Map<string, Unserved[]>();
  for (const each of unserved) {
    const reason = each.why === "refuses" ? each.why : `${each.why} ${each.owner}`;
    groups.set(reason, [...(groups.get(reason) ?? []), each]);
  }
  return [...groups.values()].map((ranges) => {
    const names = [...new Set(ranges.map((each) => each.owner ?? ""))];
    return [countOf(ranges) === SLOT_COUNT ? "all slots" : listOf(ranges, 30), reasonText(ranges, names, states)];
  });
}

function reasonText(ranges: readonly Unserved[], names: readonly string[], states: readonly ServerState[]): string {
  const { owner, why } = ranges[0] as Unserved;
  if (why === "no-owner") return nobodyText(ranges);
  if (why === "refuses") {
    const verb = names.length === 1 ? "answers" : "answer";
    return `${listed(names)} ${verb} CLUSTERDOWN, because ${names.length === 1 ? "its" : "their"} own cluster_state is fail`;
  }
  const replicas = states.filter((state) => isReplica(state) && state.primary === owner && state.role !== null);
  const { suspect } = suspectedBy(owner ?? "", states);
  if (why === "failed") {
    const heir =
      replicas.length > 0
        ? `, and ${listed(replicas.map(({ name }) => name))} has not taken over`
        : ", and no replica can take over";
    return `${owner} has failed${heir}`;
  }
  const doubt = suspect.length > 0 ? `; PFAIL by ${listed(suspect)}, so its failure may be agreed upon soon` : "";
  return `${owner} does not answer${doubt}`;
}

/** What becomes of calls for the slot. */
export function openText({ ends, owner, state }: OpenSlot): string {
  const [first, second] = [...ends].sort((one) => (one.kind === "migrating" ? -1 : 1));
  if (first === undefined) return "";
  const keys = (end: OpenSlot["ends"][number]) =>
    end.keys === null ? "" : end.keys === 1 ? "1 key" : `${end.keys} keys`;
  const at = (end: OpenSlot["ends"][number]) => (end.keys === null ? end.node : `${end.node} (${keys(end)})`);
  if (state === "both-ends" && second !== undefined) {
    return `half-way from ${at(first)} to ${at(second)}; both know it: for a missing key, ${first.node} answers ASK`;
  }
  if (state === "unsure") {
    const said = first.kind === "migrating" ? `is migrating it to ${first.peer}` : `is importing it from ${first.peer}`;
    return `${at(first)} ${said}; ${first.peer} could not be asked`;
  }
  if (state === "one-end" && first.kind === "migrating") {
    return `${at(first)} is migrating it to ${first.peer}, which is not importing it: a call for a missing key is sent to and fro`;
  }
  if (state === "one-end") {
    return `${at(first)} is importing it from ${first.peer}, which is not migrating it: no call gets to the keys at ${first.node}`;
  }
  const said = ends.map(
    (end) => `${at(end)} is ${end.kind === "migrating" ? "migrating it to" : "importing it from"} ${end.peer}`,
  );
  return `${said.join("; ")}; ${owner === null ? "nobody" : owner} owns it`;
}

function nobodyText(ranges: readonly StudyRange[]): string {
  return `no node takes ${countOf(ranges) === 1 ? "it" : "them"} for its own`;
}

function disagreementText(disagreement: Disagreement, states: readonly ServerState[]): string {
  const { is, says } = disagreement;
  const epochOf = (name: string) => states.find((state) => state.name === name)?.configEpoch ?? null;
  const owners = says.flatMap(({ owner }) => owner ?? []);
  const withEpoch = (name: string) => {
    const epoch = owners.length > 1 ? epochOf(name) : null;
    return epoch === null ? name : `${name} (epoch ${epoch})`;
  };
  const said = says.map(({ owner, by }) => {
    const what =
      owner === null ? "nobody" : by.length === 1 && by[0] === owner ? `${withEpoch(owner)}, itself` : withEpoch(owner);
    return `${listed(by)} ${by.length === 1 ? "says" : "say"} ${what}`;
  });
  const isSilent = states.find(({ name }) => name === is)?.role === null;
  const owner =
    is === null
      ? nobodyText([disagreement])
      : isSilent
        ? `${is} could not be asked`
        : `the owner is ${is}, by its own word`;
  return `${said.join("; ")}; ${owner}`;
}

/** The spans as text, such as `0-5460, 12182`, cut to what fits. */
export function listOf(spans: readonly StudyRange[], width: number): string {
  if (spans.length === 0) return "no slots";
  const texts = spans.map(({ start, end }) => (start === end ? String(start) : `${start}-${end}`));
  for (let shown = texts.length; shown > 0; shown--) {
    const more = texts.length - shown;
    const text = `${texts.slice(0, shown).join(", ")}${more === 0 ? "" : ` and ${more} more`}`;
    if (text.length <= width) return text;
  }
  return `${texts.length} ranges`;
}
