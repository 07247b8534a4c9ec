import type { KeyGroup, Period, Ran } from "./read-history.ts";

/** A read that may be answered from memory, as its caller sees it. */
export interface CachedRead {
  readonly number: number;
  /** What was asked for, in words. */
  readonly what: string;
  readonly group: KeyGroup;
  readonly madeAt: number;
  /** Writes of the client to a key of the read that had ended well when it was made. */
  readonly writesDone: readonly string[];
  /** Writes that had been called then. It sees them where nothing is refused. */
  readonly writesCalled: readonly string[];
  /** Whether the reply can be what keys of these values are read as. */
  readonly fits: (values: readonly (string | null)[], reply: unknown) => boolean;
  /** The positions of its keys in those of the group. Keys that it derives are not among them. */
  readonly keys: readonly number[];
  /** What does not come from memory may come from a replica, which is behind. */
  readonly mayLag: boolean;
  settledAt: number | undefined;
  reply: unknown;
  failure: string | undefined;
}

export interface ReadRules {
  /** Milliseconds. */
  readonly maxStaleness: number;
  /** Nothing is refused, so that what was called first runs first. */
  readonly isPlain: boolean;
  /** Writes that were acknowledged were lost, by a failover or a move. */
  readonly isLossy: boolean;
  /** Whether a slot was on its way. Replicas answer for keys that have gone as if they had never been there. */
  readonly hasMoved: (slot: number) => boolean;
}

/**
 * What was read is what the keys held at a node that answered for them, at most `maxStaleness` before the read was made; not before
 * the client's own writes ran, and not, where it came from memory, when the keys' time to live was over.
 * A time to live that was set between the answers to PTTL and to the read is not known before the server's word of that
 * change has come, for which it has `maxStaleness`.
 *
 * @param ran  Where and when a write of the client ran.
 */
export function brokenReads(
  reads: readonly CachedRead[],
  { maxStaleness, isPlain, isLossy, hasMoved }: ReadRules,
  ran: (write: string) => Ran | undefined,
): string[] {
  return reads.flatMap((read) => {
    const { settledAt, failure } = read;
    if (settledAt === undefined) return [`${nameOf(read)} is not settled`];
    if (failure !== undefined) return [];
    if (read.mayLag && settledAt > read.madeAt) return isLossy || hasMoved(read.group.slot) ? [] : neverThere(read);
    const lower = read.madeAt - maxStaleness;
    const current = periodsThatFit(read, lower, settledAt);
    if (current.length === 0) return [`${nameOf(read)} ${tooOld(read, maxStaleness)}`];
    for (const write of isPlain ? [...read.writesDone, ...read.writesCalled] : read.writesDone) {
      const written = ran(write);
      if (written === undefined) continue;
      const { node, at } = written;
      // Another node that answered for the keys all the time has not got the write; but what was not there may be sent for.
      const includes = (period: Period) => period.to > at && (isLossy || period.node === node || period.isComing);
      if (!current.some((period) => period.from >= at || includes(period))) {
        return [`${nameOf(read)} did not see the client's own write ${write}, which ran at ${at.toFixed(2)}`];
      }
    }
    const outlived = ({ from, to, expired }: Period) => expired && to < read.madeAt - TTL_SLACK_MS && from < lower;
    if (settledAt === read.madeAt && current.every(outlived)) {
      return [
        `${nameOf(read)} was answered ${(read.madeAt - Math.max(...current.map(({ to }) => to))).toFixed(2)} ms after the key's time to live`,
      ];
    }
    return [];
  });
}

/** PTTL tells whole milliseconds. */
const TTL_SLACK_MS = 1;

function periodsThatFit(read: CachedRead, lower: number, upper: number): Period[] {
  const { group, fits, keys, reply } = read;
  return group.periods.filter(({ from, to, values, isLeaving }) => {
    if (from > upper || (to <= lower && from < lower)) return false;
    return fits(values, reply) && !(isLeaving && keys.some((key) => values[key] === null));
  });
}

/**
 * What a replica has said was so at some time, but for keys whose time is over: a replica sees that by itself, before it
 * hears of what was written to other keys.
 */
function neverThere(read: CachedRead): string[] {
  const { group, fits, reply } = read;
  const ended = group.keys.map((_, index) => group.periods.some(({ values }) => values[index] === null));
  const isKnown = group.periods.some(
    ({ from, values }) =>
      from <= (read.settledAt as number) && withoutSome(values, ended).some((left) => fits(left, reply)),
  );
  return isKnown ? [] : [`${nameOf(read)} ${tooOld(read, 0)}`];
}

/** The values, with each set of those keys missing that were missing at some time. */
function withoutSome(
  values: readonly (string | null)[],
  mayMiss: readonly boolean[],
): readonly (readonly (string | null)[])[] {
  let all: (string | null)[][] = [[]];
  for (const [index, value] of values.entries()) {
    const choices = mayMiss[index] && value !== null ? [value, null] : [value];
    all = all.flatMap((left) => choices.map((choice) => [...left, choice]));
  }
  return all;
}

function nameOf({ number, what, madeAt }: CachedRead): string {
  return `read r${number} (${what}) of ${madeAt.toFixed(2)}`;
}

function tooOld(read: CachedRead, maxStaleness: number): string {
  const earlier = periodsThatFit(read, Number.NEGATIVE_INFINITY, read.settledAt as number).map(({ to }) => to);
  const reply = JSON.stringify(read.reply);
  if (earlier.length === 0) return `was answered ${reply}, which it never was`;
  const age = read.madeAt - Math.max(...earlier);
  return `was answered ${reply}, which was over ${age.toFixed(2)} ms before, where ${maxStaleness} may be`;
}
