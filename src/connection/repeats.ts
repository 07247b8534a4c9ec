import type { Timer } from "../environment.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import { Opener } from "./opener.ts";
import type { Probe } from "./probe.ts";
import type { Request, Usage } from "./request.ts";
import { RequestQueue, type Room } from "./request-queue.ts";
import { Watchdog } from "./watchdog.ts";

/** The most requests in flight. */
const MOST_IN_FLIGHT = 256;
/** How long an idle connection is kept. */
const IDLE_MS = 10_000;
/** How often `drain` looks. */
const DRAIN_LOOK_MS = 5;

const noted = () => {};

/**
 * The connection to one node for requests that were lost together with another connection. They may be why it was lost: a
 * server closes a connection when the replies that wait for it are too large together. So they are repeated where they
 * harm no other request, the first one alone, then two together, then four, ...
 *
 *   one at a time --all answered--> two --all answered--> four ...
 *        ^-- lost; from now on at most a quarter of those together --'
 *
 * It begins with one again when nothing is left to repeat, and forgets what was too many when it has been idle.
 */
export class Repeats {
  readonly #settings: ConnectionSettings;
  readonly #opener: Opener;
  readonly #probe: Probe;
  readonly #queue: RequestQueue;
  #connection: Connection | undefined;
  #watchdog: Watchdog | undefined;
  #isOpening = false;
  /** So many requests may be in flight. */
  #window = 1;
  /** The largest window that may be tried. */
  #mostInFlight = MOST_IN_FLIGHT;
  /** Ends the wait after a failure, or closes an idle connection. */
  #timer: Timer | undefined;
  #ended: Error | undefined;

  /**
   * @param onStranger  Called when another server answers at the node's address.
   * @param probe       Asks the node about a connection that is silent.
   * @param room        The room of the node's pool.
   */
  constructor(settings: ConnectionSettings, onStranger: (cause: Error) => void, probe: Probe, room?: Room) {
    this.#queue = new RequestQueue(room);
    this.#settings = settings;
    this.#probe = probe;
    this.#opener = new Opener(settings, onStranger);
  }

  /** Requests that are queued or in flight. */
  get pending(): number {
    return this.#queue.size + (this.#connection?.callsInFlight ?? 0);
  }

  /** Bytes queued, or written and not yet taken by the operating system. */
  get pendingBytes(): number {
    return this.#queue.bytes + (this.#connection?.pendingBytes ?? 0);
  }

  /** Whether each request has the connection to itself, so that a loss is due to no other one. */
  get sendsAlone(): boolean {
    return this.#window === 1;
  }

  get states(): { readonly connecting: number; readonly ready: number } {
    return { connecting: this.#isOpening ? 1 : 0, ready: this.#connection === undefined ? 0 : 1 };
  }

  get usage(): Usage {
    const open = this.#connection === undefined ? 0 : 1;
    const used = this.#connection !== undefined && this.#connection.inFlight.size > 0 ? 1 : 0;
    return { idle: open - used, used, queued: this.#queue.size };
  }

  push(request: Request): void {
    const cause = this.#ended ?? this.#opener.refusal;
    if (cause !== undefined) {
      request.onLost(cause);
      return;
    }
    this.#queue.push(request);
    this.#serve();
  }

  /** Takes the queued requests, except those that were given up. */
  takeQueued(): Request[] {
    return this.#queue.takeAll();
  }

  /** Takes the queued requests that `isTaken` picks. The others keep their order. */
  takeQueuedWhere(isTaken: (request: Request) => boolean): Request[] {
    return this.#queue.takeWhere(isTaken);
  }

  /** No connection that is open serves a further request. */
  renew(): void {
    this.#opener.reset();
    if (this.#connection?.inFlight.size === 0) this.#connection.close(new Farewell("replaced", "replaced"));
  }

  /** Closes the connection, also one that is being opened. */
  dropConnections(cause: Error): void {
    this.#opener.close(cause);
    this.#connection?.close(cause);
  }

  /** Resolves when nothing is queued or in flight. */
  async drain(): Promise<void> {
    const { clock } = this.#settings.environment;
    while (this.pending > 0) await new Promise<void>((resolve) => clock.setTimer(resolve, DRAIN_LOOK_MS));
  }

  /** Ends now. Requests that are queued or in flight are lost. */
  close(cause: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = cause;
    this.#timer?.cancel();
    this.dropConnections(cause);
    for (const request of this.#queue.takeAll()) request.onLost(cause);
  }

  #serve(): void {
    if (this.#ended !== undefined || this.#queue.size === 0) return;
    const connection = this.#connection;
    if (connection === undefined) {
      if (!this.#isOpening) this.#openSoon();
      return;
    }
    this.#stopWaiting();
    const { inFlight } = connection;
    connection.writeFrom({ shift: () => (inFlight.size < this.#window ? this.#queue.shift() : undefined) });
    if (inFlight.size > 0) this.#watchdog?.watch();
  }

  #openSoon(): void {
    const { restMs } = this.#opener;
    if (restMs === 0) void this.#open();
    else if (this.#timer === undefined) {
      this.#wait(restMs, () => this.#serve());
    }
  }

  async #open(): Promise<void> {
    this.#isOpening = true;
    let connection: Connection;
    try {
      connection = await this.#opener.open(noted);
      this.#isOpening = false;
    } catch (error) {
      this.#isOpening = false;
      // Each looks again where it is served now.
      for (const request of this.#queue.takeAll()) request.onLost(error as Error);
      return;
    }
    if (this.#ended !== undefined) connection.close(this.#ended);
    if (connection.closed) return;
    this.#connection = connection;
    this.#watchdog = new Watchdog(connection, this.#settings.environment.clock, this.#probe, {
      onDead: (why) => connection.close(why),
      onSilent: (why) => this.#fallSilent(connection, why),
    });
    connection.handOver({
      onIdle: () => this.#answered(),
      onWritable: () => this.#serve(),
      onClosed: () => this.#lost(),
    });
    this.#rest();
    this.#serve();
  }

  /** All that was in flight is answered, so more may be in flight together. */
  #answered(): void {
    this.#window = Math.min(this.#mostInFlight, this.#window * 2);
    if (this.#queue.size === 0) this.#rest();
    else this.#serve();
  }

  /** Nothing is left to repeat. */
  #rest(): void {
    this.#window = 1;
    const leave = () => {
      this.#connection?.close(new Farewell("not-needed", "not needed any more"));
      this.#mostInFlight = MOST_IN_FLIGHT;
    };
    this.#wait(IDLE_MS, leave, true);
  }

  #lost(): void {
    this.#connection = undefined;
    this.#watchdog?.end();
    this.#watchdog = undefined;
    this.#stopWaiting();
    this.#mostInFlight = Math.min(this.#mostInFlight, Math.max(1, Math.floor(this.#window / 4)));
    this.#window = 1;
    this.#serve();
  }

  /** The node answers nobody. What is repeated on a replica has other nodes to go to, as it has on a lane. */
  #fallSilent(connection: Connection, why: Error): void {
    if (!this.#settings.readOnly) return;
    for (const request of this.#queue.takeAll()) request.onLost(why);
    connection.close(why);
  }

  #wait(ms: number, then: () => void, background = false): void {
    this.#stopWaiting();
    this.#timer = this.#settings.environment.clock.setTimer(
      () => {
        this.#timer = undefined;
        then();
      },
      ms,
      background,
    );
  }

  #stopWaiting(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
