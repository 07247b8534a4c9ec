// @ts-check

/**
 * @import { StudyEventOf } from "../../study/events.ts"
 * @import { Answer, Beside, Decision, End, Folded, Hop, Step, TableRow, Telling } from "../../study/call-story.ts"
 */

/*
 * One sentence a step. Names of nodes stand in brackets, as in `[A] answers NOSCRIPT`, so that pages can draw them; `plain`
 * removes the brackets.
 */

/** @param {string} text */
export const plain = (text) => text.replace(/\[([A-Z]+\d*)\]/g, "$1");

/**
 * @param {Telling} telling
 * @param {string | null} address
 */
export function nodeIn({ names }, address) {
  if (address === null) return "no node";
  const name = names[address];
  return name === undefined ? address : `[${name}]`;
}

/** @param {number} count */
const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, ",");
/** @param {number} count @param {string} noun */
export const counted = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
/** @param {number} ms */
export const milliseconds = (ms) => `${ms < 100 ? ms.toFixed(2) : Math.round(ms)} ms`;

/**
 * @param {Step} step
 * @param {Telling} telling
 * @returns {string}
 */
export function sentenceOf(step, telling) {
  switch (step.type) {
    case "sent":
      return sentSentence(step.hop, telling);
    case "waited":
      return `Attempt ${step.hop.attempt} waits ${milliseconds(step.ms)} for a connection to ${nodeIn(telling, step.hop.address)}, and is never written.`;
    case "answered":
      return answerSentence(step.hop, step.answer, telling);
    case "decided":
      return decisionSentence(step.decision, step.hop, telling);
    case "folded":
      return foldedSentence(step.folded, telling);
    case "beside":
      return besideSentence(step.event, telling);
    case "ended":
      return endSentence(step.end);
  }
}

/** @param {Hop} hop @param {Telling} telling */
function sentSentence(hop, telling) {
  const { attempt, address, command, asking, hedge, bytes, loadBytes } = hop;
  const node = nodeIn(telling, address);
  const load = `${command.startsWith("FCALL") ? "FUNCTION" : "SCRIPT"} LOAD`;
  const parts = [
    ...(loadBytes > 0 ? [`${load} (${counted(loadBytes, "byte")})`] : []),
    ...(asking ? ["ASKING"] : []),
    `${command} (${counted(bytes, "byte")})`,
  ];
  const all = `${parts.slice(0, -1).join(", ")}${parts.length > 1 ? " and " : ""}${parts.at(-1)}`;
  const one = parts.length > 1 ? " in one write" : "";
  const why = asking ? ", because the slot is on its way there" : "";
  const beside = hedge ? `, while attempt ${attempt - 1} goes on: it has had no answer for long` : "";
  return `Attempt ${attempt}: the client writes ${all} to ${node}${one}${why}${beside}.`;
}

/** What each refusal means. `NODE` and `TO` stand for the nodes. */
const MEANINGS = /** @type {const} */ ({
  MOVED: "NODE answers MOVED: the slot belongs to TO for good. Nothing ran.",
  ASK: "NODE answers ASK: the slot is on its way to TO, and the key is not at NODE any more, or does not exist yet. Nothing ran, and the slot map stays as it is.",
  TRYAGAIN:
    "NODE answers TRYAGAIN: the slot is half-way, and some of the keys are here and others are not. Nothing ran.",
  NOSCRIPT: "NODE answers NOSCRIPT: it does not have the script with this SHA-1. Nothing ran.",
  CLUSTERDOWN:
    "NODE answers CLUSTERDOWN: it serves no slots now, because it does not see the whole cluster. Nothing ran.",
  LOADING: "NODE answers LOADING: it is still reading its data set. Nothing ran.",
  MASTERDOWN: "NODE answers MASTERDOWN: it is a replica without a link to its primary. Nothing ran.",
  BUSY: "NODE answers BUSY: it is running a script that takes long. Nothing ran.",
  READONLY: "NODE answers READONLY: it is a replica by now.",
  NOPERM: "NODE answers NOPERM: the user may not do this. Nothing ran.",
  LOST: "The connection to NODE is lost before the answer came.",
  UNBLOCKED: "NODE answers UNBLOCKED: it became a replica while the command waited.",
});

