import type { Connection } from "../connection/connection.ts";
import { type PoolLimits, queueFull } from "../connection/node-pool.ts";
import type { QueueFullError } from "../errors.ts";
import { invariant } from "../invariant.ts";

/**
 * What waits without a node that it could count for: calls of slots without owner, commands of several steps, and
 * watching transactions between two sessions. All of it counts together, under the bounds of one node.
 */
export class Unplaced {
  readonly #limits: Pick<PoolLimits, "maxPending" | "maxPendingBytes">;
  #items = 0;
  #bytes = 0;

  constructor(limits: Pick<PoolLimits, "maxPending" | "maxPendingBytes">) {
    this.#limits = limits;
  }

  hasRoomFor(bytes: number): boolean {
    if (this.#items >= this.#limits.maxPending) return false;
    return this.#bytes === 0 || this.#bytes + bytes <= this.#limits.maxPendingBytes;
  }

  /** The error to refuse something of `bytes` with, or undefined when it may wait. */
  refusalOf(bytes: number): QueueFullError | undefined {
    return this.hasRoomFor(bytes) ? undefined : queueFull(undefined, this.#limits, this.#items);
  }

  /** The same for a session, which has the bounds of a node for its own connection. */
  refusalOn({ address, callsInFlight, pendingBytes }: Connection, bytes: number): QueueFullError | undefined {
    const { maxPending, maxPendingBytes } = this.#limits;
    const hasRoom = pendingBytes === 0 || pendingBytes + bytes <= maxPendingBytes;
    return callsInFlight < maxPending && hasRoom ? undefined : queueFull(address, this.#limits, callsInFlight);
  }

  /** Counts what has been admitted: it keeps its place, so it is not refused any more. */
  hold(bytes: number): void {
    this.#items++;
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#items--;
    this.#bytes -= bytes;
    invariant(this.#items >= 0 && this.#bytes >= 0, "only what is held is released");
  }
}
