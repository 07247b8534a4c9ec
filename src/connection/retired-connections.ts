import type { Clock } from "../environment.ts";
import type { Connection } from "./connection.ts";

/** Replies that have not come after this time may never come. */
const LIMIT_MS = 10_000;

/** Connections that were replaced. Each stays open until its last reply has come. */
export class RetiredConnections {
  readonly #clock: Clock;
  readonly #open = new Set<Connection>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The users' calls in flight on these connections. */
  get callsInFlight(): number {
    let calls = 0;
    for (const connection of this.#open) calls += connection.callsInFlight;
    return calls;
  }

  add(connection: Connection): void {
    const close = () => connection.close(new Error("replaced"));
    const limit = this.#clock.setTimer(close, LIMIT_MS, true);
    this.#open.add(connection);
    connection.handOver({
      onIdle: close,
      onClosed: () => {
        limit.cancel();
        this.#open.delete(connection);
      },
    });
    if (connection.inFlight.size === 0) close();
  }

  close(cause: Error): void {
    for (const connection of this.#open) connection.close(cause);
  }
}
