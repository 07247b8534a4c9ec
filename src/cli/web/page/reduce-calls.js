// @ts-check

/**
 * @import { StudyEventOf, StudyScript } from "../../study/events.ts"
 */

/**
 * @typedef {object} Attempt  One attempt of a call. Times are those of the record.
 * @property {number} attempt
 * @property {string} address   The node, as announced.
 * @property {string} command   As sent.
 * @property {boolean} asking
 * @property {true} [hedge]      The attempt before it goes on beside it.
 * @property {number} bytes
 * @property {number} loadBytes  Of the load in front; 0 without one.
 * @property {"queued" | "written" | "answered" | "lost" | "taken-back"} place
 *   `lost`: with its connection. `taken-back`: another attempt followed, and no answer to this one.
 * @property {number} queuedAt
 * @property {number | null} writtenAt
 * @property {number | null} connection  The one that it was written on.
 * @property {number | null} answeredAt
 * @property {{ kind: string, bytes: number, text: string | null } | null} answer
 */

/** @typedef {"call" | "queued" | "written" | "answered" | "decided"} CallEventType */

/**
 * @typedef {object} CallFacts
 * @property {number} call
 * @property {string} command
 * @property {StudyScript | null} script
 * @property {number} slot   -1 for a call without keys.
 * @property {number | null} of  The number of its batch, transaction or operation.
 * @property {number} at     When it was made.
 * @property {"new" | "queued" | "written" | "answered" | "lost" | "decided" | "settled"} place
 * @property {readonly Attempt[]} attempts   The first one first.
 * @property {readonly StudyEventOf<"decided">[]} decisions  In their order.
 * @property {{ at: number, code: string | null, outcome: string | null } | null} end  Null while it is under way.
 */

/** @typedef {Readonly<Record<number, CallFacts>>} Calls */

/**
 * The calls under way after an event about one of them. Events of a call whose beginning is not in the record are left out.
 *
 * @param {Calls} calls
 * @param {StudyEventOf<CallEventType>} event
 * @returns {Calls}
 */
export function afterCallEvent(calls, event) {
  if (event.type === "call") {
    const { call, command, script, slot, of, at } = event;
    const begun = { call, command, script, slot, of, at, place: /** @type {const} */ ("new"), end: null };
    return { ...calls, [call]: { ...begun, attempts: [], decisions: [] } };
  }
  const before = calls[event.call];
  return before === undefined ? calls : { ...calls, [event.call]: afterEvent(before, event) };
}

/**
 * @param {CallFacts} call
 * @param {StudyEventOf<"queued" | "written" | "answered" | "decided">} event
 * @returns {CallFacts}
 */
function afterEvent(call, event) {
  switch (event.type) {
    case "queued": {
      const { attempt, address, command, asking, bytes, loadBytes, at } = event;
      /** @type {Attempt} */
      const queued = {
        ...{ attempt, address, command, asking, bytes, loadBytes, place: "queued", queuedAt: at },
        ...{ writtenAt: null, connection: null, answeredAt: null, answer: null },
        ...(event.hedge && { hedge: event.hedge }),
      };
      // The attempt before it may still wait: its queue gave the call back, which then follows its slot.
      const isTakenBack = (/** @type {Attempt} */ each) => isOpen(each) && !each.hedge && !event.hedge;
      const earlier = call.attempts.map((each) => (isTakenBack(each) ? { ...each, place: takenBack } : each));
      return { ...call, place: "queued", attempts: [...earlier, queued] };
    }
    case "written":
      return withAttempt(call, event.attempt, "written", {
        writtenAt: event.at,
        connection: event.connection,
      });
    case "answered": {
      const { kind, bytes, text, at } = event;
      return withAttempt(call, event.attempt, "answered", { answeredAt: at, answer: { kind, bytes, text } });
    }
    case "decided":
      return { ...call, place: "decided", decisions: [...call.decisions, event] };
  }
}

/** @type {"taken-back"} */
const takenBack = "taken-back";

/** @param {Attempt} attempt */
function isOpen({ place }) {
  return place === "queued" || place === "written";
}

/**
 * @param {CallFacts} call
 * @param {number} number  Of the attempt.
 * @param {"written" | "answered" | "lost"} place
 * @param {Partial<Attempt>} news
 * @returns {CallFacts}
 */
function withAttempt(call, number, place, news) {
  const attempts = call.attempts.map((each) => (each.attempt === number ? { ...each, ...news, place } : each));
  return { ...call, place, attempts };
}

/**
 * The calls under way after the end of a connection: what was written on it and not answered is lost.
 *
 * @param {Calls} calls
 * @param {StudyEventOf<"disconnected">} event
 * @returns {Calls}
 */
export function lostWith(calls, { connection }) {
  const lost = Object.values(calls).flatMap((call) => {
    const lost = call.attempts.findLast((each) => each.place === "written" && each.connection === connection);
    return lost === undefined ? [] : [withAttempt(call, lost.attempt, "lost", {})];
  });
  return lost.length === 0 ? calls : { ...calls, ...Object.fromEntries(lost.map((call) => [call.call, call])) };
}
