import { type BackoffRange, backoffMs } from "../connection/backoff.ts";
import type { Connection, ConnectionSettings } from "../connection/connection.ts";
import { Farewell } from "../connection/farewell.ts";
import { openConnection } from "../connection/open-connection.ts";
import { isLasting, retryDelayMs } from "../connection/retry-policy.ts";
import type { Timer } from "../environment.ts";

/** A server that comes back is asked within 100 ms. */
const SOON: BackoffRange = { firstMs: 20, mostMs: 100 };

/** The news of an opener. */
export interface FeedOpenerEvents {
  onOpened(connection: Connection): void;
  onFailed(cause: Error): void;
  /** The pause after a failure is over. */
  onPauseOver(): void;
}

/**
 * Opens the connection of a feed, with pauses between the tries that fail.
 *
 *   idle --open--> opening --> opened
 *     ^               '-- failed --> pausing --'
 *     '--------------------------------'
 */
export class FeedOpener {
  readonly #settings: ConnectionSettings;
  readonly #events: FeedOpenerEvents;
  #opening: Connection | "not yet" | undefined;
  #failures = 0;
  #pause: Timer | undefined;
  #hasEnded = false;

  constructor(settings: ConnectionSettings, events: FeedOpenerEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  /** Makes a try, unless one is under way, or a pause. */
  async open(): Promise<void> {
    if (this.#opening !== undefined || this.#pause !== undefined || this.#hasEnded) return;
    this.#opening = "not yet";
    let connection: Connection;
    try {
      const onCreated = (created: Connection) => {
        this.#opening = created;
      };
      connection = await openConnection(this.#settings, onCreated, this.#failures + 1);
      if (connection.closed) throw connection.cause as Error;
    } catch (error) {
      this.#opening = undefined;
      this.#failed(error as Error);
      return;
    }
    this.#opening = undefined;
    this.#failures = 0;
    if (this.#hasEnded) connection.close(new Farewell("not-needed", "not needed any more"));
    else this.#events.onOpened(connection);
  }

  /** Ends the pause after a failure. */
  endPause(): void {
    if (this.#pause === undefined) return;
    this.#pause.cancel();
    this.#pause = undefined;
    this.#events.onPauseOver();
  }

  /** Ends the try that is under way. */
  drop(cause: Error): void {
    if (typeof this.#opening === "object") this.#opening.close(cause);
  }

  /** Ends for good. */
  end(cause: Error): void {
    this.#hasEnded = true;
    this.#pause?.cancel();
    this.drop(cause);
  }

  #failed(cause: Error): void {
    if (this.#hasEnded) return;
    const { clock, random } = this.#settings.environment;
    const failures = this.#failures++;
    const delayMs = isLasting(cause) ? retryDelayMs(cause, failures, random()) : backoffMs(failures, SOON, random());
    this.#pause = clock.setTimer(() => {
      this.#pause = undefined;
      this.#events.onPauseOver();
    }, delayMs);
    this.#events.onFailed(cause);
  }
}
