// @ts-check
import { changesBetween } from "./compare-servers.js";
import { slotView } from "./draw-slots.js";
import { counted, listed, span } from "./words.js";

/**
 * @import { ServerState, StudyEvent, StudyEventOf } from "../../study/events.ts"
 * @import { Change } from "./compare-servers.js"
 * @import { SlotView } from "./draw-slots.js"
 * @import { LiveRecord, RecordedCall } from "./record.js"
 * @typedef {{ at: number, seq: number, text: string, call: number | null }} Line
 * @typedef {{ id: number, kind: "call" | "calls" | "you" | "servers" | "client" | "failover", at: number, seq: number, who: string,
 *   text: string, call: number | null, tone: "" | "good" | "bad" | "warn", below: Line[], more: number }} Entry
 *   One thing that happened. `seq`: the event after which it was so. `call`: the call that can be replayed. `below`: what
 *   belongs to it, oldest first; `more` further lines are not kept. Names of nodes stand in brackets: `[A1]`.
 * @typedef {{ entry: Entry, node: string, since: number, promoted: string | null, retries: number, calls: Set<number>,
 *   told: number, retriesLine: Line | null }} Failover
 * @typedef {{ entries: Entry[], next: number, nodes: readonly ServerState[] | null, view: SlotView | null,
 *   failovers: Failover[], actions: Map<number, Entry> }} Timeline
 *   Entries are in the order in which they began.
 */

export const MOST_ENTRIES = 400;
const MOST_LINES = 40;
/** Of calls that a failover held up, so many are told one by one. */
const MOST_CALLS_TOLD = 4;

/** @returns {Timeline} */
export function emptyTimeline() {
  return { entries: [], next: 1, nodes: null, view: null, failovers: [], actions: new Map() };
}

/**
 * Tells an event, after `record` has been told it.
 *
 * @param {Timeline} timeline
 * @param {LiveRecord} record
 * @param {StudyEvent} event
 */
export function tell(timeline, record, event) {
  switch (event.type) {
    case "servers":
      return tellServers(timeline, record, event);
    case "action":
      return tellAction(timeline, event);
    case "decided":
      return tellRetry(timeline, record, event);
    case "settled": {
      const call = record.calls.get(event.call);
      if (call !== undefined) tellCall(timeline, record, call, event);
      return;
    }
    case "topology":
      return tellTopology(timeline, record, event);
    case "audited":
      return tellAudit(timeline, record, event);
    default:
  }
}

/**
 * @param {Timeline} timeline
 * @param {Entry["kind"]} kind
 * @param {{ at: number, seq: number }} event
 * @param {string} who
 * @param {string} text
 * @param {Entry["tone"]} [tone]
 */
function enter(timeline, kind, { at, seq }, who, text, tone = "") {
  /** @type {Entry} */
  const entry = { id: timeline.next++, kind, at, seq, who, text, call: null, tone, below: [], more: 0 };
  timeline.entries.push(entry);
  if (timeline.entries.length > MOST_ENTRIES) timeline.entries.shift();
  return entry;
}

/**
 * @param {Entry} entry
 * @param {{ at: number, seq: number }} event
 * @param {string} text
 * @param {number | null} [call]
 */
function addLine(entry, { at, seq }, text, call = null) {
  const line = { at, seq, text, call };
  if (entry.below.length < MOST_LINES) entry.below.push(line);
  else entry.more++;
  return line;
}

/**
 * The node's name in brackets, or its address.
 *
 * @param {LiveRecord} record
 * @param {string | null} address
 */
function nodeAt({ names }, address) {
  if (address === null) return "no node";
  const name = names.get(address);
  return name === undefined ? address : `[${name}]`;
}

/**
 * @param {Timeline} timeline
 * @param {StudyEventOf<"action">} event
 */
function tellAction(timeline, event) {
  const entry = timeline.actions.get(event.action) ?? enter(timeline, "you", event, "you", event.text);
  if (event.state === "begun") {
    timeline.actions.set(event.action, entry);
    return;
  }
  timeline.actions.delete(event.action);
  entry.text = event.text;
  entry.seq = event.seq;
  if (event.state === "failed") entry.tone = "bad";
}

/**
 * Calls that were answered at once are counted in one entry. A call that was refused has an entry of its own.
 *
 * @param {Timeline} timeline
 * @param {LiveRecord} record
 * @param {RecordedCall} call
 * @param {StudyEventOf<"settled">} event
 */
