import type { Environment } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import { Ring } from "../protocol/ring.ts";
import type { Call, CallFeed } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** How many bytes of script a round trip is worth: above it, waiting for an answer is cheaper than sending the body. */
const BODY_BYTES_PER_WAIT = 4096;
/**
 * How far a load ahead reaches. A server takes 16 KiB at a time from a connection; between two such reads another client's
 * flush can come, and what follows the load would run without the calls that miss it.
 */
const BYTES_BEHIND_LOAD = 12 * 1024;
/** Before looking again whether a full node has room, when no answer of our own will tell. */
const LOOK_AGAIN_MS = 5;

/** Sends calls that have been admitted, those of each slot in their order. One node's bounds hold up no other's calls. */
export function feedAll(dispatcher: Dispatcher, environment: Environment, calls: readonly Call[]): void {
  const byOwner = new Map<ClusterNode | undefined, Call[]>();
  for (const call of calls) {
    const owner = call.slot < 0 ? undefined : dispatcher.ownerOf(call.slot);
    const together = byOwner.get(owner);
    if (together === undefined) byOwner.set(owner, [call]);
    else together.push(call);
  }
  for (const together of byOwner.values()) new BatchFeed(dispatcher, environment, together).start();
}

/**
 * Feeds calls to the dispatcher as fast as the bounds allow, so that those of a slot run in their order. All calls of a
 * slot are in one feed.
 *
 * Order is at stake where a call follows a script call of its slot: were the script missing, the call behind it would
 * run first. Then the script is loaded ahead in the same write or, if its source is long or the write has got long, the
 * calls behind it wait for its final answer.
 *
 *   calls --in order--> offered to the dispatcher
 *            '-- behind a call that has to be answered first --> held back, by slot --answer--> offered
 */
class BatchFeed implements CallFeed {
  readonly #dispatcher: Dispatcher;
  readonly #environment: Environment;
  readonly #calls: readonly Call[];
  /** Script calls that another call of their slot comes behind. */
  readonly #orderAtStake = new Set<Call>();
  /** Calls that have to be answered before others of their slot are sent. */
  readonly #awaited = new Map<number, Call>();
  readonly #heldBack = new Map<number, Ring<Call>>();
  /** By slot, the last script call of the present write that went behind a load. */
  readonly #covered = new Map<number, Call>();
  /** Bytes offered for the present write. */
  #offeredBytes = 0;
  /** Slots with calls held back for nobody any more. */
  #released: number[] = [];
  /** What was sent to the owner of each slot and may have no answer yet, oldest first, once anything had to wait. */
  #unanswered: Map<number, Ring<Call>> | undefined;
  #next = 0;
  #outstanding = 0;
  #scheduled = false;

  constructor(dispatcher: Dispatcher, environment: Environment, calls: readonly Call[]) {
    this.#dispatcher = dispatcher;
    this.#environment = environment;
    this.#calls = calls;
    this.#findOrderAtStake();
  }

  start(): void {
    this.#dispatcher.feeds.add(this);
    this.#feed();
  }

  onCallSettled(call: Call, replied: boolean): void {
    this.#outstanding--;
    if (this.#awaited.get(call.slot) === call) {
      if (replied && call.kind.registered?.kind === "script") call.kind.registered.noteAnswered(call.frame);
      this.#awaited.delete(call.slot);
      this.#released.push(call.slot);
    }
    this.#feedSoon();
  }

