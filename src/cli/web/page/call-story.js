// @ts-check

/**
 * @import { StudyEvent } from "../../study/events.ts"
 * @import { Answer, Beside, End, Folded, Hop, Step, Story } from "../../study/call-story.ts"
 */

/** So many failed attempts of a call are shown before the others are folded. The last one is shown too. */
export const SHOWN_FIRST = 3;

/**
 * The story that a record tells of calls: a pure function of its events.
 *
 * @param {readonly StudyEvent[]} events  In their order. Those of other calls are left out.
 * @param {(call: number) => boolean} [isWanted]  Which calls it is about.
 * @returns {Story}
 */
export function storyOf(events, isWanted = () => true) {
  const first = events.find((event) => event.type === "call" && isWanted(event.call))?.at ?? events[0]?.at ?? 0;
  /** @type {Map<number, End>} */
  const ends = new Map();
  /** @type {Hop[]} */
  const hops = [];
  /** @type {Map<string, Hop>} */
  const byAttempt = new Map();
  /** @type {Beside[]} */
  const meanwhile = [];
  /** @type {Step[]} */
  const steps = [];
  /** @type {Set<Hop>} */
  const over = new Set();

  /** @param {number} call @param {number} attempt */
  const hopOf = (call, attempt) => byAttempt.get(`${call} ${attempt}`) ?? null;
  /** @param {Hop} hop @param {number} at  An attempt that was never written waited until now. */
  const endWait = (hop, at) => {
    if (hop.writtenAt !== null || over.has(hop)) return;
    over.add(hop);
    steps.push({ type: "waited", at: hop.at, hop, ms: at - hop.at });
  };

  for (const event of events) {
    const at = event.at - first;
    if (isBeside(event)) {
      const beside = { ...event, at };
      meanwhile.push(beside);
      steps.push({ type: "beside", at, event: beside });
      continue;
    }
    if (!("call" in event) || event.call === null || !isWanted(event.call)) continue;
    const { call } = event;
    const end = ends.get(call);
    switch (event.type) {
      case "call": {
        const { command, script, slot } = event;
        const none = { at: null, code: null, outcome: null, address: null };
        ends.set(call, {
          ...{ call, command, script, slot, from: at, ...none },
          ...{ attempts: 0, untold: 0, written: 0, redirections: 0, retries: 0 },
        });
        break;
      }
      case "queued": {
        const { attempt, address, command, asking, bytes, loadBytes } = event;
        const before = hopOf(call, attempt - 1);
        // The attempt before a hedge goes on beside it.
        if (before !== null && event.hedge !== true) endWait(before, at);
        /** @type {Hop} */
        const hop = {
          ...{ call, attempt, address, at, writtenAt: null, connection: null, command, asking, bytes, loadBytes },
          ...{ answer: null, decisions: [], sent: [], received: [] },
          ...(event.hedge && { hedge: event.hedge }),
        };
        hops.push(hop);
        byAttempt.set(`${call} ${attempt}`, hop);
        if (end !== undefined) end.attempts = attempt;
        break;
      }
      case "written": {
        const hop = hopOf(call, event.attempt);
        if (hop === null) break;
        hop.writtenAt = at;
        hop.connection = event.connection;
        if (end !== undefined) end.written++;
        steps.push({ type: "sent", at, hop });
        break;
      }
      case "bytes": {
        const hop = hopOf(call, event.attempt ?? 0);
        const { text, length } = event;
        if (hop !== null) (event.direction === "sent" ? hop.sent : hop.received).push({ text, length });
        break;
      }
      case "answered": {
        const hop = hopOf(call, event.attempt);
        if (hop === null) break;
        const { kind, text, bytes } = event;
        answer(hop, { at, kind, to: namedIn(kind, text, hop.address), text, bytes });
        break;
      }
      case "decided": {
        const { seq, type, call: _, attempt, address, ...decided } = event;
        const decision = { ...decided, at };
        const hop = hopOf(call, attempt);
        if (hop !== null) {
          if (hop.writtenAt === null) endWait(hop, at);
          else if (decision.failure === "LOST" && hop.answer === null) {
            answer(hop, { at, kind: "LOST", to: null, text: null, bytes: 0 });
          }
          hop.decisions.push(decision);
        }
        if (end !== undefined) {
          end.redirections = decision.redirections;
          end.retries = decision.retries;
        }
        steps.push({ type: "decided", at, call, hop, decision });
        break;
      }
      case "settled": {
        const hop = hopOf(call, event.attempts);
        const beside = hop?.hedge ? hopOf(call, event.attempts - 1) : null;
        for (const each of [beside, hop]) if (each !== null) endWait(each, at);
        if (end === undefined) break;
        end.at = at;
        end.untold = Math.max(0, event.attempts - end.attempts);
        end.code = event.code ?? null;
        end.outcome = event.outcome ?? null;
        end.address = event.address;
        steps.push({ type: "ended", at, end });
        break;
      }
    }
  }
  return { ends: [...ends.values()], hops, meanwhile, steps };

  /** @param {Hop} hop @param {Answer} given */
  function answer(hop, given) {
    hop.answer = given;
    steps.push({ type: "answered", at: given.at, hop, answer: given });
  }
}

