import { isMarked, type Made, mayRepeat } from "./calls.ts";
import { type Entry, type Ledger, marksIn } from "./ledger.ts";
import type { SimNode } from "./sim-node.ts";

/** From a deadline to the end of the call: a timer's grain, and what the client was busy with. */
const GRAIN_MS = 3;

/** What is checked of each call once nothing can happen to it any more. */
export function brokenPromises(made: readonly Made[], ledger: Ledger, stalledMs: number): string[] {
  return made.flatMap((call) => {
    const entry = ledger.of(call.number);
    return [
      settledOnce(call),
      settledInTime(call, stalledMs),
      ranOnce(call, entry),
      // A transaction may have run when its function wrote something.
      outcomeIsTrue(call, entry, call.group?.aside === undefined ? 0 : ledger.of(call.group.aside).written),
      replyIsItsOwn(call),
    ].flatMap((broken) => (broken === undefined ? [] : [`call ${call.number} (${call.what}): ${broken}`]));
  });
}

function settledOnce({ timesSettled }: Made): string | undefined {
  return timesSettled === 1 ? undefined : `settled ${timesSettled} times`;
}

function settledInTime({ madeAt, settledAt, timeoutMs }: Made, stalledMs: number): string | undefined {
  if (settledAt === undefined || timeoutMs === 0) return undefined;
  const tookMs = settledAt - madeAt;
  return tookMs <= timeoutMs + stalledMs + GRAIN_MS ? undefined : `took ${tookMs} ms of ${timeoutMs} ms`;
}

function ranOnce(call: Made, { executed }: Entry): string | undefined {
  return mayRepeat(call) || executed <= 1 ? undefined : `ran ${executed} times`;
}

function outcomeIsTrue(call: Made, entry: Entry, asideWritten: number): string | undefined {
  const { executed, written, refused } = entry;
  const { failure, reply, settledAt } = call;
  if (settledAt === undefined) return undefined;
  if (failure !== undefined && !["not-executed", "unknown", "executed"].includes(failure.outcome)) {
    return `failed without an outcome: ${failure.code ?? failure}: ${failure.message}`;
  }
  if (!isMarked(call)) return undefined;
  const outcome = failure === undefined ? "executed" : failure.outcome;
  // What was never handed to a socket, or was refused each time, is known not to have run.
  const isTrue = { executed: executed > 0, "not-executed": executed === 0, unknown: written + asideWritten > 0 }[
    outcome
  ];
  if (isTrue) return undefined;
  const told = failure === undefined ? `a reply ${JSON.stringify(reply)}` : `${failure.code}, ${outcome}`;
  return `told as ${told}: written ${written}, refused ${refused}, executed ${executed} times`;
}

function replyIsItsOwn({ settledAt, reply, failure, wrongIn, mustFailWith }: Made): string | undefined {
  if (settledAt === undefined) return undefined;
  if (failure === undefined) {
    if (mustFailWith !== undefined) return `its script failed, and yet it got ${JSON.stringify(reply)}`;
    const wrong = wrongIn(reply);
    return wrong && `its reply ${wrong}: ${JSON.stringify(reply)}`;
  }
  if (failure.code !== "REPLY" || failure.outcome !== "executed") return undefined;
  const { reply: text } = failure as { reply?: string };
  return text === mustFailWith ? undefined : `got the error ${text}, which its script does not raise`;
}

/** Calls of a slot are written in call order and, where they were written once and no more, run in it. */
export function brokenOrder(made: readonly Made[], ledger: Ledger): string[] {
  const broken: string[] = [];
  const latest = new Map<number, { written: Made; executed: Map<string, Made> }>();
  for (const call of made) {
    const entry = ledger.of(call.number);
    // Reads, and calls that block, have connections of their own.
    if (call.slot < 0 || isRead(call) || call.what === "pop" || call.group) continue;
    if (entry.written !== 1 || entry.refused > 0) continue;
    const before = latest.get(call.slot) ?? { written: call, executed: new Map<string, Made>() };
    latest.set(call.slot, before);
    const { writtenAs, writtenTo } = ledger.of(before.written.number);
    // Who was still queued for the old owner when the first MOVED came meets it, too: one of the slot has been refused.
    const isOvertaken = writtenTo !== entry.writtenTo && ledger.redirectedSlots.has(call.slot);
    if (writtenAs > entry.writtenAs && !isOvertaken) {
      broken.push(`call ${call.number} was written before call ${before.written.number} of the same slot`);
    } else before.written = call;
    // What ended with an unknown outcome may still be on its way, and run late.
    if (entry.executed !== 1 || call.failure?.outcome === "unknown") continue;
    const ran = before.executed.get(entry.executedBy);
    if (ran !== undefined && ledger.of(ran.number).executedAs > entry.executedAs) {
      broken.push(`call ${call.number} ran before call ${ran.number} of the same slot`);
    } else before.executed.set(entry.executedBy, call);
  }
  return broken;
}

