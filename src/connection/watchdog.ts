import type { Environment, Timer } from "../environment.ts";
import { ReplyError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { openConnection } from "./open-connection.ts";

/** Between looks, while replies are awaited. */
const LOOK_MS = 250;
/** Silence after which a connection is doubted, at least; on a slow way twice what opening it took. */
const SILENCE_MS = 500;
/** How long a second connection may take to be answered before the node counts as silent, likewise. */
const PROBE_MS = 400;
/** What was on its way before the answer to the probe has arrived by then. */
const GRACE_MS = 30;
/**
 * Asked behind the handshake: a script that no server has. A server whose writes are paused (CLIENT PAUSE, a failover on
 * command) answers PING, and keeps this waiting like the calls in doubt.
 */
const QUESTION = ["EVALSHA", "0".repeat(40), 0];

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
 *   idle --request written--> watching --silence--> probing --answers, refuses--> half-open
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
  #state: "idle" | "watching" | "ended" = "idle";
  #timer: Timer | undefined;
  #probe: Connection | undefined;
  #seen = -1;
  #quietSince = 0;
  #silent = false;

  constructor(connection: Connection, settings: ConnectionSettings, events: WatchdogEvents) {
    this.#environment = settings.environment;
    this.#settings = settings;
    this.#connection = connection;
    this.#events = events;
  }

  /** Replies are awaited from now on. Cheap when it watches already. */
  watch(): void {
    if (this.#state !== "idle") return;
    this.#state = "watching";
    this.#seen = this.#connection.received;
    this.#quietSince = this.#environment.clock.now();
    this.#lookLater();
  }

  /** Nothing has come for long, and why is not known yet. */
  get inDoubt(): boolean {
    return this.#state === "watching" && this.#connection.received === this.#seen && this.#isQuiet();
  }

  end(): void {
    this.#state = "ended";
    this.#timer?.cancel();
    this.#probe?.close(new Error("no longer needed"));
  }

  #lookLater(): void {
    this.#timer = this.#environment.clock.setTimer(() => this.#look(), LOOK_MS, true);
  }

  #look(): void {
    if (!this.#isAwaiting()) return;
    // Where the event loop was busy for long, bytes may be there and not read yet.
    if (this.#isQuiet()) this.#environment.clock.afterReads(() => this.#doubt());
    else this.#lookLater();
  }

  #doubt(): void {
    if (!this.#isAwaiting()) return;
    if (this.#isQuiet()) void this.#ask();
    else this.#lookLater();
  }

  /** Notes what has come since the last time. False when there is nothing to watch any more. */
  #isAwaiting(): boolean {
    if (this.#state === "ended") return false;
    const { received, inFlight } = this.#connection;
    if (received !== this.#seen) {
      this.#seen = received;
      this.#quietSince = this.#environment.clock.now();
      this.#spoke();
    }
    if (inFlight.size === 0) this.#state = "idle";
    return inFlight.size > 0;
  }

  #isQuiet(): boolean {
    return this.#quietMs >= this.#atLeast(SILENCE_MS);
  }

  get #quietMs(): number {
    return Math.round(this.#environment.clock.now() - this.#quietSince);
  }

  async #ask(): Promise<void> {
    const finding = await this.#find();
    if (!this.#isAwaiting()) return;
    if (this.#isQuiet() && finding === "answers") {
      const why = `no answer for ${this.#quietMs} ms, while the node answers on another connection`;
      this.#events.onHalfOpen(new Error(why));
      return;
    }
    if (this.#isQuiet() && finding === "silent" && !this.#silent) {
      this.#silent = true;
      this.#events.onSilent(new Error(`no answer for ${this.#quietMs} ms, on a second connection neither`));
    }
    if (this.#state === "watching") this.#lookLater();
  }

  /** What a second connection meets. */
  async #find(): Promise<"answers" | "busy" | "silent"> {
    const { clock } = this.#environment;
    // The limit is ours, so that a timeout can be told from a refusal.
    const settings = { ...this.#settings, connectTimeoutMs: 2 ** 31 - 1 };
    let found: "answers" | "busy" | "silent" | undefined;
    const silent = () => {
      found ??= "silent";
      this.#probe?.close(new Error("no answer"));
    };
    const limit = clock.setTimer(() => clock.afterReads(silent), this.#atLeast(PROBE_MS));
    try {
      const probe = await openConnection(settings, (created) => {
        this.#probe = created;
      });
      await probe.exchange(QUESTION)[0];
      found ??= "answers";
    } catch (error) {
      // Refused, or answered by something else than PONG: whoever is there now is not behind our connection.
      found ??= error instanceof ReplyError && parseErrorReply(error.reply).kind === "busy" ? "busy" : "answers";
    } finally {
      limit.cancel();
      this.#probe?.close(new Error("answered"));
      this.#probe = undefined;
    }
    if (found === "answers") await new Promise<void>((resolve) => clock.setTimer(resolve, GRACE_MS));
    return found;
  }

  /** On a slow way everything takes longer. */
  #atLeast(limitMs: number): number {
    return Math.max(limitMs, 2 * this.#connection.openedInMs);
  }

  #spoke(): void {
    if (!this.#silent) return;
    this.#silent = false;
    this.#events.onSpeaking();
  }
}
