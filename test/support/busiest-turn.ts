import { closeSync, openSync, readSync } from "node:fs";

/**
 * Measures the processor time of the longest turn of the event loop: that of this thread alone, so that other processes
 * on the machine do not count. Where the system does not tell it, the time of the whole process counts.
 *
 * `using turns = new BusiestTurn();` stops it where the block ends.
 */
export class BusiestTurn {
  #most = 0;
  #sum = 0;
  #last: number;
  #ended = false;
  readonly #file: number | undefined;
  readonly #buffer = Buffer.alloc(64);

  constructor() {
    this.#file = schedstat();
    this.#last = this.#now();
    const look = () => {
      if (this.#ended) return;
      const now = this.#now();
      this.#most = Math.max(this.#most, now - this.#last);
      this.#sum += now - this.#last;
      this.#last = now;
      setImmediate(look);
    };
    setImmediate(look);
  }

  /** Milliseconds. */
  get ms(): number {
    return this.#most;
  }

  /** Milliseconds of all turns. */
  get sumMs(): number {
    return this.#sum;
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    if (this.#file !== undefined) closeSync(this.#file);
  }

  #now(): number {
    if (this.#file === undefined) {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    }
    const length = readSync(this.#file, this.#buffer, 0, this.#buffer.length, 0);
    return Number(this.#buffer.toString("latin1", 0, length).split(" ", 1)[0]) / 1e6;
  }
}

/** Linux counts the nanoseconds that each thread had a processor. */
function schedstat(): number | undefined {
  try {
    return openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  } catch {
    return undefined;
  }
}
