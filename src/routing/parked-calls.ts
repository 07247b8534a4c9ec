import type { NodePool } from "../connection/node-pool.ts";
import type { Environment } from "../environment.ts";
import { invariant } from "../invariant.ts";
import type { Call } from "./call.ts";
import { WaitingRoom } from "./waiting-room.ts";

/**
 * Calls that are in no lane, because they wait for a refresh, for a load or for their turn. Each counts in the bounds of
 * the node that it came from, so that a cluster that is down does not collect calls without end.
 *
 * Invariant: a call is in here exactly while its place is `parked` and nobody is handling it.
 */
export class ParkedCalls {
  readonly #pools = new Map<Call, NodePool | undefined>();
  readonly #room: WaitingRoom;

  /** @param leave  Sends a call whose pause is over. */
  constructor(environment: Environment, leave: (call: Call) => void) {
    this.#room = new WaitingRoom(environment, (call) => {
      this.release(call);
      leave(call);
    });
  }

  /** The call waits for its next attempt: the longer, the more often it has waited. */
  pause(call: Call, timesBefore: number): void {
    this.#hold(call);
    this.#room.enter(call, Math.max(0, timesBefore));
  }

  /** The call waits for `ready`, and then `next` goes on with it, unless the call was settled meanwhile. */
  waitFor(call: Call, ready: Promise<void>, next: () => void): void {
    this.#hold(call);
    void ready.then(() => {
      this.release(call);
      if (!call.settled) next();
    });
  }

  /** Something has changed: no call needs to pause any longer. */
  endPauses(): void {
    this.#room.releaseAll();
  }

  /** A call that waits here, or has been settled meanwhile, waits no longer. */
  release(call: Call): void {
    if (!this.#pools.has(call)) return;
    const pool = this.#pools.get(call);
    if (call.kind.blocking === undefined) pool?.release(call.frame.length);
    else pool?.dedicated.release();
    this.#pools.delete(call);
  }

  get all(): readonly Call[] {
    return [...this.#pools.keys()];
  }

  #hold(call: Call): void {
    invariant(!this.#pools.has(call), "a call waits in one place");
    invariant(call.place === "parked" || call.place === "new", "a call that waits is in no queue");
    const { pool } = call;
    call.place = "parked";
    this.#pools.set(call, pool);
    if (call.kind.blocking === undefined) pool?.hold(call.frame.length);
    else pool?.dedicated.hold();
  }
}
