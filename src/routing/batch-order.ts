import { binaryOf } from "../protocol/encode.ts";

/** A call, as far as the order of a batch depends on it. */
export interface OrderedCall {
  /** `reads`: the call changes nothing. */
  readonly kind: { readonly reads: boolean };
}

/** The text of the only key of a call, or its keys as binary strings: text is encoded only if it has to be compared. */
export type CallKeys = string | readonly string[];

/** The calls of one key that a further call of the key may have to wait for. */
interface Seen {
  /** The last one that may write, by its position. */
  writer: number | undefined;
  /** Those behind it that read. */
  readers: number[];
}

/** What a call has in front of it. */
export interface Before {
  /** The positions of the calls that have to end before this one is written, each once. */
  readonly calls: readonly number[];
  /** A call that may write one of the keys is in front, so a replica may not have the value yet. */
  readonly isBehindWrite: boolean;
}

/**
 * Which calls of a batch have to end before which others are written. Pure; `test/unit/batch-order.test.ts` is this
 * table.
 *
 * | the call | waits, for each of its keys, for |
 * | --- | --- |
 * | reads | the last call in front of it that may write the key |
 * | may write | the reads behind that one, or that one if there are none |
 *
 * Two reads with no write between them have no order: neither can tell which was first.
 *
 * @param keysOf  For each call its keys. A call without has no place in the order.
 * @returns For each call what is in front of it; undefined where that is nothing.
 */
export function findOrder(
  calls: readonly OrderedCall[],
  keysOf: readonly (CallKeys | undefined)[],
): (Before | undefined)[] {
  const seen = new Map<string, Seen>();
  return calls.map(({ kind: { reads } }, position) => {
    const keys = keysOf[position];
    if (keys === undefined) return undefined;
    return beforeOf(typeof keys === "string" ? [binaryOf(keys, "key", 0)] : keys, reads, position, seen);
  });
}

function beforeOf(
  keys: readonly string[],
  reads: boolean,
  position: number,
  seen: Map<string, Seen>,
): Before | undefined {
  let calls: number[] | undefined;
  let isBehindWrite = false;
  for (const key of keys) {
    const before = seen.get(key);
    if (before === undefined) {
      seen.set(key, reads ? { writer: undefined, readers: [position] } : { writer: position, readers: [] });
      continue;
    }
    const { writer, readers } = before;
    // A key can be named twice: a call does not wait for itself.
    if (writer === position || readers.at(-1) === position) continue;
    if (writer !== undefined) isBehindWrite = true;
    const awaited = reads || readers.length === 0 ? (writer === undefined ? [] : [writer]) : readers;
    for (const each of awaited) {
      calls ??= [];
      if (keys.length === 1 || !calls.includes(each)) calls.push(each);
    }
    if (reads) readers.push(position);
    else {
      before.writer = position;
      before.readers = [];
    }
  }
  return calls === undefined ? undefined : { calls, isBehindWrite };
}
