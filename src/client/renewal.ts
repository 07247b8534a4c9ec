import { type BackoffRange, backoffMs } from "../connection/backoff.ts";
import type { Clock, Environment, Timer } from "../environment.ts";
import type { Credentials } from "../options.ts";

/** After a failure the credentials are soon wanted, but a provider or a server in trouble is not to be pressed. */
const AGAIN: BackoffRange = { firstMs: 1000, mostMs: 10_000 };

/** A provider is not asked more often, whatever it says. Timers of Node are no longer than the second figure. */
const SHORTEST_MS = 100;
const LONGEST_MS = 2 ** 31 - 1;
/** Clients that were started together do not come together. Up to so much earlier than it says is a provider asked. */
const JITTER = 0.1;

/**
 * Renews credentials that expire. A provider says with its answer after which time it wants to be asked again.
 *
 *   answer with `renewAfter` --> waiting --time is up--> renewing --done--> the answer says when next
 *                                   ^                        '--failed--> again after 1 s to 10 s
 *                                   '-- the earliest of all answers counts: each connection has logged in with its own
 */
export class Renewal {
  readonly #clock: Clock;
  readonly #random: () => number;
  #timer: Timer | undefined;
  #at = Number.POSITIVE_INFINITY;
  #failures = 0;
  /** Undefined while there is nothing to renew yet. */
  #renew: (() => Promise<void>) | undefined;
  #isDue = false;
  #closed = false;

  constructor({ clock, random }: Environment) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The provider, whose answers are listened to. */
  listeningTo<C extends Credentials>(ask: () => Promise<C>): () => Promise<C> {
    return async () => {
      const answer = await ask();
      if (answer.renewAfter !== undefined) this.#wake(answer.renewAfter * (1 - JITTER * this.#random()));
      return answer;
    };
  }

  /** From now on there are connections to renew. */
  begin(renew: () => Promise<void>): void {
    this.#renew = renew;
    if (this.#isDue) void this.#renewNow();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #wake(wantedMs: number): void {
    const afterMs = Math.min(Math.max(wantedMs, SHORTEST_MS), LONGEST_MS);
    const at = this.#clock.now() + afterMs;
    if (this.#closed || at >= this.#at) return;
    this.#at = at;
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(() => void this.#renewNow(), afterMs, true);
  }

  async #renewNow(): Promise<void> {
    this.#at = Number.POSITIVE_INFINITY;
    this.#isDue = this.#renew === undefined;
    try {
      await this.#renew?.();
      this.#failures = 0;
    } catch {
      // Connections that are refused say so by themselves.
      this.#wake(backoffMs(this.#failures++, AGAIN, this.#random()));
    }
  }
}