/**
 * Calls of a slot that one node refused in the same way are written again in the order of the refusals. Those of a batch
 * that were refused together wait for the first of them.
 */
export function brokenRepetition(made: readonly Made[], ledger: Ledger): string[] {
  const latest = new Map<string, Made>();
  // What may run twice is also written again for other reasons.
  return made
    .filter(({ group, number }) => group === undefined || (group.kind === "batch" && !ledger.of(number).together))
    .filter(
      (call) => call.slot >= 0 && call.what !== "pop" && !mayRepeat(call) && ledger.of(call.number).rewrittenAs >= 0,
    )
    .sort((a, b) => ledger.of(a.number).refusedAs - ledger.of(b.number).refusedAs)
    .flatMap((call) => {
      const { firstRefusal, rewrittenAs } = ledger.of(call.number);
      // Who lacks a script waits for it, and scripts come one by one.
      if (firstRefusal.startsWith("NOSCRIPT")) return [];
      const kind = `${call.slot} ${firstRefusal}`;
      const before = latest.get(kind);
      latest.set(kind, call);
      if (before === undefined || ledger.of(before.number).rewrittenAs < rewrittenAs) return [];
      return [`call ${call.number} was written again before call ${before.number}, which was refused first (${kind})`];
    });
}

/**
 * In a batch the calls of a key run in call order, whatever happens; a transaction runs as a whole or not at all, and one
 * that watches a key only while it watches.
 */
export function brokenGroups(made: readonly Made[], ledger: Ledger): string[] {
  const groups = new Map<string, Made[]>();
  for (const call of made) {
    if (call.group === undefined || call.group.kind === "aside") continue;
    const { kind, number } = call.group;
    const name = `${kind} ${number}`;
    groups.set(name, [...(groups.get(name) ?? []), call]);
  }
  return [...groups].flatMap(([name, calls]) => {
    if (calls[0]?.group?.kind === "batch") return [...outOfOrder(name, calls, ledger), ...readTooMuch(name, calls)];
    const entries = calls.filter(isMarked).map(({ number }) => ledger.of(number));
    const broken: string[] = [];
    if (new Set(entries.map(({ executed }) => executed)).size > 1) broken.push(`${name} ran in part`);
    const group = calls[0]?.group;
    if (group?.kind !== "watch") return broken;
    broken.push(...notWatchedAlone(name, calls, ledger));
    const { saw } = group;
    const isStale = ({ executed, heldThen }: Entry) => executed > 0 && saw !== undefined && heldThen !== saw;
    const stale = entries.find(isStale);
    if (stale) broken.push(`${name} ran though its key had changed: it read ${saw}, and then it was ${stale.heldThen}`);
    if (entries.some(({ executed, watched }) => executed > 0 && watched === 0)) {
      broken.push(`${name} ran without watching its key`);
    }
    return broken;
  });
}

/** It is not given up for a key that another transaction has watched on the same connection. */
function notWatchedAlone(name: string, calls: readonly Made[], ledger: Ledger): string[] {
  const foreign = calls.flatMap(({ key, number }) => {
    const tag = /\{.*\}/.exec(key ?? "")?.[0] ?? "";
    return ledger.of(number).gaveUpFor.filter((watched) => watched !== `value:${tag}`);
  });
  return foreign.length === 0 ? [] : [`${name} was given up for ${foreign[0]}, which it does not watch`];
}

