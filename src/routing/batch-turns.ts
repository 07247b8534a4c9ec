import { type CallKeys, findOrder, type OrderedCall } from "./batch-order.ts";

/** The turn of a call of a batch: for whom it waits, and who waits for it. */
export class Turn<C> {
  readonly call: C;
  /** The calls in front of it that have not ended. */
  waitsFor = 0;
  /** The calls that wait for it, in call order. */
  readonly followers: Turn<C>[] = [];
  /** The call reads behind a write of one of its keys. */
  isBehindWrite = false;
  /** The call was handed on, and has not come back. */
  isSent = false;

  constructor(call: C) {
    this.call = call;
  }
}

/** A call, as far as its turn depends on it. */
export interface SlottedCall extends OrderedCall {
  /** The slot of all its keys; -1 without keys. */
  readonly slot: number;
}

const SLOT_COUNT = 16_384;
/** By slot, a number that says whether this batch has one call there, or several. Made for the first batch. */
let marks: Uint32Array | undefined;
/** The mark of slots with one call. The next number marks those with several. */
let once = 0;

/** The keys of the calls that share their slot with another one. Undefined if there is none: then no key is shared. */
function keysInSharedSlots(
  calls: readonly SlottedCall[],
  keys: readonly (CallKeys | undefined)[],
): (CallKeys | undefined)[] | undefined {
  marks ??= new Uint32Array(SLOT_COUNT);
  once += 2;
  if (once >= 2 ** 32) {
    marks.fill(0);
    once = 2;
  }
  let isShared = false;
  for (const { slot } of calls) {
    if (slot < 0) continue;
    const mark = marks[slot] as number;
    if (mark < once) marks[slot] = once;
    else if (mark === once) {
      marks[slot] = once + 1;
      isShared = true;
    }
  }
  if (!isShared) return undefined;
  const shared = new Array<CallKeys | undefined>(calls.length);
  for (let position = 0; position < calls.length; position++) {
    const { slot } = calls[position] as SlottedCall;
    if (slot >= 0 && marks[slot] !== once) shared[position] = keys[position];
  }
  return shared;
}

/**
 * Gives a turn to each call that waits for another one or is waited for.
 * @param keys  For each call its keys; undefined for a call without.
 * @returns For each call its turn; undefined for a call that may go at any time. Undefined if that is so for all calls.
 */
export function turnsOf<C extends SlottedCall>(
  calls: readonly C[],
  keys: readonly (CallKeys | undefined)[],
): (Turn<C> | undefined)[] | undefined {
  // Most batches have no key twice. A slot is compared faster than a key.
  const shared = keysInSharedSlots(calls, keys);
  if (shared === undefined) return undefined;
  let turns: (Turn<C> | undefined)[] | undefined;
  const turnOf = (position: number): Turn<C> => {
    turns ??= new Array(calls.length).fill(undefined);
    turns[position] ??= new Turn(calls[position] as C);
    return turns[position];
  };
  for (const [position, before] of findOrder(calls, shared).entries()) {
    if (before === undefined) continue;
    const turn = turnOf(position);
    turn.waitsFor = before.calls.length;
    turn.isBehindWrite = before.isBehindWrite;
    for (const each of before.calls) turnOf(each).followers.push(turn);
  }
  return turns;
}

/**
 * A call has ended: the calls that waited for it wait for one less. A call that ended before its turn came (its time was
 * up) lets nobody pass before that turn.
 *
 * @param release  Called with each turn that has come.
 */
export function passOn<C extends { readonly settled: boolean }>(
  ended: Turn<C>,
  release: (turn: Turn<C>) => void,
): void {
  const passing = [ended];
  for (let turn = passing.pop(); turn !== undefined; turn = passing.pop()) {
    if (turn.waitsFor > 0) continue;
    for (const follower of turn.followers) {
      if (--follower.waitsFor > 0) continue;
      if (follower.call.settled) passing.push(follower);
      else if (!follower.isSent) release(follower);
    }
  }
}
