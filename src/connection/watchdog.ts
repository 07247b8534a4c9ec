import { mayBeHeldLong } from "../commands/held-long.ts";
import type { Clock, Timer } from "../environment.ts";
import { commandNameOf } from "../protocol/command-name.ts";
import type { Connection } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import type { Probe } from "./probe.ts";
import { SignsOfLife } from "./signs-of-life.ts";
import { type Action, LOOK_MS, SILENCE_MS, type Sight, Vigil } from "./vigil.ts";

/** The least time that a probe may take before the node counts as silent. On a slow network it is longer. */
const PROBE_MS = 400;
/** A frame that is longer is an upload. Where the server may not be asked, it has the time that a slow link takes. */
const UPLOAD_BYTES = 64 * 1024;
const SLOW_BYTES_PER_MS = 50;
/** The longest time between two looks at a connection that carries one request at a time. */
const SELDOM_MS = 4000;

/**
 * A silence of `silentAfterMs` is found out in time: the server is asked at about the half of it, and has the other half for
 * its answer. What is noticed only at the next look fits in.
 */
function pacesFor(silentAfterMs: number): {
  readonly lookMs: number;
  readonly silenceMs: number;
  readonly probeMs: number;
} {
  const share = Math.max(5, 0.45 * silentAfterMs);
  const probeMs = Math.min(PROBE_MS, share);
  const lookMs = Math.min(LOOK_MS, Math.max(5, silentAfterMs / 20));
  return { lookMs, silenceMs: Math.min(SILENCE_MS, Math.max(5, silentAfterMs - probeMs - 2 * lookMs)), probeMs };
}

/** A watchdog's news for the owner of its connection. */
export interface WatchdogEvents {
  /** The connection is dead. */
  onDead(cause: Error): void;
  /** The node answers nobody: it is frozen, it runs a script, or the network to it is broken. */
  onSilent?(cause: Error): void;
  /** The node answers again, on this connection or on another one. */
  onSpeaking?(): void;
}

/**
 * Watches one connection while replies are awaited on it, and does what its vigil decides. While bytes come it does
 * nothing, so a healthy cluster never gets a probe.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #probe: Probe;
  readonly #events: WatchdogEvents;
  readonly #vigil: Vigil;
  readonly #slackMs: number;
  readonly #probeMs: number;
  #signs: SignsOfLife;
  #timer: Timer | undefined;
  #hasEnded = false;
  /** Counts periods of watching: an answer that comes in a later one is not heard. */
  #period = 0;

  /**
   * @param carriesOne     The connection carries one request at a time, and `rest` is called when it is answered.
   * @param silentAfterMs  After so much silence it has to be known whether the node answers anybody.
   */
  constructor(
    connection: Connection,
    clock: Clock,
    probe: Probe,
    events: WatchdogEvents,
    carriesOne = false,
    silentAfterMs = Number.POSITIVE_INFINITY,
  ) {
    this.#clock = clock;
    this.#connection = connection;
    this.#probe = probe;
    this.#events = events;
    this.#slackMs = Math.ceil(2 * connection.openedInMs);
    const paces = pacesFor(silentAfterMs);
    this.#probeMs = paces.probeMs;
    this.#vigil = new Vigil(this.#slackMs, carriesOne ? SELDOM_MS : paces.lookMs, paces.silenceMs);
    this.#signs = new SignsOfLife(connection);
  }

  /** Replies are awaited from now on. Costs one comparison when the watchdog watches already. */
  watch(): void {
    if (!this.#vigil.isResting || this.#hasEnded) return;
    this.#signs = new SignsOfLife(this.#connection);
    this.#do(this.#vigil.begin());
  }

  /** All is answered. Only for connections that carry one request at a time: others rest by themselves. */
  rest(): void {
    this.#period++;
    this.#timer?.cancel();
    this.#vigil.rest();
  }

  /** Whether nothing has come for long, for a reason that is not known. */
  get inDoubt(): boolean {
    return this.#vigil.inDoubt && !this.#signs.isThere;
  }

  end(): void {
    this.#hasEnded = true;
    this.rest();
  }

  #do(action: Action): void {
    if (action.next === "give-up") this.#events.onDead(new Farewell("silent", action.why));
    else if (action.next === "ask") void this.#ask();
    else if (action.next === "look") this.#lookAfter(action.afterMs);
    if (!("news" in action) || action.news === undefined) return;
    // The owner may end the watchdog now, so this comes last.
    const why = `no answer for ${this.#vigil.quietMs} ms, nor on a second connection`;
    if (action.news === "silent") this.#events.onSilent?.(new Farewell("silent", why));
    else this.#events.onSpeaking?.();
  }

  #lookAfter(afterMs: number): void {
    // If more time has passed by then, this process did not listen.
    const look = () => this.#do(this.#vigil.look(this.#see(afterMs), this.#isAskable()));
    this.#timer = this.#clock.setTimer(look, afterMs, true);
  }

  #see(passedMs: number): Sight {
    return { passedMs, hasSign: this.#signs.look(), isAwaiting: this.#connection.inFlight.size > 0 };
  }

  /** Whether an answer on another connection could prove anything about the oldest request. */
  #isAskable(): boolean {
    const oldest = this.#connection.inFlight.peek();
    if (oldest === undefined || this.#probe.maySay(this.#connection)) return true;
    const { frame } = oldest;
    if (mayBeHeldLong(commandNameOf(frame))) return false;
    return frame.length <= UPLOAD_BYTES || this.#vigil.quietMs > frame.length / SLOW_BYTES_PER_MS;
  }

  async #ask(): Promise<void> {
    const period = this.#period;
    const limitMs = Math.max(this.#probeMs, this.#slackMs);
    const askedAt = this.#clock.now();
    const evidence = await this.#probe.ask(this.#connection, limitMs);
    if (period !== this.#period) return;
    const passedMs = Math.min(2 * limitMs, Math.round(this.#clock.now() - askedAt));
    // The node may have said only now that it may not be asked.
    const isProof = evidence.kind !== "unheld" || this.#isAskable();
    this.#do(this.#vigil.hear(isProof ? evidence : { kind: "nothing" }, this.#see(passedMs)));
  }
}
