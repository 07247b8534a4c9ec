import type { Environment, Timer } from "../environment.ts";
import { ReplyError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { openConnection } from "./open-connection.ts";

/** The time between two looks, while replies are awaited. */
const LOOK_MS = 250;
/** The shortest silence after which a connection is doubted. On a slow network it is twice the time that opening took. */
const SILENCE_MS = 500;
/** The least time that a probe may take before the node counts as silent. On a slow network it is longer likewise. */
const PROBE_MS = 400;
/** Bytes that the node sent before it answered the probe have arrived by then. */
const GRACE_MS = 30;
/**
 * The probe's question: a script that no server has. A server whose writes are paused (CLIENT PAUSE, a failover on command)
 * answers PING, so PING would prove too little: it keeps this question waiting as it keeps the calls in doubt.
 */
const QUESTION = ["EVALSHA", "0".repeat(40), 0];

/** A watchdog's news for its lane. */
export interface WatchdogEvents {
  /** The node answers a second connection, but not this one: this connection is half-open. */
  onHalfOpen(cause: Error): void;
  /** The node answers nobody: it is frozen, it runs a script, or the network to it is broken. */
  onSilent(cause: Error): void;
  /** The connection that was silent has spoken. */
  onSpeaking(): void;
}

/**
 * Watches a connection while replies are awaited on it. While bytes come the watchdog does nothing. After half a second of
 * silence it asks the node through a second connection, the probe.
 *
 *   idle --request written--> watching --silence--> probing --answers, refuses--> half-open
 *    ^---- nothing awaited ------'  ^                  |  '--BUSY--> watching (a script runs)
 *                                   '--- bytes came ---'  '--silence--> silent --bytes came--> watching
 *
 * A healthy cluster never gets a probe.
 */
export class Watchdog {
  readonly #environment: Environment;
  readonly #settings: ConnectionSettings;
  readonly #connection: Connection;
  readonly #events: WatchdogEvents;
  #state: "idle" | "watching" | "ended" = "idle";
  #timer: Timer | undefined;
  #probe: Connection | undefined;
  /** `connection.received` at the last look. */
  #seen = -1;
  /** When it changed last, as far as looks have noticed. */
  #quietSince = 0;
  /** The lane was told that the node answers nobody. */
  #silent = false;

  constructor(connection: Connection, settings: ConnectionSettings, events: WatchdogEvents) {
    this.#environment = settings.environment;
    this.#settings = settings;
    this.#connection = connection;
    this.#events = events;
  }

  /** Replies are awaited from now on. Costs one comparison when the watchdog watches already. */
  watch(): void {
    if (this.#state !== "idle") return;
    this.#state = "watching";
    this.#seen = this.#connection.received;
    this.#quietSince = this.#environment.clock.now();
    this.#lookLater();
  }

  /** Whether nothing has come for long, for a reason that is not known yet. */
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
    // After the event loop was busy for long, bytes may have arrived that are not read yet.
    if (this.#isQuiet()) this.#environment.clock.afterReads(() => this.#doubt());
    else this.#lookLater();
  }

  #doubt(): void {
    if (!this.#isAwaiting()) return;
    if (this.#isQuiet()) void this.#ask();
    else this.#lookLater();
  }

  /** Notes the bytes that have come since the last look. Returns whether replies are still awaited. */
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
      this.#events.onSilent(new Error(`no answer for ${this.#quietMs} ms, nor on a second connection`));
    }
    if (this.#state === "watching") this.#lookLater();
  }

  /** The node's reaction to a second connection. */
  async #find(): Promise<"answers" | "busy" | "silent"> {
    const { clock } = this.#environment;
    // The watchdog sets its own limit, because it must tell a timeout from a refusal.
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
      // A refusal, or another answer than PONG: the process that answers now is not the one behind our connection.
      found ??= error instanceof ReplyError && parseErrorReply(error.reply).kind === "busy" ? "busy" : "answers";
    } finally {
      limit.cancel();
      this.#probe?.close(new Error("answered"));
      this.#probe = undefined;
    }
    if (found === "answers") await new Promise<void>((resolve) => clock.setTimer(resolve, GRACE_MS));
    return found;
  }

  /** On a slow network every limit is longer. */
  #atLeast(limitMs: number): number {
    return Math.max(limitMs, 2 * this.#connection.openedInMs);
  }

  #spoke(): void {
    if (!this.#silent) return;
    this.#silent = false;
    this.#events.onSpeaking();
  }
}
