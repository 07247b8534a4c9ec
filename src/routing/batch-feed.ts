import { ASKING } from "../connection/request.ts";
import type { Environment } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import { Ring } from "../protocol/ring.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";
import type { Call, CallFeed } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** Up to so many bytes of source for each covered call, a load is cheaper than a round trip. */
const SOURCE_BYTES_PER_WAIT = 4096;
/**
 * Within so many bytes of one write, no other client's command can run in between. A server reads 16 KiB at a time, and
 * another client's SCRIPT FLUSH can run between two reads. So a SCRIPT LOAD protects only calls that are read together
 * with it.
 */
const BYTES_READ_TOGETHER = 15 * 1024;
/**
 * From this length on, a source for the calls of one script alone begins a reach of its own: the calls behind it are read
 * together with its last bytes, or in the next read.
 */
const LONG_SOURCE_BYTES = 1024;
/** Milliseconds to the next look at a full node, if no call of this feed is under way whose answer would make room. */
const LOOK_AGAIN_MS = 5;

/**
 * Sends calls that have been admitted; with `ordered`, the calls of each slot in their order. A node without room does
 * not delay the calls of other nodes.
 */
export function feedAll(
  dispatcher: Dispatcher,
  environment: Environment,
  calls: readonly Call[],
  ordered: boolean,
): void {
  const byOwner = new Map<ClusterNode | undefined, Call[]>();
  for (const call of calls) {
    const owner = call.slot < 0 ? undefined : dispatcher.ownerOf(call.slot);
    const together = byOwner.get(owner);
    if (together === undefined) byOwner.set(owner, [call]);
    else together.push(call);
  }
  for (const together of byOwner.values()) new BatchFeed(dispatcher, environment, together, ordered).start();
}

/** Calls of its slot that come behind a script call. */
interface Followers {
  readonly all: number;
  /** Those directly behind it that run the same script. */
  readonly ofSame: number;
}

/** How a load ahead covers the calls behind it. */
interface Cover {
  /** Bytes that it still covers, behind the call. */
  readonly safeBytes: number;
  /** The source is long, so that the calls behind it may be read later: they count from its end. */
  readonly beginsReach: boolean;
}

/**
 * Feeds calls to the dispatcher as fast as the bounds allow, so that the calls of a slot run in their order. All calls
 * of a slot are in one feed.
 *
 * Order is at stake where a call follows a script call of its slot: if the script is missing, the call behind it runs
 * first. The feed keeps the order in one of two ways. Either the script is loaded ahead in the same write; this covers
 * the calls that the server reads together with the load. Or the calls behind it wait for the script's final answer.
 *
 * Behind a long source, only calls of that script are covered. If a flush comes between two reads of them, all later ones
 * are refused and keep their order, whereas a plain command, or a script that brings its own load, would run.
 *
 *   calls --in order--> offered to the dispatcher
 *            '-- behind a call that has to be answered first --> held back, by slot --answer--> offered
 */
class BatchFeed implements CallFeed {
  readonly #dispatcher: Dispatcher;
  readonly #environment: Environment;
  readonly #calls: readonly Call[];
  readonly #ordered: boolean;
  /** The script calls that have other calls of their slot behind them. */
  readonly #followers = new Map<Call, Followers>();
  /** By slot, the call that has to be answered before further calls of the slot are sent. */
  readonly #awaited = new Map<number, Call>();
  readonly #heldBack = new Map<number, Ring<Call>>();
  /** By slot, the last script call of the present write that a load covers. */
  readonly #covered = new Map<number, Call>();
  /** The slots whose covered call is behind a long source, so that only calls of its script may follow it. */
  readonly #coveredForOneScript = new Set<number>();
  /** The scripts that are loaded ahead in the present write. */
  readonly #ahead = new Set<RegisteredScript>();
  /** A long source is in the present write, so that calls behind it may be in the read after the source's last. */
  #reachesOneScript = false;
  /**
   * The bytes that can still be added to the present write, so that the server reads them together with its beginning,
   * or with the last bytes of a long source.
   */
  #safeBytes = BYTES_READ_TOGETHER;
  /** The slots whose awaited call was answered: the calls that are held back may go. */
  #released: number[] = [];
  /**
   * By slot, the calls that were sent to its owner and may have no answer yet, oldest first. Filled from the
   * first time on that a call had to wait.
   */
  #unanswered: Map<number, Ring<Call>> | undefined;
  #next = 0;
  #outstanding = 0;
  #scheduled = false;

