// @ts-check
import { isSilent } from "./draw-slots.js";
import { shardOf } from "./palette.js";
import { rangesText, SLOTS } from "./slots.js";
import { listed } from "./words.js";

/**
 * @import { ServerState } from "../../study/events.ts"
 * @import { SlotView } from "./draw-slots.js"
 * @typedef {{ kind: "silent" | "back" | "suspects" | "failed" | "cleared" | "vote" | "promoted" | "demoted" | "joined" | "left"
 *   | "moved" | "half" | "whole" | "down" | "up" | "forgot" | "knows", about: string | null, text: string }} Change
 *   What the servers say otherwise than before. `about`: the node that it is about. Names of nodes are in brackets: `[A1]`.
 */

/**
 * What has changed from one look at the servers to the next, in the order in which it is best told.
 *
 * @param {readonly ServerState[]} before
 * @param {SlotView} viewBefore
 * @param {readonly ServerState[]} after
 * @param {SlotView} viewAfter
 * @param {ReadonlyMap<string, { name: string }>} scripts
 * @returns {Change[]}
 */
export function changesBetween(before, viewBefore, after, viewAfter, scripts) {
  /** @type {Change[]} */
  const changes = [];
  const tell = (/** @type {Change["kind"]} */ kind, /** @type {string | null} */ about, /** @type {string} */ text) =>
    changes.push({ kind, about, text });
  const was = new Map(before.map((node) => [node.name, node]));
  const is = new Map(after.map((node) => [node.name, node]));
  for (const node of after) {
    const old = was.get(node.name);
    const { name } = node;
    if (old === undefined) {
      tell("joined", name, `[${name}] joins, at ${node.address}`);
      continue;
    }
    if (isSilent(node) && !isSilent(old)) tell("silent", name, `[${name}] is silent: ${node.error ?? "no answer"}`);
    if (!isSilent(node) && isSilent(old)) tell("back", name, `[${name}] answers again`);
  }
  for (const { name } of before) if (!is.has(name)) tell("left", name, `[${name}] is no longer in the cluster`);
  tellSuspicions(before, after, tell);
  for (const node of after) {
    const old = was.get(node.name);
    if (old === undefined || isSilent(node)) continue;
    const wasPrimary = old.role === "primary";
    if (node.role === "primary" && old.role === "replica") {
      const former = old.primary;
      if (former !== null) {
        tell("vote", former, `the primaries vote for [${node.name}]; it wins with epoch ${node.configEpoch ?? "?"}`);
      }
      tell("promoted", former ?? node.name, `[${node.name}] is promoted: it serves ${rangesText(node.slots, 3)}`);
    } else if (node.role === "replica" && wasPrimary) {
      tell("demoted", node.name, `[${node.name}] becomes a replica of [${node.primary ?? "?"}]`);
    }
  }
  tellSlots(viewBefore, viewAfter, after, tell);
  const downs = after.filter((node) => node.state === "fail" && was.get(node.name)?.state === "ok");
  const ups = after.filter((node) => node.state === "ok" && was.get(node.name)?.state === "fail");
  if (downs.length > 0) tell("down", null, `${named(downs)}: CLUSTERDOWN, calls are refused`);
  if (ups.length > 0) tell("up", null, `${named(ups)}: the cluster is ok again`);
  tellScripts(was, after, scripts, tell);
  return changes;
}

/** @param {readonly { name: string }[]} nodes */
const named = (nodes) => listed(nodes.map(({ name }) => `[${name}]`));

/**
 * @param {readonly ServerState[]} before
 * @param {readonly ServerState[]} after
 * @param {(kind: Change["kind"], about: string | null, text: string) => void} tell
 */
function tellSuspicions(before, after, tell) {
  const flags = (/** @type {readonly ServerState[]} */ nodes) => {
    /** @type {Map<string, { name: string }[]>} */
    const found = new Map();
    for (const node of nodes) {
      for (const [name, flag] of Object.entries(node.suspects)) {
        found.set(`${flag} ${name}`, [...(found.get(`${flag} ${name}`) ?? []), node]);
      }
    }
    return found;
  };
  const was = flags(before);
  const is = flags(after);
  for (const [key, nodes] of is) {
    const [flag = "", name = ""] = key.split(" ");
    const fresh = nodes.filter((node) => !was.get(key)?.some((old) => old.name === node.name));
    if (fresh.length === 0) continue;
    if (flag === "fail?") {
      tell("suspects", name, `${named(fresh)} ${fresh.length === 1 ? "suspects" : "suspect"} [${name}]: PFAIL`);
    } else if (!was.has(key)) {
      tell("failed", name, `a majority agrees that [${name}] is down: FAIL, by the word of ${named(fresh)}`);
    }
  }
  for (const key of was.keys()) {
    const [flag, name = ""] = key.split(" ");
    if (flag === "fail" && !is.has(key)) tell("cleared", name, `nobody calls [${name}] failed any more`);
  }
}