/** @param {Hop} hop @param {Answer} answer @param {Telling} telling */
function answerSentence(hop, answer, telling) {
  const node = nodeIn(telling, hop.address);
  const meaning = MEANINGS[/** @type {keyof typeof MEANINGS} */ (answer.kind)];
  if (meaning !== undefined) {
    const to = answer.to === null ? "another node" : nodeIn(telling, answer.to);
    // Both at once, because an address can contain one of the words.
    return meaning.replace(/\b(NODE|TO)\b/g, (word) => (word === "NODE" ? node : to));
  }
  if (answer.kind === "reply") return `${node} runs ${hop.command} and answers.`;
  return `${node} answers with an error.`;
}

/** What the client learns, by the name of the lesson. */
const LESSONS = /** @type {Record<string, string>} */ ({
  nothing: "nothing",
  "slot-moved": "the slot's new owner",
  "topology-stale": "the slot map may be old, so it is asked for anew",
  "connection-stale": "the connection leads to another process",
  "script-missing": "the node lost the script, so all nodes are asked which scripts they have",
  "loads-denied": "the node lets nobody load scripts",
  "no-read-only-variant": "the server has no EVALSHA_RO",
});

/** @param {string} learned */
export const lessonText = (learned) => LESSONS[learned] ?? learned;

const WHENS = /** @type {Record<string, string>} */ ({
  now: "at once",
  "after-backoff": "after a pause",
  "after-refresh": "after a refresh of the slot map",
  "after-load": "after the load that is under way",
  "after-rest": "decided again when the script may be loaded again",
});

/** @param {Pick<Decision, "when" | "backoffMs">} decision */
export function whenText({ when, backoffMs }) {
  if (when === null) return "";
  if (backoffMs !== null) return `after a pause of ${milliseconds(backoffMs)}`;
  return WHENS[when] ?? when;
}

const OUTCOMES = /** @type {Record<string, string>} */ ({
  "not-executed": "it did not run",
  unknown: "nobody knows whether it ran",
  executed: "it ran, perhaps in part",
});

/** @param {string | null} outcome */
export const outcomeText = (outcome) => (outcome === null ? "" : (OUTCOMES[outcome] ?? outcome));

/**
 * What the decision was, without its reason: `next: [A], at once, behind SCRIPT LOAD; spends retry 1`.
 *
 * @param {Decision} decision
 * @param {Hop | null} hop
 * @param {Telling} telling
 */
export function decidedText(decision, hop, telling) {
  if (decision.verdict === "reject") return `the call is given up: ${outcomeText(decision.outcome)}`;
  const { to, asking, remedy, spends, redirections, retries } = decision;
  const where =
    to === null || to.kind === "owner"
      ? "the slot's owner"
      : nodeIn(telling, to.kind === "same-node" ? (hop?.address ?? to.address) : to.address);
  const behind = [
    ...(remedy === "load" ? [hop?.command.startsWith("FCALL") ? "FUNCTION LOAD" : "SCRIPT LOAD"] : []),
    ...(asking ? ["ASKING"] : []),
  ];
  const most = telling.maxRedirections === undefined ? "" : ` of ${telling.maxRedirections}`;
  const price =
    spends === "redirection"
      ? `redirection ${redirections}${most}`
      : spends === "retry"
        ? `retry ${retries}`
        : "nothing";
  return [
    `next: ${where}`,
    `, ${whenText(decision)}`,
    behind.length > 0 ? `, behind ${behind.join(" and ")}` : "",
    remedy === "eval" ? ", by EVAL" : "",
    `; spends ${price}`,
  ].join("");
}

/** @param {readonly TableRow[]} rows @param {string} row */
export const meaningOf = (rows, row) => rows.find((each) => each.row === row)?.met ?? row;

/** @param {Decision} decision @param {Hop | null} hop @param {Telling} telling */
function decisionSentence(decision, hop, telling) {
  const { row, learned } = decision;
  const lesson = learned === "nothing" ? "" : ` Learned: ${lessonText(learned)}.`;
  return `Rule ${row} (${meaningOf(telling.rows, row)}): ${decidedText(decision, hop, telling)}.${lesson}`;
}

/**
 * `66 CLUSTERDOWN, 2 LOST`, most first.
 *
 * @param {Readonly<Record<string, number>>} counts
 */
export function countsText(counts) {
  return Object.entries(counts)
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `${grouped(count)} × ${name}`)
    .join(", ");
}

