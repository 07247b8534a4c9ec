import type { KeyedCall } from "./batch-order.ts";
import { findOrder } from "./batch-order.ts";

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

/**
 * Gives a turn to each call that waits for another one or is waited for.
 * @returns For each call its turn; undefined for a call that may go at any time. Undefined if that is so for all calls.
 */
export function turnsOf<C extends KeyedCall>(calls: readonly C[]): (Turn<C> | undefined)[] | undefined {
  if (calls.length < 2) return undefined;
  let turns: (Turn<C> | undefined)[] | undefined;
  const turnOf = (position: number): Turn<C> => {
    turns ??= new Array(calls.length).fill(undefined);
    turns[position] ??= new Turn(calls[position] as C);
    return turns[position];
  };
  for (const [position, before] of findOrder(calls).entries()) {
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