/**
 * Slots that change hands within a shard are a promotion, which is told already.
 *
 * @param {SlotView} before
 * @param {SlotView} after
 * @param {readonly ServerState[]} nodes
 * @param {(kind: Change["kind"], about: string | null, text: string) => void} tell
 */
function tellSlots(before, after, nodes, tell) {
  /** @type {Map<string, { start: number, end: number }[]>} */
  const moves = new Map();
  for (let slot = 0; slot < SLOTS; slot++) {
    const from = before.owners[slot] ?? null;
    const to = after.owners[slot] ?? null;
    if (from === to || (from !== null && to !== null && shardOf(from) === shardOf(to))) continue;
    if (to === null && nodes.some((node) => node.name === from && isSilent(node))) continue;
    if (from === null && to !== null && before.owners.every((owner) => owner !== to)) {
      // The owner was silent, and its slots were nobody's for us alone.
      if (nodes.find((node) => node.name === to)?.slots.some((range) => range.start <= slot && slot <= range.end))
        continue;
    }
    const key = `${from ?? ""} ${to ?? ""}`;
    const ranges = moves.get(key) ?? [];
    const last = ranges.at(-1);
    if (last !== undefined && last.end === slot - 1) last.end = slot;
    else ranges.push({ start: slot, end: slot });
    moves.set(key, ranges);
  }
  for (const [key, ranges] of moves) {
    const [from, to] = key.split(" ");
    const one = ranges.length === 1 && ranges[0]?.start === ranges[0]?.end;
    const what = `${one ? "slot" : "slots"} ${rangesText(ranges, 4)}`;
    if (!to) tell("moved", null, `${what}: no owner now`);
    else if (!from) tell("moved", null, `${what}: [${to}]'s now`);
    else tell("moved", null, `${what}: from [${from}] to [${to}]`);
  }
  const key = (/** @type {{ slot: number, from: string, to: string }} */ { slot, from, to }) => `${slot} ${from} ${to}`;
  const was = new Set(before.open.map(key));
  const is = new Set(after.open.map(key));
  for (const open of after.open) {
    if (!was.has(key(open))) tell("half", null, `slot ${open.slot} is half-way from [${open.from}] to [${open.to}]`);
  }
  for (const open of before.open) {
    const owner = after.owners[open.slot];
    if (!is.has(key(open))) tell("whole", null, `slot ${open.slot} is whole again${owner ? `, at [${owner}]` : ""}`);
  }
}

/**
 * @param {ReadonlyMap<string, ServerState>} was
 * @param {readonly ServerState[]} after
 * @param {ReadonlyMap<string, { name: string }>} scripts
 * @param {(kind: Change["kind"], about: string | null, text: string) => void} tell
 */
function tellScripts(was, after, scripts, tell) {
  /** @type {Map<string, string[]>} */
  const lost = new Map();
  /** @type {Map<string, string[]>} */
  const got = new Map();
  for (const [sha, { name }] of scripts) {
    const change = (/** @type {boolean} */ from, /** @type {boolean} */ to) =>
      after.filter((node) => was.get(node.name)?.scripts[sha] === from && node.scripts[sha] === to);
    const note = (/** @type {Map<string, string[]>} */ into, /** @type {readonly ServerState[]} */ nodes) => {
      if (nodes.length > 0) into.set(named(nodes), [...(into.get(named(nodes)) ?? []), name]);
    };
    note(lost, change(true, false));
    note(got, change(false, true));
  }
  for (const [nodes, names] of lost) tell("forgot", null, `${nodes} forgot ${listed(names, 4)}`);
  for (const [nodes, names] of got) tell("knows", null, `${nodes} got ${listed(names, 4)}`);
}