/** @param {Folded} folded @param {Telling} telling */
function foldedSentence({ attempts, waited, failures, rows, addresses, until, pauses }, telling) {
  const places = addresses.slice(0, 4).map((address) => nodeIn(telling, address));
  if (addresses.length > places.length) places.push(`${addresses.length - places.length} more`);
  const unwritten =
    waited === 0 ? "" : waited === attempts ? ", none of them written" : `, ${grouped(waited)} of them never written`;
  const rules = Object.keys(rows).length === 0 ? "" : ` Rules: ${countsText(rows)}.`;
  const paused =
    pauses === null
      ? ""
      : ` Pauses of ${milliseconds(pauses[0])}${pauses[0] === pauses[1] ? "" : ` to ${milliseconds(pauses[1])}`}.`;
  return `${counted(attempts, "more attempt")} at ${places.join(", ")} failed until ${milliseconds(until)}${unwritten}: ${countsText(failures)}.${rules}${paused}`;
}

const LOADS = /** @type {Record<string, string>} */ ({
  "first-call": "for its first call",
  noscript: "because a call found it missing",
  audit: "because the node, when asked, had it no more",
  "new-connection": "before a new connection is used",
  preload: "by preload()",
  asked: "as asked",
  again: "again",
});

/** @param {Beside} event @param {Telling} telling */
function besideSentence(event, telling) {
  switch (event.type) {
    case "load":
      return `The client loads ${event.script.name} on ${nodeIn(telling, event.address)} ${LOADS[event.why] ?? event.why}.`;
    case "loaded":
      return event.error === null
        ? `${nodeIn(telling, event.address)} has ${event.script.name} now.`
        : `${nodeIn(telling, event.address)} did not load ${event.script.name}: ${event.error}.`;
    case "audited":
      return `${nodeIn(telling, event.address)} was asked for ${counted(event.asked, "script")}, and lacks ${event.missing.length}.`;
    case "topology":
      return topologySentence(event, telling);
    case "refreshing":
      return `The client asks for the slot map: ${event.reason}.`;
    case "refreshed":
      return event.changed ? "The slot map has changed." : "The slot map is as it was.";
    case "connecting":
      return `The client connects to ${nodeIn(telling, event.address)}.`;
    case "connected":
      return event.error === null
        ? `The connection to ${nodeIn(telling, event.address)} is open.`
        : `The connection to ${nodeIn(telling, event.address)} failed: ${event.error}.`;
    case "disconnected":
      return `The connection to ${nodeIn(telling, event.address)} ended (${event.reason})${event.awaiting === 0 ? "" : `, with ${counted(event.awaiting, "call")} in flight`}.`;
  }
}

/** @param {StudyEventOf<"topology">} event @param {Telling} telling */
function topologySentence({ reason, moved, added, removed, promoted }, telling) {
  const said = [
    ...moved.slice(0, 3).map(({ start, end, to }) => {
      return `${start === end ? `slot ${start} is` : `slots ${start}-${end} are`} ${to === null ? "nobody" : nodeIn(telling, to)}'s`;
    }),
    ...(moved.length > 3 ? [`${moved.length - 3} more ranges have new owners`] : []),
    ...promoted.map((address) => `${nodeIn(telling, address)} is a primary`),
    ...added.map((address) => `${nodeIn(telling, address)} is new`),
    ...removed.map((address) => `${nodeIn(telling, address)} is gone`),
  ];
  const how = reason === "moved" ? "by the word of a node" : "by a refresh";
  // Replicas and the health of nodes change as well.
  if (said.length === 0) return `The client learns more of the nodes ${how}. Every slot has the owner that it had.`;
  return `The slot map changes ${how}: ${said.join(", ")}.`;
}

/** @param {Pick<End, "attempts" | "written"> & { untold?: number }} end */
export function attemptsText({ attempts, untold = 0, written }) {
  if (untold > 0)
    return `${counted(attempts + untold, "attempt")}, the last ${grouped(untold)} of them not in the record`;
  if (attempts === written) return counted(written, "attempt");
  return `${counted(attempts, "attempt")}, ${written === 0 ? "none" : grouped(written)} of them written`;
}

/** @param {End} end */
function endSentence(end) {
  const { code, outcome, at, from } = end;
  const tries = attemptsText(end);
  const time = at === null ? "" : `, ${milliseconds(at - from)}`;
  if (code === null) return `The caller gets the reply: ${tries}${time}.`;
  return `The caller gets ${code}, ${outcome}: ${outcomeText(outcome)}. ${tries}${time}.`;
}
