import { type BackoffRange, backoffMs } from "../connection/backoff.ts";
import type { Environment, Timer } from "../environment.ts";
import type { Call } from "./call.ts";

/** Milliseconds from a refusal to the next attempt. */
export const RETRY_PAUSES: BackoffRange = { firstMs: 4, mostMs: 100 };

/**
 * Calls that were refused and pause before the next attempt. The calls of a slot leave together, in the order of their
 * refusals.
 */
export class WaitingRoom {
  readonly #environment: Environment;
  readonly #leave: (call: Call) => void;
  readonly #pauses: BackoffRange;
  readonly #bySlot = new Map<number, { readonly calls: Call[]; readonly timer: Timer; readonly endsAt: number }>();

  constructor(environment: Environment, leave: (call: Call) => void, pauses = RETRY_PAUSES) {
    this.#environment = environment;
    this.#pauses = pauses;
    this.#leave = leave;
  }

  /**
   * The milliseconds that a call of `slot` is to wait: what is left of the wait of others, or a wait of its own.
   * @param attempt  The number of times that the call has waited before.
   */
  draw(slot: number, attempt: number): number {
    const { clock, random } = this.#environment;
    const waiting = this.#bySlot.get(slot);
    if (waiting !== undefined) return Math.max(0, waiting.endsAt - clock.now());
    return backoffMs(attempt, this.#pauses, random());
  }

  /** @param waitMs  As drawn. It counts unless calls of the slot wait already. */
  enter(call: Call, waitMs: number): void {
    const waiting = this.#bySlot.get(call.slot);
    if (waiting) {
      waiting.calls.push(call);
      return;
    }
    const { clock } = this.#environment;
    const timer = clock.setTimer(() => this.#release(call.slot), waitMs);
    this.#bySlot.set(call.slot, { calls: [call], timer, endsAt: clock.now() + waitMs });
  }

  /** Whether a call of a slot waits. */
  isWaitedIn(slot: number): boolean {
    return this.#bySlot.has(slot);
  }

  /** Lets all calls leave, because something has changed. */
  releaseAll(): void {
    for (const slot of [...this.#bySlot.keys()]) this.#release(slot);
  }

  #release(slot: number): void {
    const waiting = this.#bySlot.get(slot);
    if (waiting === undefined) return;
    this.#bySlot.delete(slot);
    waiting.timer.cancel();
    for (const call of waiting.calls) this.#leave(call);
  }
}
