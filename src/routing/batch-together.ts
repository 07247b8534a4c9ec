import type { Turn } from "./batch-turns.ts";

/** What a call adds to a transaction. */
export interface Share {
  /** The length of its frame. */
  readonly bytes: number;
  /** The script that has to be loaded in the transaction, if the call runs one. */
  readonly source: { readonly loadFrame: string } | undefined;
  /** The call reads, so its reply can be as long as a value. */
  readonly reads: boolean;
}

/** Bounds on the calls that go together. */
export interface TogetherLimits {
  /** As many calls as the node has room for. */
  readonly calls: number;
  /** So many calls that read: EXEC's reply holds all of theirs. */
  readonly reads: number;
  /** Each call brings its source by itself, because SCRIPT LOAD is forbidden. */
  readonly bySource: boolean;
}

/**
 * A server runs what it reads at once, 16 KiB, without looking at its other clients. So a transaction of that size keeps
 * them waiting no longer than a pipeline does.
 */
const MOST_BYTES = 16 * 1024;
/**
 * From so many round trips on that it saves, a transaction is used. A short chain waits: it takes a moment, and needs
 * neither MULTI nor a source.
 */
const LEAST_SAVED = 7;
/** A round trip that is saved is worth so many bytes of source. */
const SOURCE_BYTES_PER_WAIT = 4096;

/**
 * The calls that go together with `head`, whose turn has come, in one transaction: those that wait for `head`, and for
 * others of them, and for nothing else. Undefined where waiting is cheaper, so that `head` goes alone.
 *
 * A transaction costs the source of each of its scripts, which goes inside so that no script can be missing. Waiting
 * costs a round trip for each call that has the longest chain of calls in front of it. Pure;
 * `test/unit/batch-together.test.ts` has the table.
 *
 * @param shareOf  What a call adds; undefined for a call that cannot be part of a transaction.
 */
export function chooseTogether<C extends { readonly settled: boolean }>(
  head: Turn<C>,
  shareOf: (call: C) => Share | undefined,
  { calls: mostCalls, reads: mostReads, bySource }: TogetherLimits,
): C[] | undefined {
  if (head.followers.length === 0 || mostCalls <= LEAST_SAVED) return undefined;
  const chosen: Turn<C>[] = [];
  /** By call, how many of the calls that it waits for are chosen, and the round trips that it would wait for them. */
  const reached = new Map<Turn<C>, { calls: number; waits: number }>();
  const sources = new Set<Share["source"]>();
  let bytes = 0;
  let sourceBytes = 0;
  let waits = 0;
  let reads = 0;
  const queue = [head];
  for (let at = 0; at < queue.length && chosen.length < mostCalls; at++) {
    const turn = queue[at] as Turn<C>;
    const share = shareOf(turn.call);
    if (share === undefined || turn.call.settled || turn.isSent || bytes + share.bytes > MOST_BYTES) continue;
    if (share.reads && ++reads > mostReads) continue;
    chosen.push(turn);
    bytes += share.bytes;
    if (share.source !== undefined && (bySource || !sources.has(share.source))) {
      sources.add(share.source);
      sourceBytes += share.source.loadFrame.length;
    }
    const own = reached.get(turn)?.waits ?? 0;
    waits = Math.max(waits, own);
    for (const follower of turn.followers) {
      const so = reached.get(follower) ?? { calls: 0, waits: 0 };
      reached.set(follower, so);
      so.calls++;
      so.waits = Math.max(so.waits, own + 1);
      if (so.calls === follower.waitsFor) queue.push(follower);
    }
  }
  if (waits < LEAST_SAVED || sourceBytes > waits * SOURCE_BYTES_PER_WAIT) return undefined;
  return chosen.map(({ call }) => call);
}
