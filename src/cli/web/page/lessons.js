// @ts-check
import { slotOfKey } from "./slots.js";

/**
 * @typedef {Record<string, unknown>} Request  What the server is asked to do.
 * @typedef {{ owner: string | null, other: string | null, slot: number, open: readonly number[] }} Place
 *   The lesson's slot: who owns it, and another primary, by name. `open`: the slots that are half-moved.
 * @typedef {{ label: string, says: string, requests: (place: Place) => Request[], isBackground?: boolean }} LessonStep
 *   `says` is read when the step is done. A step in the background is not waited for.
 * @typedef {{ lesson: string, title: string, what: string, keys: readonly string[], steps: readonly LessonStep[],
 *   question: string, choices: readonly string[], right: (counts: readonly (number | null)[]) => number, ledger: string }} Lesson
 *   `right`: which choice is right, by what the servers hold under the keys. `ledger` says it in words; `COUNT` stands for
 *   what was found.
 */

const SCRIPT = "count";

/** @param {readonly string[]} keys */
const count = (keys) => ({ name: "call", script: SCRIPT, keys, args: [] });
/** @param {readonly string[]} keys */
const forget = (keys) => ({ name: "call", command: ["DEL", ...keys], quiet: true });

/**
 * Puts slots together that an earlier lesson has left half-moved.
 *
 * @param {Place} place
 */
const tidy = ({ open }) => open.map((slot) => ({ name: "settle", slot }));
/**
 * Puts slots together again, and begins to count at nothing.
 *
 * @param {Place} place
 * @param {readonly string[]} keys
 */
const afresh = (place, keys) => [...tidy(place), forget(keys)];

const KEYS = /** @type {const} */ ({
  moved: ["{lesson:moved}:count"],
  ask: ["{lesson:ask}:count"],
  tryagain: ["{lesson:tryagain}:one", "{lesson:tryagain}:two"],
  noscript: ["{lesson:noscript}:count"],
  failover: ["{lesson:failover}:count"],
  lost: ["{lesson:lost}:count"],
});

