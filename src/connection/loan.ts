import { commandNameOf } from "../protocol/command-name.ts";
import type { Connection } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import type { Request } from "./request.ts";
import type { Watchdog } from "./watchdog.ts";

/** A loan's news for its lender. */
export interface LoanEvents {
  /** The loan has ended, in whatever way. */
  onEnded(): void;
  /** The connection is the lender's again: open, and as it was when it was lent. */
  onReturned(): void;
}

/**
 * A dedicated connection that is lent to a session, so that no other request comes between its commands. The loan ends
 * when the connection closes, or is given back.
 *
 *   lent --giveBack, nothing awaited, nothing watched--> the lender's, for the next request
 *     '----giveBack otherwise, close, loss of the socket--> closed
 */
export class Loan {
  readonly connection: Connection;
  readonly #watchdog: Watchdog;
  readonly #events: LoanEvents;
  /** WATCH was written, and no MULTI to EXEC after it. */
  #watches = false;
  #hasEnded = false;

  /** @param connection  Open, or closed meanwhile by the borrower: then the loan has ended. */
  constructor(connection: Connection, watchdog: Watchdog, events: LoanEvents) {
    this.connection = connection;
    this.#watchdog = watchdog;
    this.#events = events;
    if (connection.closed) this.#end();
    else connection.handOver({ onClosed: () => this.#end(), onIdle: () => watchdog.rest() });
  }

  /** Writes one request. */
  carry(request: Request): void {
    const command = commandNameOf(request.frame);
    if (command === "WATCH") this.#watches = true;
    else if (command === "MULTI") this.#watches = false;
    this.connection.carry(request);
    this.#watchdog.watch();
  }

  /**
   * Ends the loan. The next request gets the connection as it is, so the connection is closed if replies are still awaited
   * on it, or if it still watches keys. A loan does not read replies: after a MULTI that was refused, or an EXEC that ended
   * in an error, keys may still be watched, and the borrower must close the connection.
   */
  giveBack(): void {
    if (this.#hasEnded) return;
    if (this.connection.inFlight.size > 0)
      this.connection.close(new Farewell("not-needed", "given back before its last reply"));
    else if (this.#watches) this.connection.close(new Farewell("not-needed", "given back while it watches keys"));
    else {
      this.#end();
      this.#events.onReturned();
    }
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#watchdog.end();
    this.#events.onEnded();
  }
}
