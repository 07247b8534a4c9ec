import type { Environment, Timer } from "../environment.ts";
import { ReplyError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import { Connection, type ConnectionSettings } from "./connection.ts";

/** Between looks, while replies are awaited. */
const LOOK_MS = 250;
/** Silence after which a connection is doubted, at least; on a slow way twice what opening it took. */
const SILENCE_MS = 500;
/** How long a second connection may take to be answered before the node counts as silent, likewise. */
const PROBE_MS = 400;
/** What was on its way before the answer to the probe has arrived by then. */
const GRACE_MS = 30;

/** What a watchdog finds out. */
export interface WatchdogEvents {
  /** The node answers others, but not this connection: it is half-open. */
  onHalfOpen(cause: Error): void;
  /** The node answers nobody: it is frozen, or runs a script; or the way to it is broken. */
  onSilent(cause: Error): void;
  /** The connection that was silent has spoken. */
  onSpeaking(): void;
}

/**
 * Watches a connection while replies are awaited on it. As long as bytes come it does nothing; after half a second of
 * silence it asks the node through a second connection.
 *
 *   idle --request written--> watching --silence--> probing --PONG, refused, LOADING--> half-open
 *    ^---- nothing awaited ------'  ^                  |  '--BUSY--> watching (a script runs)
 *                                   '--- bytes came ---'  '--silence--> silent --bytes came--> watching
 *
 * A healthy cluster sees nothing of it.
 */
export class Watchdog {
  readonly #environment: Environment;
  readonly #settings: ConnectionSettings;
  readonly #connection: Connection;
  readonly #events: WatchdogEvents;
  #timer: Timer | undefined;
  #probe: Connection | undefined;
  #seen = -1;
  #quietSince = 0;
  #silent = false;
  #ended = false;

  constructor(connection: Connection, settings: ConnectionSettings, events: WatchdogEvents) {
    this.#environment = settings.environment;
    this.#settings = settings;
    this.#connection = connection;
    this.#events = events;
  }

  /** Replies are awaited from now on. Cheap when it watches already. */
  watch(): void {
    if (this.#timer !== undefined || this.#probe !== undefined || this.#ended) return;
    this.#seen = this.#connection.received;
    this.#quietSince = this.#environment.clock.now();
    this.#lookLater();
  }

  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#probe?.close(new Error("no longer needed"));
  }

  #lookLater(): void {
    this.#timer = this.#environment.clock.setTimer(() => this.#look(), LOOK_MS, true);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#ended) return;
    const { received, inFlight } = this.#connection;
    const now = this.#environment.clock.now();
    if (received !== this.#seen) {
      this.#seen = received;
      this.#quietSince = now;
      this.#spoke();
    }
    if (inFlight.size === 0) return;
    if (now - this.#quietSince < this.#atLeast(SILENCE_MS)) this.#lookLater();
    else void this.#ask();
  }

  async #ask(): Promise<void> {
    const finding = await this.#find();
    this.#probe = undefined;
    if (this.#ended) return;
    if (this.#connection.received !== this.#seen || this.#connection.inFlight.size === 0) {
      this.#look();
      return;
    }
    const quietMs = Math.round(this.#environment.clock.now() - this.#quietSince);
    if (finding === "answers") {
      this.#events.onHalfOpen(new Error(`no answer for ${quietMs} ms, while the node answers on another connection`));
      return;
    }
    if (finding === "silent" && !this.#silent) {
      this.#silent = true;
      this.#events.onSilent(new Error(`no answer for ${quietMs} ms, on a second connection neither`));
    }
    if (!this.#ended) this.#lookLater();
  }

  /** What a second connection meets. */
  async #find(): Promise<"answers" | "busy" | "silent"> {
    const { clock } = this.#environment;
    // The limit is ours, so that a timeout can be told from a refusal.
    const settings = { ...this.#settings, connectTimeoutMs: 2 ** 31 - 1 };
    let isLate = false;
    const limit = clock.setTimer(() => {
      isLate = true;
      this.#probe?.close(new Error("no answer"));
    }, this.#atLeast(PROBE_MS));
    try {
      const probe = await Connection.open(settings, (created) => {
        this.#probe = created;
      });
      probe.close(new Error("answered"));
    } catch (error) {
      if (isLate) return "silent";
      if (error instanceof ReplyError && parseErrorReply(error.reply).kind === "busy") return "busy";
      // Refused, or answered by something else than PONG: whoever is there now is not behind our connection.
    } finally {
      limit.cancel();
    }
    await new Promise<void>((resolve) => clock.setTimer(resolve, GRACE_MS));
    return "answers";
  }

  #atLeast(limitMs: number): number {
    return Math.max(limitMs, 2 * this.#connection.openedInMs);
  }

  #spoke(): void {
    if (!this.#silent) return;
    this.#silent = false;
    this.#events.onSpeaking();
  }
}
