import type { Environment } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import { Ring } from "../protocol/ring.ts";
import { chooseTogether, type Share } from "./batch-together.ts";
import { passOn, type Turn } from "./batch-turns.ts";
import type { Call, CallFeed, CallKind } from "./call.ts";
import { CallGroup, type GroupOwner } from "./call-group.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** Milliseconds to the next look at a full node, if no call of this feed ends before. */
const LOOK_AGAIN_MS = 5;
/**
 * A group's replies come as one reply, and a server may close a connection for which too much waits: then all of the
 * group is lost. So few calls that read go together at first, and twice as many as long as their replies are short.
 */
const FIRST_READS = 4;
const SHORT_REPLIES_BYTES = 64 * 1024;

/**
 * Feeds calls to the dispatcher as fast as the bounds allow. All calls of a slot are in one feed.
 *
 * The order of a key's calls is kept by one rule: a call is written when the calls of its keys in front of it have ended,
 * or together with them in one transaction. So no refusal, loss or pause of one call lets the next one overtake it.
 *
 *   calls --its turn has come--> offered to the dispatcher, alone or in a group
 *     '-- waits for others --> released when the last of them ends --> offered
 *   a group that was refused or lost --> its calls are taken back, and wait for their turns
 */
export class BatchFeed implements CallFeed, GroupOwner {
  readonly #dispatcher: Dispatcher;
  readonly #environment: Environment;
  /** The calls that were given to this feed, in call order. */
  readonly #calls: Call[] = [];
  /** Calls whose turn has come since the feed passed them. They go first. */
  readonly #released = new Ring<Call>();
  /** By slot: the groups that were refused there, and the calls that have to be answered before the next group. */
  readonly #refusals = new Map<number, { groups: number; callsToCome: number }>();
  #next = 0;
  #outstanding = 0;
  #scheduled = false;
  #closed = false;
  #givingUp = false;
  /** A timer is set for the next look at a full node. */
  #looksAgain = false;
  /** So many calls that read go together. 0 after long replies, or a loss. */
  #mostReads = FIRST_READS;

  constructor(dispatcher: Dispatcher, environment: Environment) {
    this.#dispatcher = dispatcher;
    this.#environment = environment;
  }

  /** Notes the turn of a call that is added afterwards. */
  keepTurn(turn: Turn<Call>): void {
    const { call } = turn;
    const extras = call.withExtras;
    extras.turn = turn;
    // From now on, so that the calls behind it hear of its end even if it is never sent.
    extras.feed = this;
    if (turn.isBehindWrite && call.kind.readFrom !== "primary") call.kind = atPrimary(call.kind);
  }

  /** Takes a call that is to be sent, behind those that were added before. */
  add(call: Call): void {
    this.#calls.push(call);
  }

  /** Hears of the end of a call that was sent without a feed. */
  adopt(call: Call): void {
    if (call.settled) return;
    call.withExtras.feed = this;
    this.#outstanding++;
  }

  start(): void {
    this.#dispatcher.feeds.add(this);
    this.#feed();
  }