function tellCall(timeline, record, call, event) {
  const failover = timeline.failovers.findLast(({ calls }) => calls.has(call.call));
  if (failover !== undefined) return tellHeldCall(failover, record, call, event);
  const text = callText(record, call, event);
  const last = timeline.entries.at(-1);
  if (call.refusals > 0 || event.code !== null) {
    const tone = event.code === null ? "" : "bad";
    enter(timeline, "call", event, `call ${call.call}`, text, tone).call = call.call;
    return;
  }
  if (last?.kind !== "call" && last?.kind !== "calls") {
    enter(timeline, "calls", event, `call ${call.call}`, text).call = call.call;
    return;
  }
  if (last.kind === "call") {
    enter(timeline, "calls", event, `call ${call.call}`, text).call = call.call;
    return;
  }
  last.more++;
  last.call = call.call;
  Object.assign(last, { at: event.at, seq: event.seq, who: `call ${call.call}`, text });
}

/**
 * What audits found on several nodes at about the same time is one entry.
 *
 * @param {Timeline} timeline
 * @param {LiveRecord} record
 * @param {StudyEventOf<"audited">} event
 */
function tellAudit(timeline, record, event) {
  const node = record.names.get(event.address);
  if (event.missing.length === 0 || node === undefined) return;
  const last = timeline.entries.findLast(({ kind }) => kind !== "servers");
  const found = last?.who === "audit" && event.at - last.at < 1000 ? /^(.*) (lacks?) (.*)$/.exec(last.text) : null;
  if (last === undefined || found === null) {
    const names = listed(
      event.missing.map(({ name }) => name),
      4,
    );
    enter(timeline, "client", event, "audit", `[${node}] lacks ${names}: it is loaded`);
    return;
  }
  last.seq = event.seq;
  last.text = `${found[1]}, [${node}] lack ${found[3]}`;
}

/**
 * The hops of a call in one line: `release: [C] MOVED, [A] NOSCRIPT, [A] reply, 4.10 ms`.
 *
 * @param {LiveRecord} record
 * @param {RecordedCall} call
 * @param {StudyEventOf<"settled">} settled
 */
export function callText(record, { command, script, slot, at, events }, settled) {
  /** @type {string[]} */
  const hops = [];
  let folded = 0;
  for (const event of events) {
    const said =
      event.type === "decided"
        ? `${nodeAt(record, event.address)} ${event.failure}`
        : event.type === "answered" && event.kind === "reply"
          ? `${nodeAt(record, event.address)} reply`
          : null;
    if (said === null) continue;
    if (said === hops.at(-1)) folded++;
    else if (folded > 0) {
      hops.push(`${folded} more times`, said);
      folded = 0;
    } else hops.push(said);
  }
  if (folded > 0) hops.push(`${folded} more times`);
  if (settled.code !== null) hops.push(`${settled.code}${settled.outcome === null ? "" : ` (${settled.outcome})`}`);
  const where = slot < 0 ? ":" : `, slot ${slot}:`;
  return `${script?.name ?? command}${where} ${hops.join(", ")}, ${span(settled.at - at)}`;
}

/**
 * @param {Timeline} timeline
 * @param {LiveRecord} record
 * @param {StudyEventOf<"topology">} event
 */
function tellTopology(timeline, record, event) {
  if (event.reason === "first") return;
  const moved = event.moved.reduce((sum, { start, end }) => sum + end - start + 1, 0);
  const said = [];
  if (event.promoted.length > 0)
    said.push(`${event.promoted.map((address) => nodeAt(record, address)).join(", ")} promoted`);
  if (event.added.length > 0) said.push(`${event.added.map((address) => nodeAt(record, address)).join(", ")} new`);
  if (event.removed.length > 0) said.push(`${event.removed.map((address) => nodeAt(record, address)).join(", ")} gone`);
  const [first] = event.moved;
  if (moved === 1 && first !== undefined) said.push(`slot ${first.start} is ${nodeAt(record, first.to)}'s`);
  else if (moved > 0) said.push(`${counted(moved, "slot")} changed owner`);
  if (said.length === 0) return;
  const how = event.reason === "moved" ? "by MOVED" : "by a refresh";
  const text = `the client's map, ${how}: ${said.join("; ")}`;
  const failover = timeline.failovers.at(-1);
  if (failover !== undefined) addLine(failover.entry, event, text);
  else enter(timeline, "client", event, "client", text);
}

/**
 * @param {Timeline} timeline
 * @param {LiveRecord} record
 * @param {StudyEventOf<"servers">} event
 */
