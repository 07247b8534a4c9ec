import type { Clock, Timer } from "../environment.ts";
import type { Store } from "./store.ts";

/** The process works for so long at a time, and has so long for other things in between. */
const SLICE_MS = 1;
const PAUSE_MS = 4;
/** So many entries are cleared away between two looks at the clock: about 0.05 ms of work. */
const PER_LOOK = 16;
/** And so many in a slice, also where the clock does not move on. */
const MOST = 1024;

/** Clears away what has ended in a store, in slices. */
export class Clearing {
  readonly #clock: Clock;
  readonly #store: Store;
  #timer: Timer | undefined;

  constructor(clock: Clock, store: Store) {
    this.#clock = clock;
    this.#store = store;
  }

  /** Something waits to be cleared away. */
  begin(): void {
    this.#timer ??= this.#clock.setTimer(() => this.#slice(), PAUSE_MS, true);
  }

  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #slice(): void {
    this.#timer = undefined;
    const end = this.#clock.now() + SLICE_MS;
    for (let cleared = 0; cleared < MOST; cleared += PER_LOOK) {
      this.#store.clear(PER_LOOK);
      if (this.#store.waiting === 0 || this.#clock.now() >= end) break;
    }
    if (this.#store.waiting > 0) this.begin();
  }
}