const BESIDE = new Set([
  ...["load", "loaded", "audited", "topology", "refreshing", "refreshed"],
  ...["connecting", "connected", "disconnected"],
]);

/**
 * @param {StudyEvent} event
 * @returns {event is Beside}
 */
function isBeside(event) {
  return BESIDE.has(event.type);
}

/**
 * The address that a MOVED or ASK names. An empty host means the host that answered.
 *
 * @param {string} kind
 * @param {string | null} text
 * @param {string} from
 */
function namedIn(kind, text, from) {
  if (kind !== "MOVED" && kind !== "ASK") return null;
  const named = / \d+ (\S+)$/.exec(text ?? "")?.[1] ?? null;
  if (named === null || !/^(\?|""|)?:\d+$/.test(named)) return named;
  return from.slice(0, from.lastIndexOf(":")) + named.slice(named.lastIndexOf(":"));
}

/**
 * The steps of a story without its tedious parts. Of the failed attempts of each call, the first three and the last stay.
 * What the client does beside the calls stays where it changes something that they depend on.
 *
 * @param {Story} story
 * @returns {Step[]}
 */
export function foldedSteps({ steps, hops, meanwhile }) {
  const asked = new Set(
    meanwhile.flatMap((event) => (event.type === "load" && event.why === "asked" ? [event.load] : [])),
  );
  /** @type {Map<number, Hop[]>} */
  const failed = new Map();
  for (const hop of hops) {
    if (hop.decisions.length > 0 || hop.writtenAt === null)
      failed.set(hop.call, [...(failed.get(hop.call) ?? []), hop]);
  }
  /** @type {Map<Hop, Folded>} */
  const foldOf = new Map();
  for (const [call, all] of failed) {
    // The last attempt may have had no time to be written. Then the last refusal is shown as well.
    const lastRefused = all.findLast(({ decisions }) => decisions.length > 0);
    const hidden = all.slice(SHOWN_FIRST, -1).filter((hop) => hop !== lastRefused);
    // A line that counts one attempt is no shorter than the attempt.
    if (hidden.length < 2) continue;
    const folded = foldOfHops(call, hidden);
    for (const hop of hidden) foldOf.set(hop, folded);
  }
  /** @type {Set<Folded>} */
  const said = new Set();
  return steps
    .filter((step) => isOfInterest(step, asked))
    .flatMap((step) => {
      const folded = "hop" in step && step.hop !== null ? foldOf.get(step.hop) : undefined;
      if (folded === undefined) return [step];
      if (said.has(folded)) return [];
      said.add(folded);
      return [/** @type {Step} */ ({ type: "folded", at: step.at, folded })];
    });
}

/**
 * @param {Step} step
 * @param {ReadonlySet<number>} asked  The loads that the caller asked for.
 */
function isOfInterest(step, asked) {
  if (step.type !== "beside") return true;
  const { event } = step;
  if (event.type === "topology") return event.reason !== "first";
  if (event.type === "loaded") return event.error !== null || asked.has(event.load);
  return event.type === "load" && event.call === null ? event.why === "asked" : event.type === "disconnected";
}

/** What is said of an attempt that waited for a connection, until its queue was emptied. Nothing was decided about it. */
const NO_CONNECTION = "no connection";

/**
 * @param {number} call
 * @param {Hop[]} hidden
 * @returns {Folded}
 */
function foldOfHops(call, hidden) {
  /** @type {Record<string, number>} */
  const failures = {};
  /** @type {Record<string, number>} */
  const rows = {};
  /** @type {number[]} */
  const pauses = [];
  let until = 0;
  for (const { at, decisions } of hidden) {
    const failure = decisions[0]?.failure ?? NO_CONNECTION;
    failures[failure] = (failures[failure] ?? 0) + 1;
    for (const { row } of decisions) rows[row] = (rows[row] ?? 0) + 1;
    until = Math.max(until, at);
    for (const { at, backoffMs } of decisions) {
      until = Math.max(until, at);
      if (backoffMs !== null) pauses.push(backoffMs);
    }
  }
  return {
    ...{ call, attempts: hidden.length, failures, rows, until },
    waited: hidden.filter(({ writtenAt }) => writtenAt === null).length,
    addresses: [...new Set(hidden.map(({ address }) => address))],
    pauses: pauses.length === 0 ? null : [Math.min(...pauses), Math.max(...pauses)],
  };
}
