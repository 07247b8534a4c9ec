import type { Clock, Timer } from "../environment.ts";
import type { Connection } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import type { Probe } from "./probe.ts";
import { Watchdog } from "./watchdog.ts";

/** After this time, and again after it, a connection is closed on which nobody waits for a reply. */
const LOOK_MS = 10_000;

/**
 * Connections that were replaced. Each stays open until its last reply has come, or is dead, as any other connection: a
 * server may work long at what it was asked.
 */
export class RetiredConnections {
  readonly #clock: Clock;
  readonly #probe: Probe;
  readonly #open = new Set<Connection>();

  /** @param probe  Asks the node about a connection that is silent. */
  constructor(clock: Clock, probe: Probe) {
    this.#clock = clock;
    this.#probe = probe;
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
    const close = () => connection.close(new Farewell("replaced", "replaced"));
    let timer: Timer;
    const look = () => {
      if (connection.isAwaited) timer = this.#clock.setTimer(look, LOOK_MS, true);
      else close();
    };
    timer = this.#clock.setTimer(look, LOOK_MS, true);
    const watchdog = new Watchdog(connection, this.#clock, this.#probe, { onDead: (why) => connection.close(why) });
    this.#open.add(connection);
    connection.handOver({
      onIdle: close,
      onClosed: () => {
        timer.cancel();
        watchdog.end();
        this.#open.delete(connection);
      },
    });
    if (connection.inFlight.size === 0) close();
    else watchdog.watch();
  }

  close(cause: Error): void {
    for (const connection of this.#open) connection.close(cause);
  }
}