  onClosed(): void {
    for (const waiting of this.#heldBack.values()) for (const call of waiting.takeAll()) call.reject(new ClosedError());
    while (this.#next < this.#calls.length) this.#calls[this.#next++]?.reject(new ClosedError());
  }

  readonly #feed = (): void => {
    this.#scheduled = false;
    this.#offeredBytes = 0;
    const isThrough = this.#offerReleased() && this.#offerNext();
    if (isThrough) {
      this.#covered.clear();
      if (this.#heldBack.size === 0) this.#dispatcher.feeds.delete(this);
      return;
    }
    this.#awaitCovered();
    if (this.#outstanding === 0) this.#environment.clock.setTimer(this.#feed, LOOK_AGAIN_MS);
  };

  #feedSoon(): void {
    if (this.#scheduled || (this.#next === this.#calls.length && this.#released.length === 0)) return;
    this.#scheduled = true;
    this.#environment.clock.nextTick(this.#feed);
  }

  /** False when a node has no room. */
  #offerReleased(): boolean {
    while (this.#released.length > 0) {
      const slot = this.#released.at(-1) as number;
      const waiting = this.#heldBack.get(slot);
      for (let call = waiting?.peek(); call !== undefined && !this.#awaited.has(slot); call = waiting?.peek()) {
        const moving = this.#movingBefore(call);
        if (moving !== undefined) this.#await(moving);
        else if (this.#offer(call)) waiting?.shift();
        else return false;
      }
      this.#released.pop();
      if (waiting?.size === 0) this.#heldBack.delete(slot);
    }
    return true;
  }

  /** False when a node has no room. */
  #offerNext(): boolean {
    for (let call = this.#calls[this.#next]; call !== undefined; call = this.#calls[this.#next]) {
      const before = this.#heldBack.get(call.slot) ?? this.#startHoldingBack(call);
      if (before !== undefined) before.push(call);
      else if (!this.#offer(call)) {
        this.#noteUnanswered();
        return false;
      }
      this.#next++;
    }
    return true;
  }

  #startHoldingBack(call: Call): Ring<Call> | undefined {
    const awaited = this.#awaited.get(call.slot) ?? this.#movingBefore(call);
    if (awaited === undefined) return undefined;
    this.#await(awaited);
    const waiting = new Ring<Call>();
    this.#heldBack.set(call.slot, waiting);
    return waiting;
  }

  /** A call sent before a wait that is on its way to another node by now, where this one would overtake it. */
  #movingBefore({ slot }: Call): Call | undefined {
    const sent = slot < 0 ? undefined : this.#unanswered?.get(slot);
    let oldest = sent?.peek();
    for (; oldest?.settled; oldest = sent?.peek()) sent?.shift();
    if (oldest === undefined) return undefined;
    // Who moves, moves in order: the oldest comes last to where it goes.
    return oldest.history !== undefined || oldest.node !== this.#dispatcher.ownerOf(slot) ? oldest : undefined;
  }

  #offer(call: Call): boolean {
    if (call.settled) return true;
    const reach = this.#offeredBytes + call.frame.length;
    const loadsAhead = this.#orderAtStake.has(call) && reach <= BYTES_BEHIND_LOAD && this.#isWorthLoading(call);
    const extras = call.withExtras;
    extras.loadsAhead = loadsAhead;
    extras.feed = this;
    this.#outstanding++;
    if (!this.#dispatcher.offer(call)) {
      this.#outstanding--;
      extras.feed = undefined;
      return false;
    }
    this.#offeredBytes = reach;
    if (call.settled) return true;
    if (loadsAhead) this.#covered.set(call.slot, call);
    else if (this.#orderAtStake.has(call)) this.#await(call);
    if (reach > BYTES_BEHIND_LOAD && this.#covered.size > 0) this.#awaitCovered();
    if (this.#unanswered !== undefined) this.#noteSent(this.#unanswered, call);
    return true;
  }

  /** Other calls of its slot are held back until it is answered. Meanwhile the slot may move from under what was sent. */
  #await(call: Call): void {
    this.#awaited.set(call.slot, call);
    this.#noteUnanswered();
  }

  /** What comes next of their slots is out of the loads' reach. */
  #awaitCovered(): void {
    for (const [slot, call] of this.#covered) if (!call.settled && !this.#awaited.has(slot)) this.#await(call);
    this.#covered.clear();
  }

  /**
   * Where loading fails, the source goes with the call after a NOSCRIPT, which is too late for those behind; and so does a
   * call by EVALSHA_RO go again by EVALSHA, where the servers are too old for it.
   */
  #isWorthLoading({ kind: { registered }, slot, frame }: Call): boolean {
    if (registered?.kind !== "script" || registered.loadFrame.length > BODY_BYTES_PER_WAIT) return false;
    if (registered.mayBeUnknown(frame)) return false;
    return this.#dispatcher.ownerOf(slot)?.scripts.stateOf(registered)?.kind !== "failed";
  }

  #noteUnanswered(): void {
    if (this.#unanswered !== undefined) return;
    this.#unanswered = new Map();
    for (const call of this.#calls.slice(0, this.#next)) {
      // Not those that are held back: they would wait for themselves.
      if (!call.settled && call.extras?.feed === this) this.#noteSent(this.#unanswered, call);
    }
  }

  #noteSent(unanswered: Map<number, Ring<Call>>, call: Call): void {
    if (call.kind.readFrom !== "primary" || call.kind.blocking !== undefined) return;
    const sent = unanswered.get(call.slot) ?? new Ring<Call>();
    unanswered.set(call.slot, sent);
    sent.push(call);
  }

  #findOrderAtStake(): void {
    const followed = new Set<number>();
    for (let index = this.#calls.length - 1; index >= 0; index--) {
      const call = this.#calls[index] as Call;
      if (call.slot < 0) continue;
      // Functions are not lost with a restart or a flush of scripts: their order is not at stake.
      if (call.kind.registered?.kind === "script" && followed.has(call.slot)) this.#orderAtStake.add(call);
      followed.add(call.slot);
    }
  }
}
