// @ts-check
import { NOTHING, reduce } from "./reduce.js";

/**
 * @import { Facts } from "./reduce.js"
 * @import { LoadReason, ServerState, StudyEvent, StudyEventOf, StudyScript } from "../../study/events.ts"
 * @typedef {{ call: number, at: number, events: StudyEvent[], command: string, script: StudyScript | null, slot: number,
 *   isOver: boolean, refusals: number }} RecordedCall
 *   A call with all events that tell of it, in their order.
 * @typedef {{ servers: StudyEventOf<"servers">[], calls: Map<number, RecordedCall>, scripts: Map<string, StudyScript>,
 *   names: Map<string, string>, loads: Map<number, string>, arrivals: Record<string, string>, facts: Facts, last: number,
 *   eventsOfCalls: number, counts: number, detailed: number }} LiveRecord
 *   What the page keeps. `names`: the names of nodes by address. `loads`: why loads that are under way were begun.
 *   `arrivals`: how scripts came to nodes, by `node name + " " + sha`. `facts`: what the client believes.
 *   `last`: the time of the newest event. `counts`: how many numbers of keys in slots the looks from the one at `detailed`
 *   on have; those before it have none.
 */

/** How much is kept: what is older is in the saved record alone. */
export const MOST_CALLS = 2000;
export const MOST_LOOKS = 2000;
/** A call that meets refusals for seconds has hundreds of events. */
export const MOST_EVENTS = 30_000;
/** Numbers of keys in slots: a look at a cluster with keys everywhere has 16,384 of them. */
export const MOST_COUNTS = 1_000_000;

/** @returns {LiveRecord} */
export function emptyRecord() {
  return {
    servers: [],
    calls: new Map(),
    scripts: new Map(),
    names: new Map(),
    loads: new Map(),
    arrivals: {},
    facts: NOTHING,
    last: 0,
    eventsOfCalls: 0,
    counts: 0,
    detailed: 0,
  };
}

/**
 * Adds an event to the record.
 *
 * @param {LiveRecord} record
 * @param {StudyEvent} event
 */
export function add(record, event) {
  record.last = Math.max(record.last, event.at);
  // The page follows calls by itself. Facts of hundreds of calls under way would be copied with each of their events.
  if (!isOfCall(event)) record.facts = reduce(record.facts, event);
  if (event.type === "servers") return addServers(record, event);
  if (event.type === "load" || event.type === "loaded") addLoad(record, event);
  if (!("call" in event) || event.call === null || event.call === undefined) return;
  if (event.type === "call") {
    if (event.script !== null) addScript(record, event.script);
    const { call, at, command, script, slot } = event;
    record.calls.set(call, { call, at, command, script, slot, events: [event], isOver: false, refusals: 0 });
    record.eventsOfCalls++;
    return forgetCalls(record);
  }
  const recorded = record.calls.get(event.call);
  if (recorded === undefined) return;
  recorded.events.push(event);
  record.eventsOfCalls++;
  if (event.type === "decided") recorded.refusals++;
  if (event.type === "settled") recorded.isOver = true;
}

/**
 * The oldest go first, but the newest stays however many events it has.
 *
 * @param {LiveRecord} record
 */
function forgetCalls(record) {
  for (const [call, { events }] of record.calls) {
    if (record.calls.size <= MOST_CALLS && (record.eventsOfCalls <= MOST_EVENTS || record.calls.size === 1)) break;
    record.calls.delete(call);
    record.eventsOfCalls -= events.length;
  }
}

/** @param {StudyEvent} event */
function isOfCall({ type }) {
  return ["call", "queued", "written", "bytes", "answered", "decided", "settled"].includes(type);
}

/**
 * @param {LiveRecord} record
 * @param {StudyEventOf<"servers">} event
 */
function addServers(record, event) {
  const { servers } = record;
  servers.push(event);
  record.counts += countsOf(event);
  for (; record.counts > MOST_COUNTS && record.detailed < servers.length - 1; record.detailed++) {
    const look = /** @type {StudyEventOf<"servers">} */ (servers[record.detailed]);
    record.counts -= countsOf(look);
    servers[record.detailed] = { ...look, nodes: look.nodes.map(({ keysBySlot: _, ...node }) => node) };
  }
  if (servers.length > MOST_LOOKS) {
    const gone = servers.splice(0, MOST_LOOKS / 4);
    for (const look of gone) record.counts -= countsOf(look);
    record.detailed = Math.max(0, record.detailed - gone.length);
  }
  for (const { address, name } of event.nodes) record.names.set(address, name);
}

/** @param {StudyEventOf<"servers">} look */
function countsOf({ nodes }) {
  return nodes.reduce((sum, { keysBySlot = {} }) => sum + Object.keys(keysBySlot).length, 0);
}

/** @type {Readonly<Record<LoadReason, string>>} */
const ARRIVED = {
  "first-call": "a call",
  noscript: "a call",
  audit: "the audit",
  "new-connection": "on joining",
  preload: "preloaded",
  asked: "asked for",
  again: "a call",
};

/**
 * @param {LiveRecord} record
 * @param {StudyEventOf<"load"> | StudyEventOf<"loaded">} event
 */
function addLoad(record, event) {
  addScript(record, event.script);
  if (event.type === "load") {
    record.loads.set(event.load, event.call === null ? ARRIVED[event.why] : `call ${event.call}`);
    return;
  }
  const name = record.names.get(event.address);
  const how = record.loads.get(event.load);
  record.loads.delete(event.load);
  if (event.error === null && name !== undefined && how !== undefined) {
    record.arrivals[`${name} ${event.script.sha}`] = how;
  }
}

/**
 * @param {LiveRecord} record
 * @param {StudyScript} script
 */
export function addScript({ scripts }, { name, sha }) {
  if (!scripts.has(sha)) scripts.set(sha, { name, sha });
}

/**
 * What the servers said last, before or at a moment; null is now.
 *
 * @param {LiveRecord} record
 * @param {number | null} seq
 * @returns {readonly ServerState[]}
 */
export function serversAt({ servers }, seq) {
  const found = seq === null ? servers.at(-1) : (servers.findLast((event) => event.seq <= seq) ?? servers[0]);
  return found?.nodes ?? [];
}
