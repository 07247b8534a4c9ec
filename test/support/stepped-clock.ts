import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Environment } from "../../src/environment.ts";
import { FakeClock } from "./fake-clock.ts";

/** Real sockets and the real turns of the event loop, but time passes only when a test says so. */
export class SteppedClock extends FakeClock {
  readonly environment: Environment = { ...nodeEnvironment, clock: this };

  override nextTick(callback: () => void): void {
    process.nextTick(callback);
  }

  override afterReads(callback: () => void): void {
    setImmediate(callback);
  }

  override afterArrivals(callback: () => void): void {
    setImmediate(() => setImmediate(callback));
  }

  /** A timer that a call waits for is due within `milliseconds`. Timers of the background are none. */
  isDueWithin(milliseconds: number): boolean {
    return [...this.pending].some(({ at, background }) => !background && at <= this.time + milliseconds);
  }

  /** From one timer to the next, each with the turns of the event loop that it causes. */
  async pass(milliseconds: number): Promise<void> {
    // What was begun just now has the present time.
    await turns(1);
    for (const end = this.time + milliseconds; this.time < end; ) {
      const next = Math.min(end, ...[...this.pending].map(({ at }) => at).filter((at) => at > this.time));
      this.advance(next - this.time);
      await turns(3);
    }
  }
}

/** Lets the event loop turn. What needs neither a socket nor a timer has happened after a few turns. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}