  constructor(dispatcher: Dispatcher, environment: Environment, calls: readonly Call[], ordered: boolean) {
    this.#dispatcher = dispatcher;
    this.#environment = environment;
    this.#calls = calls;
    this.#ordered = ordered;
    if (ordered) this.#findFollowers();
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
    this.#safeBytes = BYTES_READ_TOGETHER;
    this.#ahead.clear();
    this.#reachesOneScript = false;
    const isThrough = this.#offerReleased() && this.#offerNext();
    if (isThrough) {
      this.#forgetCovered();
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
        const first = this.#firstBefore(call);
        if (first !== undefined) this.#await(first);
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
    if (!this.#ordered) return undefined;
    const awaited = this.#awaited.get(call.slot) ?? this.#firstBefore(call);
    if (awaited === undefined) return undefined;
    this.#await(awaited);
    const waiting = new Ring<Call>();
    this.#heldBack.set(call.slot, waiting);
    return waiting;
  }

  /** A call that has to be answered before `call` is sent. */
  #firstBefore(call: Call): Call | undefined {
    return this.#movingBefore(call) ?? this.#notCovering(call);
  }

  /** The oldest unanswered call of the slot, if it is going to another node, so that `call` would overtake it. */
  #movingBefore({ slot }: Call): Call | undefined {
    const sent = slot < 0 || !this.#ordered ? undefined : this.#unanswered?.get(slot);
    let oldest = sent?.peek();
    for (; oldest?.settled; oldest = sent?.peek()) sent?.shift();
    if (oldest === undefined) return undefined;
    // Calls that are sent to another node keep their order, so the oldest one tells for all.
    return oldest.history !== undefined || oldest.node !== this.#dispatcher.ownerOf(slot) ? oldest : undefined;
  }

  /** The covered call of the slot, where its cover is for calls of its own script only, and `call` is another one. */
  #notCovering({ kind, slot }: Call): Call | undefined {
    if (!this.#coveredForOneScript.has(slot)) return undefined;
    const covered = this.#covered.get(slot);
    if (covered === undefined || covered.settled || covered.kind.registered === kind.registered) return undefined;
    return covered;
  }

