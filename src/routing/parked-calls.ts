import type { BackoffRange } from "../connection/backoff.ts";
import type { NodePool } from "../connection/node-pool.ts";
import type { Environment } from "../environment.ts";
import { invariant } from "../invariant.ts";
import type { Call } from "./call.ts";
import { dedicatedFor } from "./placement.ts";
import type { Unplaced } from "./unplaced.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** Calls without owner look again after this time when no round of queries ends. */
const UNANSWERED: BackoffRange = { firstMs: 500, mostMs: 500 };

/** Where a call counts while it waits. */
interface Account {
  hold(bytes: number): void;
  release(bytes: number): void;
}

/**
 * The calls that are in no lane, because they wait for a refresh, for a load or for the end of a pause. Each call
 * counts in the bounds of the node that it came from, and while its slot has no owner in the bounds of all such calls
 * together. So a cluster that is down does not collect calls without end.
 *
 * Invariant: a call is in here exactly while its place is `parked` and no code is handling it.
 */
export class ParkedCalls {
  /** Each with the bytes that were counted, because the next attempt can have another frame. */
  readonly #held = new Map<Call, { readonly account: Account; readonly bytes: number }>();
  readonly #unplaced: Unplaced;
  readonly #room: WaitingRoom;
  /** Calls of slots without owner. There can be many, so they look again when a round of queries has ended. */
  readonly #ownerless: WaitingRoom;

  /** @param leave  Sends a call whose pause is over. */
  constructor(environment: Environment, unplaced: Unplaced, leave: (call: Call) => void) {
    this.#unplaced = unplaced;
    const end = (call: Call) => {
      this.release(call);
      leave(call);
    };
    this.#room = new WaitingRoom(environment, end);
    this.#ownerless = new WaitingRoom(environment, end, UNANSWERED);
  }

  /** The milliseconds of a call's pause before its next attempt: the more often it has paused, the longer. */
  drawPause(call: Call, timesBefore: number): number {
    return this.#room.draw(call.slot, Math.max(0, timesBefore));
  }

  /** Lets a call pause before its next attempt, for the time that was drawn. */
  pause(call: Call, pauseMs: number): void {
    this.#hold(call, accountOf(call));
    this.#room.enter(call, pauseMs);
  }

  /** Whether a call of a slot pauses. */
  isPausing(slot: number): boolean {
    return this.#room.isWaitedIn(slot);
  }

  /** The milliseconds after which a call looks for the owner of its slot again, if no round of queries ends sooner. */
  drawOwnerWait(call: Call): number {
    return this.#ownerless.draw(call.slot, 0);
  }

  /** Lets a call wait for the end of a round of queries, which may show an owner of its slot. */
  waitForOwner(call: Call, waitMs: number): void {
    this.#hold(call, this.#unplaced);
    this.#ownerless.enter(call, waitMs);
  }

  /** Lets a call wait for `ready`. Then `next` continues, unless the call was settled meanwhile. */
  waitFor(call: Call, ready: Promise<void>, next: () => void): void {
    this.#hold(call, accountOf(call));
    void ready.then(() => {
      this.release(call);
      if (!call.settled) next();
    });
  }

  /** Ends all pauses, because something has changed. */
  endPauses(): void {
    this.#room.releaseAll();
    this.lookForOwners();
  }

  /** A round of queries has ended. */
  lookForOwners(): void {
    this.#ownerless.releaseAll();
  }

  /** Takes a call out, because its wait is over or the call is settled. Does nothing if the call does not wait here. */
  release(call: Call): void {
    const held = this.#held.get(call);
    if (held === undefined) return;
    this.#held.delete(call);
    held.account.release(held.bytes);
  }

  get all(): readonly Call[] {
    return [...this.#held.keys()];
  }

  #hold(call: Call, account: Account): void {
    invariant(!this.#held.has(call), "a call waits in one place");
    invariant(call.place === "parked" || call.place === "new", "a call that waits is in no queue");
    call.place = "parked";
    const bytes = call.frame.length;
    this.#held.set(call, { account, bytes });
    account.hold(bytes);
  }
}

/** The account of the node that a call came from. */
function accountOf(call: Call): Account {
  const { kind, pool } = call;
  const from = pool as NodePool;
  return kind.blocking === undefined ? from : dedicatedFor(call, from);
}