  onCallSettled(call: Call, replied: boolean): void {
    const turn = call.extras?.turn;
    if (turn === undefined || turn.isSent) this.#outstanding--;
    if (replied) this.#noteServed(call.slot);
    if (turn !== undefined) passOn(turn, (next) => this.#released.push(next.call));
    this.#feedSoon();
  }

  onGivenUp(call: Call): void {
    // A call that is given up here calls this again.
    if (this.#givingUp) return;
    this.#givingUp = true;
    const behind = new Set(call.extras?.turn?.followers);
    for (const turn of behind) {
      if (turn.isSent) continue;
      if (!turn.call.settled) turn.call.expire();
      for (const follower of turn.followers) behind.add(follower);
    }
    this.#givingUp = false;
  }

  onClosed(): void {
    this.#closed = true;
    for (const [index, call] of this.#calls.entries()) {
      const turn = call.extras?.turn;
      const isSent = turn === undefined ? index < this.#next : turn.isSent;
      if (!isSent) call.reject(new ClosedError(call.outcomeSoFar));
    }
  }

  takeBack(calls: readonly Call[], wasRefused: boolean): void {
    for (const call of calls) {
      const turn = call.extras?.turn;
      if (turn === undefined || call.settled) continue;
      this.#outstanding--;
      call.place = "new";
      turn.isSent = false;
      if (this.#closed) call.reject(new ClosedError(call.outcomeSoFar));
      else if (turn.waitsFor === 0) this.#released.push(call);
      if (wasRefused && call === calls[0]) this.#noteRefused(call.slot);
    }
    this.#feedSoon();
  }

  noteReplies(bytes: number): void {
    this.#mostReads = bytes > SHORT_REPLIES_BYTES ? 0 : 2 * this.#mostReads;
  }

  noteLost(slot: number): void {
    this.#mostReads = 0;
    this.#noteRefused(slot);
  }

  isNext(call: Call): boolean {
    return call.extras?.turn?.waitsFor === 0;
  }

  isOverwritten(call: Call, group: ReadonlySet<Call>): boolean {
    const behind = new Set(call.extras?.turn?.followers);
    for (const turn of behind) {
      if (!group.has(turn.call)) continue;
      if (!turn.call.kind.reads) return true;
      for (const follower of turn.followers) behind.add(follower);
    }
    return false;
  }

  readonly #feed = (): void => {
    this.#scheduled = false;
    if (this.#closed) return;
    if (this.#offerReleased() && this.#offerNext()) {
      // Calls that still wait are released by calls that are under way.
      if (this.#outstanding === 0) this.#dispatcher.feeds.delete(this);
    } else if (!this.#looksAgain) {
      // A call of this feed may be put off for long, so its answer is not waited for.
      this.#looksAgain = true;
      this.#environment.clock.setTimer(this.#lookAgain, LOOK_AGAIN_MS);
    }
  };

  readonly #lookAgain = (): void => {
    this.#looksAgain = false;
    this.#feed();
  };

  #feedSoon(): void {
    if (this.#scheduled) return;
    if (this.#next === this.#calls.length && this.#released.size === 0) {
      if (this.#outstanding === 0) this.#dispatcher.feeds.delete(this);
      return;
    }
    this.#scheduled = true;
    this.#environment.clock.nextTick(this.#feed);
  }

  /** False when a node has no room. */
  #offerReleased(): boolean {
    for (let call = this.#released.peek(); call !== undefined; call = this.#released.peek()) {
      if (!this.#offer(call)) return false;
      this.#released.shift();
    }
    return true;
  }

  /** False when a node has no room. */
  #offerNext(): boolean {
    for (let call = this.#calls[this.#next]; call !== undefined; call = this.#calls[this.#next]) {
      if (!this.#offer(call)) return false;
      this.#next++;
    }
    return true;
  }

  /** Sends a call whose turn has come. False when its node has no room. */
  #offer(call: Call): boolean {
    const turn = call.extras?.turn;
    if (call.settled || turn?.isSent || (turn !== undefined && turn.waitsFor > 0)) return true;
    const group = turn === undefined ? undefined : this.#groupOf(turn);
    if (group !== undefined) {
      this.#sendGroup(group);
      return true;
    }
    const extras = call.withExtras;
    extras.feed = this;
    if (turn !== undefined) turn.isSent = true;
    this.#outstanding++;
    if (this.#dispatcher.offer(call)) return true;
    this.#outstanding--;
    if (turn !== undefined) turn.isSent = false;
    else extras.feed = undefined;
    return false;
  }

  /** The calls that go in one transaction with the call, if that is cheaper than waiting for each of them. */
  #groupOf(turn: Turn<Call>): CallGroup | undefined {
    const { slot } = turn.call;
    if (turn.followers.length === 0 || this.#refusals.get(slot)?.callsToCome) return undefined;
    const node = this.#dispatcher.ownerOf(slot);
    const lane = node?.pool.laneOf(slot);
    if (node === undefined || lane?.ready !== true) return undefined;
    const { roomForCalls, roomForBytes } = node.pool;
    const calls = chooseTogether(turn, (call) => shareOf(call, node), {
      calls: roomForCalls,
      reads: this.#mostReads,
      bySource: node.scripts.deniesLoads,
    });
    if (calls === undefined) return undefined;
    if (!node.transactions.isTaken) {
      // The answer is there when that to the call is, which goes alone this time.
      node.transactions.ask(lane);
      return undefined;
    }
    const group = new CallGroup(calls, node, this);
    return group.frame.length <= roomForBytes ? group : undefined;
  }

  #sendGroup(group: CallGroup): void {
    for (const { extras } of group.calls) if (extras?.turn !== undefined) extras.turn.isSent = true;
    this.#outstanding += group.calls.length;
    group.enter();
  }

  #noteRefused(slot: number): void {
    const groups = (this.#refusals.get(slot)?.groups ?? 0) + 1;
    this.#refusals.set(slot, { groups, callsToCome: 2 ** groups });
  }

  #noteServed(slot: number): void {
    const refusals = this.#refusals.get(slot);
    if (refusals !== undefined && refusals.callsToCome > 0) refusals.callsToCome--;
  }
}

/**
 * What a call adds to a transaction on `node`. Only calls on the owner of their slot can be part of one. A library is no
 * part of it, because loading it again would disturb its other users.
 */
function shareOf({ frame, kind }: Call, node: ClusterNode): Share | undefined {
  if (kind.readFrom !== "primary" || kind.blocking !== undefined || kind.transaction !== undefined) return undefined;
  const { registered } = kind;
  if (registered?.kind === "library" && node.scripts.stateOf(registered)?.kind !== "held") return undefined;
  return { bytes: frame.length, source: registered?.kind === "script" ? registered : undefined, reads: kind.reads };
}

const atPrimaries = new WeakMap<CallKind, CallKind>();

/** The same kind of call, served by primaries alone. */
function atPrimary(kind: CallKind): CallKind {
  let same = atPrimaries.get(kind);
  if (same === undefined) {
    same = { ...kind, readFrom: "primary" };
    atPrimaries.set(kind, same);
  }
  return same;
}