  #offer(call: Call): boolean {
    if (call.settled) return true;
    const cover = this.#coverFor(call);
    const extras = call.withExtras;
    extras.loadsAhead = cover !== undefined;
    extras.feed = this;
    this.#outstanding++;
    if (!this.#dispatcher.offer(call)) {
      this.#outstanding--;
      extras.feed = undefined;
      return false;
    }
    if (cover === undefined) this.#safeBytes -= sizeOf(call);
    else this.#take(call, cover);
    if (call.settled) return true;
    if (cover !== undefined) this.#covered.set(call.slot, call);
    else if (this.#followers.has(call)) this.#await(call);
    if (this.#safeBytes < 0 && this.#covered.size > 0) this.#awaitCovered();
    if (this.#unanswered !== undefined) this.#noteSent(this.#unanswered, call);
    return true;
  }

  /** How a load ahead covers the calls behind `call`; undefined where there are none, or where waiting is cheaper. */
  #coverFor(call: Call): Cover | undefined {
    const followers = this.#followers.get(call);
    const { registered } = call.kind;
    if (followers === undefined || registered?.kind !== "script" || !this.#canLoad(call, registered)) return undefined;
    const length = sizeOf(call);
    const source = this.#ahead.has(registered) ? 0 : registered.loadFrame.length;
    const isForOneScript = followers.ofSame === followers.all;
    const beginsReach = source > LONG_SOURCE_BYTES && isForOneScript;
    if (source > SOURCE_BYTES_PER_WAIT && !isForOneScript) return undefined;
    const safeBytes = beginsReach ? BYTES_READ_TOGETHER - length : this.#safeBytes - source - length;
    const covered = Math.min(followers.all, Math.floor(Math.max(0, safeBytes) / length));
    if (safeBytes < 0 || source > covered * SOURCE_BYTES_PER_WAIT) return undefined;
    return { safeBytes, beginsReach };
  }

  /** `call` goes behind its cover from now on. */
  #take(call: Call, { safeBytes, beginsReach }: Cover): void {
    if (beginsReach) {
      this.#awaitCovered();
      this.#ahead.clear();
      this.#reachesOneScript = true;
    }
    this.#safeBytes = safeBytes;
    this.#ahead.add(call.kind.registered as RegisteredScript);
    if (this.#reachesOneScript) this.#coveredForOneScript.add(call.slot);
  }

  /**
   * Holds back further calls of the slot until `call` is answered. Meanwhile the slot of calls that were sent may move.
   */
  #await(call: Call): void {
    this.#awaited.set(call.slot, call);
    this.#noteUnanswered();
  }

  /** Makes the next calls of the covered slots wait, because they are out of the loads' reach. */
  #awaitCovered(): void {
    for (const [slot, call] of this.#covered) if (!call.settled && !this.#awaited.has(slot)) this.#await(call);
    this.#forgetCovered();
  }

  #forgetCovered(): void {
    this.#covered.clear();
    this.#coveredForOneScript.clear();
  }

  /**
   * Whether a load ahead protects the calls behind it. Where loading fails, the call is sent again with its source
   * after a NOSCRIPT, which is too late for the calls behind it. The same holds for EVALSHA_RO on servers that are too
   * old for it, because the call is sent again by EVALSHA.
   */
  #canLoad({ slot, frame }: Call, script: RegisteredScript): boolean {
    if (script.mayBeUnknown(frame)) return false;
    return this.#dispatcher.ownerOf(slot)?.scripts.takesLoadOf(script) !== false;
  }

  #noteUnanswered(): void {
    if (this.#unanswered !== undefined) return;
    this.#unanswered = new Map();
    for (const call of this.#calls.slice(0, this.#next)) {
      // A call that is held back is left out, because it would wait for itself.
      if (!call.settled && call.extras?.feed === this) this.#noteSent(this.#unanswered, call);
    }
  }

  #noteSent(unanswered: Map<number, Ring<Call>>, call: Call): void {
    if (call.kind.readFrom !== "primary" || call.kind.blocking !== undefined) return;
    const sent = unanswered.get(call.slot) ?? new Ring<Call>();
    unanswered.set(call.slot, sent);
    sent.push(call);
  }

  #findFollowers(): void {
    const behind = new Map<number, Followers & { readonly first: Call }>();
    for (let index = this.#calls.length - 1; index >= 0; index--) {
      const call = this.#calls[index] as Call;
      if (call.slot < 0) continue;
      const { registered } = call.kind;
      const next = behind.get(call.slot);
      const isSame = registered !== undefined && next?.first.kind.registered === registered;
      const followers = { all: next === undefined ? 0 : next.all + 1, ofSame: isSame ? next.ofSame + 1 : 0 };
      // A restart or a flush of scripts does not remove functions, so their order is not at stake.
      if (registered?.kind === "script" && next !== undefined) this.#followers.set(call, followers);
      behind.set(call.slot, { ...followers, first: call });
    }
  }
}

/** Bytes that a call may take of a write: where its slot migrates, it goes behind an ASKING. */
function sizeOf({ frame }: Call): number {
  return frame.length + ASKING.frame.length;
}
