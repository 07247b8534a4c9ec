import type { Clock } from "../environment.ts";

/** Milliseconds of one turn of the event loop that long work may take, for all nodes together. */
const SHARE_MS = 3;

/**
 * Divides long work among the turns of the event loop. Each piece of work takes a turn first; when those of a turn have
 * used its share, the next ones wait for a later turn.
 */
export class Turns {
  readonly #clock: Clock;
  /** When the work of the present turn began. Undefined while the turn has none. */
  #began: number | undefined;
  #next: Promise<void> | undefined;
  #waiting = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether any work waits for its turn. */
  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  async take(): Promise<void> {
    this.#waiting++;
    while (this.#began !== undefined && this.#clock.now() - this.#began >= SHARE_MS) await this.#next;
    this.#waiting--;
    if (this.#began !== undefined) return;
    this.#began = this.#clock.now();
    this.#next = new Promise((resolve) => {
      this.#clock.afterReads(() => {
        this.#began = undefined;
        resolve();
      });
    });
  }
}