function outOfOrder(name: string, calls: readonly Made[], ledger: Ledger): string[] {
  const latest = new Map<string, Made>();
  return calls.flatMap((call) => {
    const entry = ledger.of(call.number);
    // What ended otherwise may still run late; and of what ran twice, the first attempt may have.
    if (call.key === undefined || call.failure !== undefined || entry.executed !== 1) return [];
    const before = latest.get(call.key);
    if (!isRead(call)) latest.set(call.key, call);
    if (before === undefined || ledger.of(before.number).executedAs < entry.executedAs) return [];
    return [`${name}: call ${call.number} ran before call ${before.number} of the same key`];
  });
}

/** A read of a batch, however often it is repeated, does not see a value that a later call of the batch has written. */
function readTooMuch(name: string, calls: readonly Made[]): string[] {
  return calls.flatMap((call, index) => {
    if (!isRead(call) || call.failure !== undefined) return [];
    const seen = marksIn(["", String(Array.isArray(call.reply) ? call.reply[1] : call.reply)]);
    const later = calls.slice(index + 1).find(({ number }) => seen.includes(number));
    return later === undefined ? [] : [`${name}: call ${call.number} saw what call ${later.number} wrote behind it`];
  });
}

/** A read of a batch sees what an earlier call of the batch has written, or something newer. */
export function readTooLittle(made: readonly Made[], ledger: Ledger): string[] {
  const written = new Map<string, Made>();
  const isCertain = ({ number, failure }: Made) => failure === undefined && ledger.of(number).executed === 1;
  return made.flatMap((call) => {
    const { group, key, reply, what } = call;
    if (group?.kind !== "batch" || key === undefined) return [];
    const name = `${group.number} ${key}`;
    if (what === "set" || what === "put") written.set(name, call);
    const before = written.get(name);
    if (before === undefined || !isRead(call) || call.failure !== undefined || !isCertain(before)) return [];
    const [seen] = marksIn(["", String(Array.isArray(reply) ? reply[1] : reply)]);
    const isNewer = seen !== undefined && ledger.of(seen).executedLast >= ledger.of(before.number).executedAs;
    return isNewer ? [] : [`batch ${group.number}: call ${call.number} did not see what call ${before.number} wrote`];
  });
}

function isRead({ what }: Made): boolean {
  return what === "read" || what === "get";
}

/**
 * No more calls are pending for one node than its bound, as far as calls know: between being made and being settled, and
 * not those of a batch or transaction, which wait for their turn.
 *
 * @param made  Calls that only the primaries of their slots serve, which never moved.
 */
export function boundsExceeded(made: readonly Made[], most: number, shardOf: (slot: number) => number): string[] {
  const changes = new Map<number, { at: number; by: 1 | -1 }[]>();
  for (const { slot, madeAt, settledAt, group, what } of made) {
    // What is refused is settled in the moment in which it is made. What blocks has a bound of its own.
    if (slot < 0 || what === "pop" || group !== undefined || settledAt === undefined || settledAt === madeAt) continue;
    const shard = shardOf(slot);
    const list = changes.get(shard) ?? [];
    changes.set(shard, list);
    list.push({ at: madeAt, by: 1 }, { at: settledAt, by: -1 });
  }
  return [...changes].flatMap(([shard, list]) => {
    let [pending, peak] = [0, 0];
    for (const { by } of list.sort((a, b) => a.at - b.at || a.by - b.by)) {
      pending += by;
      peak = Math.max(peak, pending);
    }
    return peak <= most ? [] : [`${peak} calls were pending for shard ${shard}, where ${most} may be`];
  });
}

/** Loads of one script on one node: one at first, one for each time that the node lost it, a few that crossed. */
export function tooManyLoads(nodes: readonly SimNode[], made: readonly Made[]): string[] {
  const inGroups = made.filter(({ group }) => group !== undefined).length;
  return nodes.flatMap((node) => {
    const most = 1 + node.flushes + 2 * node.accepted + inGroups;
    const mostNeedless = node.flushes + node.accepted + inGroups;
    return [...node.loads].flatMap(([sha, { all, needless }]) => {
      if (all <= most && needless <= mostNeedless) return [];
      return [`${node.name} was sent script ${sha.slice(0, 8)} ${all} times, ${needless} of them needlessly`];
    });
  });
}
