// @ts-check
import { addLine, nodeAt } from "./timeline-entry.js";
import { counted, span } from "./words.js";

/**
 * @import { StudyEventOf } from "../../study/events.ts"
 * @import { Change } from "./compare-servers.js"
 * @import { LiveRecord, RecordedCall } from "./record.js"
 * @import { Entry, Line } from "./timeline-entry.js"
 * @typedef {{ entry: Entry, node: string, since: number, endedAt: number | null, refusals: number, tries: number,
 *   calls: Set<number>, told: number, refusalsLine: Line | null, triesLine: Line | null }} Failover
 *   A primary that was silent, by name, and what came of it. `calls`: those that were refused or lost in it and go on.
 */

/** Of calls that a failover held up, so many are told one by one. */
const MOST_CALLS_TOLD = 4;
/** What follows within this time after the end still belongs to it. */
const AFTERMATH_MS = 5000;
/** A primary that nobody replaces is told of for so long. */
const MOST_MS = 60_000;

/** @type {readonly Change["kind"][]} */
const OF_A_FAILOVER = ["silent", "back", "suspects", "failed", "cleared", "vote", "promoted", "demoted"];
/** What calls meet while a primary is missing, wherever they go. */
const FAILURES = ["LOST", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY"];

/**
 * @param {Entry} entry
 * @param {string} node
 * @param {number} since
 * @returns {Failover}
 */
export function newFailover(entry, node, since) {
  return {
    ...{ entry, node, since, endedAt: null, refusals: 0, tries: 0, calls: new Set(), told: 0 },
    ...{ refusalsLine: null, triesLine: null },
  };
}

/**
 * @param {Failover} failover
 * @param {number} at
 */
export function isUnderWay({ since, endedAt }, at) {
  return endedAt === null ? at - since < MOST_MS : at - endedAt < AFTERMATH_MS;
}

/**
 * Tells what the servers say if it belongs to a failover.
 *
 * @param {readonly Failover[]} failovers
 * @param {StudyEventOf<"servers">} event
 * @param {Change} change
 * @returns {boolean} Whether it does.
 */
export function tellOfFailover(failovers, event, { kind, about, text }) {
  const isOfAll = kind === "down" || kind === "up";
  const failover = isOfAll ? failovers.at(-1) : failovers.findLast(({ node }) => node === about);
  if (failover === undefined || !(isOfAll || OF_A_FAILOVER.includes(kind))) return false;
  const { entry, node, since } = failover;
  addLine(entry, event, text);
  entry.seq = event.seq;
  const took = span(event.at - since);
  if (kind === "promoted") {
    failover.endedAt = event.at;
    entry.text = `[${node}] was silent; ${text.split(":")[0]} after ${took}`;
    entry.tone = "good";
  } else if (kind === "back" && failover.endedAt === null) {
    failover.endedAt = event.at;
    entry.text = `[${node}] was silent for ${took}`;
    entry.tone = "warn";
  }
  return true;
}

/**
 * @param {readonly Failover[]} failovers
 * @param {LiveRecord} record
 * @param {StudyEventOf<"decided">} event
 */
export function tellRetry(failovers, record, event) {
  const name = event.address === null ? undefined : record.names.get(event.address);
  const isOfAll = FAILURES.includes(event.failure.toUpperCase());
  const failover = failovers.findLast(({ node }) => node === name || isOfAll);
  if (failover === undefined) return;
  failover.refusals++;
  failover.calls.add(event.call);
  failover.refusalsLine ??= addLine(failover.entry, event, "", event.call);
  failover.refusalsLine.text = `the client: ${counted(failover.refusals, "refused or lost attempt")}, the last a ${event.failure} of ${nodeAt(record, event.address)}`;
}

/**
 * The client tries to connect to the node that is silent.
 *
 * @param {readonly Failover[]} failovers
 * @param {LiveRecord} record
 * @param {StudyEventOf<"connecting">} event
 */
export function tellTry(failovers, record, event) {
  const failover = failovers.findLast(
    ({ node, endedAt }) => node === record.names.get(event.address) && endedAt === null,
  );
  if (failover === undefined) return;
  failover.tries++;
  failover.triesLine ??= addLine(failover.entry, event, "");
  failover.triesLine.text = `the client: ${counted(failover.tries, "try", "tries")} to connect to [${failover.node}]`;
}

/**
 * Tells the end of a call that a failover has held up: it was refused or lost, or had waited for the silent node.
 *
 * @param {readonly Failover[]} failovers
 * @param {LiveRecord} record
 * @param {RecordedCall} call
 * @param {StudyEventOf<"settled">} event
 * @returns {boolean} Whether one has.
 */
export function tellHeldCall(failovers, record, call, event) {
  const waitedFor = (/** @type {string} */ node) =>
    call.events.some((each) => each.type === "queued" && record.names.get(each.address) === node);
  const failover = failovers.findLast(({ calls, node, since }) => {
    return (
      calls.has(call.call) ||
      (event.at >= since && event.address !== null && record.names.get(event.address) !== node && waitedFor(node))
    );
  });
  if (failover === undefined) return false;
  failover.calls.delete(call.call);
  failover.told++;
  if (failover.told > MOST_CALLS_TOLD) {
    failover.entry.more++;
    return true;
  }
  const end =
    event.code === null ? `answered by ${nodeAt(record, event.address)}` : `${event.code}, ${event.outcome ?? ""}`;
  const text = `call ${call.call}: ${counted(event.attempts, "attempt")}, ${end} after ${span(event.at - call.at)}`;
  addLine(failover.entry, event, text, call.call);
  return true;
}
