// @ts-check
import { changesBetween } from "./compare-servers.js";
import { isSilent, slotView } from "./draw-slots.js";
import { isUnderWay, newFailover, tellHeldCall, tellOfFailover, tellRetry, tellTry } from "./failover-story.js";
import { addLine, nodeAt } from "./timeline-entry.js";
import { counted, listed, span } from "./words.js";

/**
 * @import { ServerState, StudyEvent, StudyEventOf } from "../../study/events.ts"
 * @import { Change } from "./compare-servers.js"
 * @import { SlotView } from "./draw-slots.js"
 * @import { Entry } from "./timeline-entry.js"
 * @import { LiveRecord, RecordedCall } from "./record.js"
 * @import { Failover } from "./failover-story.js"
 * @typedef {{ entries: Entry[], next: number, nodes: readonly ServerState[] | null, view: SlotView | null,
 *   failovers: Failover[], actions: Map<number, Entry> }} Timeline
 *   Entries are in the order in which they began.
 */

export const MOST_ENTRIES = 400;

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
      tellRetry(timeline.failovers, record, event);
      return;
    case "connecting":
      tellTry(timeline.failovers, record, event);
      return;
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
  if (tellHeldCall(timeline.failovers, record, call, event)) return;
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
  const failover = timeline.failovers.findLast((each) => isUnderWay(each, event.at));
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
    enter(
      timeline,
      "servers",
      event,
      "servers",
      `${counted(event.nodes.filter((node) => !isSilent(node)).length, "node answers", "nodes answer")}`,
    );
  timeline.nodes = event.nodes;
  timeline.view = view;
  for (const change of changes) tellChange(timeline, event, change);
  timeline.failovers = timeline.failovers.filter((failover) => isUnderWay(failover, event.at));
}

/**
 * @param {Timeline} timeline
 * @param {StudyEventOf<"servers">} event
 * @param {Change} change
 */
function tellChange(timeline, event, change) {
  const { kind, about, text } = change;
  if (tellOfFailover(timeline.failovers, event, change)) return;
  const wasPrimary = timeline.nodes?.some(
    ({ name, slots, primary }) => name === about && primary === null && slots.length > 0,
  );
  if (kind === "silent" && about !== null && wasPrimary) {
    const entry = enter(timeline, "failover", event, "failover", `[${about}] is silent`, "bad");
    addLine(entry, event, text);
    timeline.failovers.push(newFailover(entry, about, event.at));
    return;
  }
  const bad = ["silent", "suspects", "failed", "down", "forgot"].includes(kind);
  enter(timeline, "servers", event, "servers", text, bad ? "bad" : kind === "half" ? "warn" : "");
}