/** Each script call adds one under its keys, so the servers' counts are the ledger of what really ran. @type {readonly Lesson[]} */
export const LESSONS = [
  {
    lesson: "moved",
    title: "MOVED",
    what: "A slot has a new owner, and the client does not know it yet.",
    keys: KEYS.moved,
    steps: [
      {
        label: "Count once",
        says: "One hop: the client wrote to the owner, because its map of the slots was right.",
        requests: (place) => [...afresh(place, KEYS.moved), count(KEYS.moved)],
      },
      {
        label: "Move the slot",
        says: "The servers agree on the new owner. Nobody has told the client.",
        requests: ({ slot, other }) => [{ name: "move-slot", slot, to: other }],
      },
      {
        label: "Count again",
        says: "Two hops: the old owner answered MOVED, and the client put the slot right in its map. Count once more, and there is one hop.",
        requests: () => [count(KEYS.moved)],
      },
    ],
    question: "The last call was written to two nodes. How often did it run?",
    choices: ["Once", "Twice", "Nobody can know"],
    right: ([found]) => (found === null || found === undefined || found < 2 ? 2 : found === 2 ? 0 : 1),
    ledger: "The servers count COUNT for two calls. MOVED proves that nothing ran where it came from.",
  },
  {
    lesson: "ask",
    title: "ASK",
    what: "A slot is on its way: some of its keys are here, others are there.",
    keys: KEYS.ask,
    steps: [
      {
        label: "Half-move the slot",
        says: "The old owner still owns the slot, and sends on whoever asks for a key that it does not have.",
        requests: (place) => [...afresh(place, KEYS.ask), { name: "half-move", slot: place.slot, to: place.other }],
      },
      {
        label: "Count",
        says: "Two hops: ASK, then ASKING and the call in one write to the other node.",
        requests: () => [count(KEYS.ask)],
      },
      {
        label: "Count again",
        says: "The same two hops once more: ASK holds for one call, and the map stays as it was.",
        requests: () => [count(KEYS.ask)],
      },
    ],
    question: "Two calls, four hops. How often did the script run?",
    choices: ["Twice", "Four times", "Once"],
    right: ([found]) => (found === 2 ? 0 : found === 4 ? 1 : 2),
    ledger: "The servers count COUNT. ASK proves that nothing ran where it came from, so each call ran once.",
  },
  {
    lesson: "tryagain",
    title: "TRYAGAIN",
    what: "A call needs two keys of a half-moved slot, and they are in two places.",
    keys: KEYS.tryagain,
    steps: [
      {
        label: "Move one of two keys",
        says: "Key one is at the new node, key two at the old one. No node has both.",
        requests: (place) => [
          ...afresh(place, KEYS.tryagain),
          { name: "call", command: ["MSET", KEYS.tryagain[0], "0", KEYS.tryagain[1], "0"], quiet: true },
          { name: "half-move", slot: place.slot, to: place.other },
          { name: "move-key", slot: place.slot, to: place.other, key: KEYS.tryagain[0] },
        ],
      },
      {
        label: "Count under both",
        says: "TRYAGAIN, a pause, TRYAGAIN again: the client waits until the keys are together. Settle the slot before its time is up.",
        requests: () => [{ ...count(KEYS.tryagain), timeout: 120_000 }],
        isBackground: true,
      },
      {
        label: "Settle the slot",
        says: "The keys are together, and the next try of the call ran.",
        requests: ({ slot }) => [{ name: "settle", slot }],
      },
    ],
    question: "The call was refused many times before it was answered. How often did it run?",
    choices: ["Once for each try", "Once", "Not at all"],
    right: ([one, two]) => (one === 1 && two === 1 ? 1 : one === 0 || one === null ? 2 : 0),
    ledger: "The servers count COUNT. TRYAGAIN proves that nothing ran, not even for the key that was there.",
  },
  {
    lesson: "noscript",
    title: "NOSCRIPT",
    what: "A node has forgotten the script, as after a restart.",
    keys: KEYS.noscript,
    steps: [
      {
        label: "Count once",
        says: "The call names the script by its SHA-1 alone. The nodes have it: look at the dots.",
        requests: (place) => [...afresh(place, KEYS.noscript), count(KEYS.noscript)],
      },
      {
        label: "Flush the scripts",
        says: "Every dot is gone. The client still believes that the nodes have the script.",
        requests: () => [{ name: "flush" }],
      },
      {
        label: "Count again",
        says: "NOSCRIPT; then SCRIPT LOAD and the call again in one write. The audit brings the other dots back.",
        requests: () => [count(KEYS.noscript)],
      },
    ],
    question: "The last call was written twice. How often did the script run for it?",
    choices: ["Twice", "Once", "Not at all"],
    right: ([found]) => (found === 2 ? 1 : found === 1 ? 2 : 0),
    ledger: "The servers count COUNT for two calls. NOSCRIPT proves that nothing ran.",
  },
  {
    lesson: "failover",
    title: "Failover",
    what: "The owner of a slot dies, and one of its replicas takes over.",
    keys: KEYS.failover,
    steps: [
      {
        label: "Count once",
        says: "One hop: the owner runs it.",
        requests: (place) => [...afresh(place, KEYS.failover), count(KEYS.failover)],
      },
      {
        label: "Kill the owner, and count",
        says: "The others find out by its silence: PFAIL, FAIL, a vote. The call was tried until the promoted replica answered: the timeline shows what it waited for.",
        requests: () => [
          { name: "lesson-prepare", lesson: "failover" },
          { ...count(KEYS.failover), timeout: 60_000 },
        ],
      },
      {
        label: "Count again",
        says: "One hop: the client knows the new owner.",
        requests: () => [count(KEYS.failover)],
      },
    ],
    question: "The owner died, and two calls were made since. The count began anew. How often did the script run?",
    choices: ["Once for each try", "Twice", "Nobody can know"],
    right: ([found]) => (found === 2 ? 1 : typeof found === "number" && found > 2 ? 0 : 2),
    ledger: "The servers count COUNT. A try that was never written, or was refused with CLUSTERDOWN, did not run.",
  },
  {
    lesson: "lost",
    title: "A lost reply",
    what: "The call arrives, and the connection is lost before the answer comes back.",
    keys: KEYS.lost,
    steps: [
      {
        label: "Count once",
        says: "One hop, one reply.",
        requests: (place) => [...afresh(place, KEYS.lost), count(KEYS.lost)],
      },
      {
        label: "Lose the next reply",
        says: "The next reply will not arrive: its connection is cut when the bytes come.",
        requests: ({ owner }) => [{ name: "lose-reply", node: owner }],
      },
      {
        label: "Count again",
        says: "The client does not write it again: it says that the outcome is unknown.",
        requests: () => [count(KEYS.lost)],
      },
    ],
    question: "The client says: unknown. Did the script run?",
    choices: ["Yes", "No"],
    right: ([found]) => (found === 2 ? 0 : 1),
    ledger:
      "The servers count COUNT for two calls. The client could not know, and a second try would have counted twice.",
  },
];

/** @param {Lesson} lesson */
export const slotOfLesson = ({ keys }) => slotOfKey(keys[0] ?? "").slot;
