// @ts-check

/*
 * Events in, facts out: what is known of the client and of the servers after each event of a record. Pure, and the same in
 * Node and in the browser. A state is never changed: the next one shares with it what has stayed the same, so that states
 * can be kept, and stepping back is to take an earlier one, or to reduce the record anew up to there.
 *
 *   call:     new -> queued -> written -> answered -> decided -> queued ... -> settled
 *   attempt:  queued -> written -> answered        queued -> taken-back        written -> lost
 */

import { afterCallEvent, lostWith } from "./reduce-calls.js";
import { afterScriptEvent, forgetNodes } from "./reduce-scripts.js";
import { afterTopology, NO_TOPOLOGY } from "./reduce-topology.js";

/**
 * @import { ServerState, StudyEvent, StudyEventOf } from "../../study/events.ts"
 * @import { CallFacts } from "./reduce-calls.js"
 * @import { LoadFacts, ScriptFacts } from "./reduce-scripts.js"
 * @import { TopologyFacts } from "./reduce-topology.js"
 */

/**
 * @typedef {object} ConnectionFacts
 * @property {number} id
 * @property {string} address   As announced.
 * @property {boolean} readOnly  Whether it is only for reads from a replica.
 * @property {number} attempt   The number of the try, from 1.
 * @property {boolean} isOpen   Opened, its handshake included.
 */

/**
 * @typedef {object} Facts
 * @property {number} seq   That of the last event; 0 at the beginning.
 * @property {number} at    Its time, in milliseconds since the record began.
 * @property {Readonly<Record<number, CallFacts>>} calls   The calls under way, by their numbers.
 * @property {readonly CallFacts[]} settled   The calls that have settled, the oldest first, as many as are kept.
 * @property {Readonly<Record<number, ConnectionFacts>>} connections   Those that are open or being opened, by their numbers.
 * @property {Readonly<Record<string, string>>} failures   Why the last try to connect to a node failed, by address.
 * @property {TopologyFacts} topology   What the client believes of nodes and slots.
 * @property {Readonly<Record<string, Readonly<Record<string, ScriptFacts>>>>} scripts
 *   What the client believes of the scripts on a node: by address, and by SHA-1.
 * @property {Readonly<Record<number, LoadFacts>>} loads   The loads under way, by their numbers.
 * @property {Readonly<Record<number, StudyEventOf<"refreshing">>>} refreshes   The refreshes under way, by their numbers.
 * @property {StudyEventOf<"audited"> | null} audited   The last word of a node on its scripts.
 * @property {readonly ServerState[]} servers   What the servers said of themselves when they were asked last.
 * @property {Readonly<Record<number, StudyEventOf<"action">>>} actions   The actions under way, by their numbers.
 */

/** So many calls that have settled are kept. */
const MOST_SETTLED = 200;

/** @type {Facts} */
export const NOTHING = {
  seq: 0,
  at: 0,
  calls: {},
  settled: [],
  connections: {},
  failures: {},
  topology: NO_TOPOLOGY,
  scripts: {},
  loads: {},
  refreshes: {},
  audited: null,
  servers: [],
  actions: {},
};

/**
 * The facts after an event.
 *
 * @param {Facts} facts
 * @param {StudyEvent} event
 * @returns {Facts}
 */
export function reduce(facts, event) {
  return { ...facts, ...changesBy(facts, event), seq: event.seq, at: event.at };
}

/**
 * The facts after the events of a record, up to and with the one of a number.
 *
 * @param {Iterable<StudyEvent>} events
 * @param {number} [until]  The number of the last event that counts.
 * @param {Facts} [from]    The facts before the first of the events.
 */
export function factsAfter(events, until = Number.POSITIVE_INFINITY, from = NOTHING) {
  let facts = from;
  for (const event of events) {
    if (event.seq > until) break;
    facts = reduce(facts, event);
  }
  return facts;
}

/**
 * @param {Facts} facts
 * @param {StudyEvent} event
 * @returns {Partial<Facts>}
 */
function changesBy(facts, event) {
  switch (event.type) {
    case "call":
    case "queued":
    case "written":
    case "answered":
    case "decided":
      return { calls: afterCallEvent(facts.calls, event) };
    case "settled":
      return settle(facts, event);
    case "connecting": {
      const { connection: id, address, readOnly, attempt } = event;
      return { connections: { ...facts.connections, [id]: { id, address, readOnly, attempt, isOpen: false } } };
    }
    case "connected":
      return connected(facts, event);
    case "disconnected":
      return {
        connections: without(facts.connections, event.connection),
        calls: lostWith(facts.calls, event),
      };
    case "load":
    case "loaded":
    case "audited": {
      const audited = event.type === "audited" ? event : facts.audited;
      return { ...afterScriptEvent(facts, event), audited };
    }
    case "refreshing":
      return { refreshes: { ...facts.refreshes, [event.refresh]: event } };
    case "refreshed":
      return { refreshes: without(facts.refreshes, event.refresh) };
    case "topology": {
      const { topology, gone } = afterTopology(facts.topology, event);
      return { topology, scripts: forgetNodes(facts.scripts, gone) };
    }
    case "servers":
      return { servers: event.nodes };
    case "action":
      return {
        actions:
          event.state === "begun" ? { ...facts.actions, [event.action]: event } : without(facts.actions, event.action),
      };
    default:
      return {};
  }
}

/**
 * @param {Facts} facts
 * @param {StudyEventOf<"settled">} event
 * @returns {Partial<Facts>}
 */
function settle({ calls, settled }, event) {
  const call = calls[event.call];
  if (call === undefined) return {};
  const { at, code, outcome } = event;
  /** @type {CallFacts} */
  const ended = { ...call, place: "settled", end: { at, code, outcome } };
  return { calls: without(calls, event.call), settled: [...settled.slice(1 - MOST_SETTLED), ended] };
}

/**
 * @param {Facts} facts
 * @param {StudyEventOf<"connected">} event
 * @returns {Partial<Facts>}
 */
function connected({ connections, failures }, { connection: id, address, error }) {
  if (error !== null) {
    return { connections: without(connections, id), failures: { ...failures, [address]: error } };
  }
  const opening = connections[id] ?? { id, address, readOnly: false, attempt: 1 };
  return { connections: { ...connections, [id]: { ...opening, isOpen: true } }, failures: without(failures, address) };
}

/**
 * The same without an entry.
 *
 * @template T
 * @param {Readonly<Record<string | number, T>>} record
 * @param {string | number} key
 * @returns {Readonly<Record<string | number, T>>}
 */
function without(record, key) {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest;
}
