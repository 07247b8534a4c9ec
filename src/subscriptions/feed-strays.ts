import type { Request } from "../connection/request.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import { slotAskedIn } from "./feed-requests.ts";

/**
 * Answers of one connection that come too late. A slot can leave the node while SUNSUBSCRIBE is on its way: the server says
 * `sunsubscribe` unasked, which looks like the answer, and answers MOVED afterwards. That MOVED must not be taken for the
 * answer to the next request, which may be about another slot.
 */
export class StrayMoves {
  /** Slots with channels that have been left since the last confirmation. */
  readonly #left = new Set<number>();

  /** A channel of the slot was left; -1 for what is not sharded. */
  noteLeft(slot: number): void {
    if (slot !== -1) this.#left.add(slot);
  }

  /** Channels of the slot were confirmed: what the server says of it from now on is no answer from before. */
  noteConfirmed(slot: number): void {
    this.#left.delete(slot);
  }

  /** @param next  The request that is to be answered next. */
  has(error: string, next: Request | undefined): boolean {
    const refusal = parseErrorReply(error);
    return refusal.kind === "moved" && this.#left.has(refusal.slot) && slotAskedIn(next) !== refusal.slot;
  }
}
