import type { Timer } from "../environment.ts";
import type { Connection } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import type { Backlog, Request } from "./request.ts";
import type { Watchdog } from "./watchdog.ts";

/** A dedicated connection, with the one request that it carries. */
export class Carrier implements Backlog {
  readonly connection: Connection;
  /** The number of `renew`s before the connection was opened. */
  readonly generation: number;
  /** Defined exactly while the carrier is busy. */
  request: Request | undefined;
  /** Closes the connection when it has been idle for long. Set exactly while the carrier is idle. */
  rest: Timer | undefined;

  readonly watchdog: Watchdog;

  constructor(connection: Connection, generation: number, watchdog: Watchdog) {
    this.connection = connection;
    this.watchdog = watchdog;
    this.generation = generation;
  }

  carry(request: Request): void {
    this.request = request;
    request.backlog = this;
    this.connection.carry(request);
    this.watchdog.watch();
  }

  /** A blocked command can only be cancelled by closing its socket. One that was answered has left the ring. */
  giveUp(request: Request): void {
    if (request !== this.request || this.connection.inFlight.size === 0) return;
    this.connection.close(new Farewell("given-up", "nobody waits for the reply any more"));
  }
}