function tellServers(timeline, record, event) {
  const view = slotView(event.nodes);
  const before = timeline.nodes;
  const changes =
    before === null || timeline.view === null
      ? []
      : changesBetween(before, timeline.view, event.nodes, view, record.scripts);
  if (before === null)
    enter(timeline, "servers", event, "servers", `${counted(event.nodes.length, "node")} answer or are known`);
  timeline.nodes = event.nodes;
  timeline.view = view;
  for (const change of changes) tellChange(timeline, event, change);
  const ended = timeline.failovers.filter(({ promoted, since }) => promoted !== null || event.at - since > 60_000);
  // A failover that has ended still gets what follows within the next looks at the servers.
  timeline.failovers = timeline.failovers.filter(
    (failover) => !ended.includes(failover) || event.at - failover.since < 3000 || failover.calls.size > 0,
  );
}

/** @type {readonly Change["kind"][]} */
const OF_A_FAILOVER = ["silent", "back", "suspects", "failed", "cleared", "vote", "promoted", "demoted"];

/**
 * @param {Timeline} timeline
 * @param {StudyEventOf<"servers">} event
 * @param {Change} change
 */
function tellChange(timeline, event, change) {
  const { kind, about, text } = change;
  const failover = timeline.failovers.find(({ node }) => node === about);
  if (failover !== undefined && OF_A_FAILOVER.includes(kind)) {
    addLine(failover.entry, event, text);
    failover.entry.seq = event.seq;
    if (kind === "promoted") {
      failover.promoted = /** @type {string} */ (/\[(\w+)\]/.exec(text)?.[1]);
      failover.entry.text = `[${failover.node}] was silent; ${text.split(":")[0]} after ${span(event.at - failover.since)}`;
      failover.entry.tone = "good";
    }
    if (kind === "back" && failover.promoted === null) {
      failover.entry.text = `[${failover.node}] was silent for ${span(event.at - failover.since)}`;
      failover.entry.tone = "warn";
      failover.promoted = failover.node;
    }
    return;
  }
  const wasPrimary = timeline.nodes?.some(
    ({ name, slots, primary }) => name === about && primary === null && slots.length > 0,
  );
  if (kind === "silent" && about !== null && wasPrimary) {
    const entry = enter(timeline, "failover", event, "failover", `[${about}] is silent`, "bad");
    addLine(entry, event, text);
    timeline.failovers.push({
      entry,
      node: about,
      since: event.at,
      promoted: null,
      retries: 0,
      calls: new Set(),
      told: 0,
      retriesLine: null,
    });
    return;
  }
  if ((kind === "down" || kind === "up") && timeline.failovers.length > 0) {
    addLine(/** @type {Failover} */ (timeline.failovers.at(-1)).entry, event, text);
    return;
  }
  const bad = ["silent", "suspects", "failed", "down", "forgot"].includes(kind);
  enter(timeline, "servers", event, "servers", text, bad ? "bad" : kind === "half" ? "warn" : "");
}

/**
 * @param {Timeline} timeline
 * @param {LiveRecord} record
 * @param {StudyEventOf<"decided">} event
 */
function tellRetry(timeline, record, event) {
  const name = event.address === null ? undefined : record.names.get(event.address);
  const isOfFailover = ["LOST", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY"].includes(
    event.failure.toUpperCase(),
  );
  const failover = timeline.failovers.findLast(({ node }) => node === name || isOfFailover);
  if (failover === undefined) return;
  failover.retries++;
  failover.calls.add(event.call);
  failover.retriesLine ??= addLine(failover.entry, event, "", event.call);
  failover.retriesLine.text = `the client: ${counted(failover.retries, "refused or lost attempt")}, the last a ${event.failure} of ${name === undefined ? "no node" : `[${name}]`}`;
}

/**
 * @param {Failover} failover
 * @param {LiveRecord} record
 * @param {RecordedCall} call
 * @param {StudyEventOf<"settled">} event
 */
function tellHeldCall(failover, record, call, event) {
  failover.calls.delete(call.call);
  failover.told++;
  if (failover.told > MOST_CALLS_TOLD) {
    failover.entry.more++;
    return;
  }
  const tries = counted(call.refusals, "time");
  const end =
    event.code === null ? `answered by ${nodeAt(record, event.address)}` : `${event.code}, ${event.outcome ?? ""}`;
  addLine(
    failover.entry,
    event,
    `call ${call.call}: tried again ${tries}, ${end} after ${span(event.at - call.at)}`,
    call.call,
  );
}
