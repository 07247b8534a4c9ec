import type { Clock } from "../environment.ts";

/** So many connections begin in one turn of the event loop: each takes some tenths of a millisecond. */
const MOST_PER_TURN = 16;
/** While many lanes fail, each failure costs so much of the next wait, up to `CROWDED_MS`. */
const MS_PER_FAILING = 20;
const CROWDED_MS = 1000;
/** While very many lanes fail, all of them together try 200 times a second. */
const LEAST_MS_PER_FAILING = 5;

/**
 * All connections of a client to a crowd of nodes. They begin in turns, and the more of them fail, the less often each is
 * tried: otherwise they would take all of the process's time, or all of a turn.
 */
export class Crowd {
  readonly #clock: Clock;
  readonly #beginning: (() => void)[] = [];
  #begun = 0;
  #isTurnAwaited = false;
  /** The lanes that wait for their next try. */
  failing = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether any connection waits for its turn. */
  get isBusy(): boolean {
    return this.#beginning.length > 0;
  }

  /** Calls `begin` now, or in the next turn that has room. */
  begin(begin: () => void): void {
    this.#awaitTurn();
    if (this.#begun >= MOST_PER_TURN) this.#beginning.push(begin);
    else {
      this.#begun++;
      begin();
    }
  }

  /** The least milliseconds from a failed try to the next one; a quarter of it may be taken off by chance. */
  get leastWaitMs(): number {
    return Math.max(Math.min(this.failing * MS_PER_FAILING, CROWDED_MS), this.failing * LEAST_MS_PER_FAILING);
  }

  #awaitTurn(): void {
    if (this.#isTurnAwaited) return;
    this.#isTurnAwaited = true;
    this.#clock.afterReads(() => {
      this.#isTurnAwaited = false;
      const next = this.#beginning.splice(0, MOST_PER_TURN);
      this.#begun = next.length;
      if (this.#beginning.length > 0) this.#awaitTurn();
      for (const begin of next) begin();
    });
  }
}
