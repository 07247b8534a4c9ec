import { type Clock, realTime, type Timer } from "../environment.ts";

/** How long the sockets may go without being read before they are read in front of the next write. */
const BEHIND_MS = 50;

const { setTimeout: startTimeout, clearTimeout: stopTimeout, now, wallNow } = realTime;
const { setImmediate: startImmediate, clearImmediate: stopImmediate, nextTick } = realTime;

/** Notes when this process has read its sockets. It reads them all in one place of each turn of its event loop. */
class Attention {
  /** A socket was read since `isBehind` was asked last. The clock is not read at each read. */
  hasRead = false;
  #askedAt = 0;
  /** At this time, or later, sockets were read. */
  #readAt = 0;

  isBehind(): boolean {
    const askedAt = wallNow();
    if (this.hasRead) this.#readAt = this.#askedAt;
    this.hasRead = false;
    this.#askedAt = askedAt;
    const sinceMs = askedAt - this.#readAt;
    return sinceMs > BEHIND_MS || sinceMs < 0;
  }

  noteAllRead(): void {
    this.#askedAt = wallNow();
    this.#readAt = this.#askedAt;
  }
}

/** The attention of this process. Whoever reads a socket sets `hasRead`. */
export const attention = new Attention();

/** Node's time and event loop. A turn of Node's event loop: timers, then the sockets are read, then immediates, then closed handles. */
export const nodeClock: Clock = {
  now,
  setTimer(callback, delayMs, background = false): Timer {
    let read: NodeJS.Immediate | undefined;
    // A time that has just passed gives a delay below 0, of which newer runtimes warn the process.
    const handle = startTimeout(
      () => {
        // It keeps the process alive for this turn, because otherwise the loop would wait in front of it.
        read = startImmediate(callback);
      },
      Math.max(0, delayMs),
    );
    if (background) handle.unref();
    return {
      cancel() {
        stopTimeout(handle);
        stopImmediate(read);
      },
    };
  },
  nextTick,
  afterReads: (callback) => void startImmediate(callback),
  isBehind: () => attention.isBehind(),
  afterArrivals(callback) {
    // The present turn may be past its reads, so the first immediate can come before them.
    startImmediate(() =>
      startImmediate(() => {
        attention.noteAllRead();
        callback();
      }),
    );
  },
};
