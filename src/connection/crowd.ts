import type { Clock, Timer } from "../environment.ts";

/** So many connections begin in one turn of the event loop: each takes some tenths of a millisecond. */
const MOST_PER_TURN = 16;
/** While many lanes fail, each failure costs so much of the next wait, up to `CROWDED_MS`. */
const MS_PER_FAILING = 20;
const CROWDED_MS = 1000;
/** While very many lanes fail, all of them together try 200 times a second. */
const LEAST_MS_PER_FAILING = 5;
/**
 * From so many failing lanes on, tries are made in common turns, this far apart. A turn that wakes the process for one try
 * costs several times what one try more costs in a turn.
 */
const COMMON_FROM = 16;
const COMMON_MS = 250;

/** Tries that begin in one turn, by one timer. */
interface CommonTurn {
  readonly begin: Set<() => void>;
  readonly timer: Timer;
}

/**
 * All connections of a client to a crowd of nodes. They begin in turns, and the more of them fail, the less often each is
 * tried: otherwise they would take all of the process's time, or all of a turn.
 */
export class Crowd {
  readonly #clock: Clock;
  readonly #beginning: (() => void)[] = [];
  /** By their number since the clock began. */
  readonly #commonTurns = new Map<number, CommonTurn>();
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

  /** Calls `begin` after a wait. In a crowd, that is in a common turn, which all that are due near it share with one timer. */
  beginAfter(waitMs: number, begin: () => void): Timer {
    if (this.failing < COMMON_FROM) return this.#clock.setTimer(begin, waitMs);
    const now = this.#clock.now();
    let turn = Math.ceil((now + waitMs) / COMMON_MS);
    if (turn * COMMON_MS - now > Math.max(CROWDED_MS, waitMs)) turn--;
    const tries = this.#commonTurns.get(turn) ?? this.#newCommonTurn(turn, turn * COMMON_MS - now);
    tries.begin.add(begin);
    return {
      cancel: () => {
        if (!tries.begin.delete(begin) || tries.begin.size > 0) return;
        tries.timer.cancel();
        this.#commonTurns.delete(turn);
      },
    };
  }

  #newCommonTurn(turn: number, waitMs: number): CommonTurn {
    const begin = new Set<() => void>();
    const timer = this.#clock.setTimer(() => {
      this.#commonTurns.delete(turn);
      for (const each of begin) each();
    }, waitMs);
    const tries = { begin, timer };
    this.#commonTurns.set(turn, tries);
    return tries;
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
