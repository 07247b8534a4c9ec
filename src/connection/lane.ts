import type { Environment, Timer } from "../environment.ts";
import { AuthError } from "../errors.ts";
import { Ring } from "../protocol/ring.ts";
import { type BackoffRange, backoffMs } from "./backoff.ts";
import { Connection, type ConnectionSettings, CredentialsError } from "./connection.ts";
import type { Backlog, Request } from "./request.ts";
import { Watchdog } from "./watchdog.ts";

const RECONNECT: BackoffRange = { firstMs: 20, mostMs: 500 };
/** Wrong credentials do not get right by asking often. */
const RECONNECT_AFTER_REFUSAL: BackoffRange = { firstMs: 1000, mostMs: 10_000 };
/** Requests whose callers have an answer already are taken out of the queue when they are more than these, and its half. */
const MOST_GIVEN_UP = 64;
/** With so many in flight, what is queued meanwhile is written together when the other sockets have been read, too. */
const MANY_IN_FLIGHT = 8;
/** How long a replaced connection may take for its last replies. */
const RETIREMENT_MS = 10_000;

/** What a lane tells its pool. */
export interface LaneEvents {
  /** Prepares a fresh connection (scripts) before requests may use it. */
  prepare(connection: Connection): Promise<void>;
  onUp(): void;
  /** The lane has no usable connection: it lost one, or could not get one. */
  onDown(cause: Error): void;
}

/**
 * One pipelined stream of requests to one node. Connections come and go beneath it; what has not been written stays
 * queued here, in order.
 *
 *   connecting --open, prepared--> ready --lost--> waiting --backoff--> connecting ...      any --close--> closed
 *                                  |  ^
 *                    node is silent'--'speaks again: what is queued is held meanwhile, and can be taken elsewhere
 *
 * A node that is silent here is so on its other lanes, whether those have noticed or not: the pool tells them.
 */
export class Lane implements Backlog {
  readonly #settings: ConnectionSettings;
  readonly #environment: Environment;
  readonly #events: LaneEvents;
  readonly #queue = new Ring<Request>();
  /** Of the queue, those that were given up; they are in no other figure. */
  #givenUp = 0;
  #queuedBytes = 0;
  #state: "connecting" | "ready" | "waiting" | "closed" = "connecting";
  /** Defined exactly while `ready`. */
  #connection: Connection | undefined;
  /** Watches `#connection`. */
  #watchdog: Watchdog | undefined;
  /** Found out here: the node answers nobody. */
  #silent = false;
  /** The node answers nobody, as this lane or another one of it found out: nothing is written to it. */
  #muted = false;
  /** Being opened or prepared. */
  #upcoming: Connection | undefined;
  /** Replaced, and open until their last replies have come. */
  readonly #retired = new Set<Connection>();
  #retry: Timer | undefined;
  #attempt = 0;
  #wasReady = false;
  /** To connect, since there was a connection. */
  #tries = 0;
  #flushScheduled = false;
  /** Why there is no connection, while there is none. */
  cause: Error | undefined;

  constructor(settings: ConnectionSettings, events: LaneEvents) {
    this.#settings = settings;
    this.#environment = settings.environment;
    this.#events = events;
    void this.#connect();
  }

  get ready(): boolean {
    return this.#connection !== undefined && !this.#muted;
  }

  /** This lane's connection has found out that the node answers nobody. */
  get foundSilence(): boolean {
    return this.#silent;
  }

  /** Holds back what is queued while the node answers nobody. */
  mute(muted: boolean): void {
    if (this.#muted === muted) return;
    this.#muted = muted;
    if (!muted) this.#scheduleFlush();
  }

  /** The node may answer nobody: what is queued can be taken elsewhere, if there is an elsewhere. */
  get inDoubt(): boolean {
    return this.#watchdog !== undefined && this.#watchdog.inDoubt;
  }

  get state(): "connecting" | "ready" | "silent" | "waiting" | "closed" {
    return this.#state === "ready" && this.#muted ? "silent" : this.#state;
  }

  /** Calls queued or in flight, and loads queued in front of them. */
  get pending(): number {
    return this.#queue.size - this.#givenUp + (this.#connection === undefined ? 0 : this.#connection.callsInFlight);
  }

  /** Bytes queued, or written and not yet taken by the operating system. */
  get pendingBytes(): number {
    return this.#queuedBytes + (this.#connection === undefined ? 0 : this.#connection.pendingBytes);
  }

  /**
   * Queues a request; all that is queued in one tick is written together at its end. On a connection with much in flight
   * it is that of the turn: with many nodes, the replies of one socket let their callers write a little to each other one.
   */
  push(request: Request): void {
    if (this.#connection === undefined && this.cause !== undefined) {
      if (this.#state === "closed" || this.cause instanceof AuthError) {
        request.onLost(this.cause);
        return;
      }
    }
    this.#queue.push(request);
    request.backlog = this;
    request.place = "queued";
    this.#queuedBytes += request.frame.length;
    if (!this.#flushScheduled && this.#connection !== undefined && !this.#muted) this.#scheduleFlush();
  }

  /** The next request to write; the queue as `Connection.writeFrom` sees it. */
  shift(): Request | undefined {
    const request = this.#queue.shift();
    if (request === undefined) return undefined;
    if (request.backlog === undefined) this.#givenUp--;
    else this.#leaves(request);
    return request;
  }

  /** Takes what is queued, except requests whose callers have an answer already. */
  takeQueued(): Request[] {
    const requests = this.#queue.takeAll().filter(({ backlog }) => backlog !== undefined);
    this.#givenUp = 0;
    for (const request of requests) {
      this.#leaves(request);
      request.place = "parked";
    }
    return requests;
  }

  /** Takes of what is queued what `choose` chooses of it, and leaves the others in their order. */
  takeQueuedWhere(choose: (queued: readonly Request[]) => (request: Request) => boolean): Request[] {
    if (this.#queue.size === 0) return [];
    const taken: Request[] = [];
    const queued = this.takeQueued();
    const isTaken = choose(queued);
    for (const request of queued) {
      if (isTaken(request)) taken.push(request);
      else this.push(request);
    }
    return taken;
  }

  giveUp(request: Request): void {
    this.#leaves(request);
    this.#givenUp++;
    if (this.#givenUp <= MOST_GIVEN_UP || this.#givenUp * 2 <= this.#queue.size) return;
    for (const each of this.#queue.takeAll()) if (each.backlog !== undefined) this.#queue.push(each);
    this.#givenUp = 0;
  }

  #leaves(request: Request): void {
    request.backlog = undefined;
    this.#queuedBytes -= request.frame.length;
  }

  /** The connection in use, for commands of slotwire's own. Their replies are awaited as those of calls are. */
  get connection(): Connection | undefined {
    this.#watchdog?.watch();
    return this.#connection;
  }

  /** Uses a fresh connection from now on; the present one ends with its last reply. */
  replaceConnection(): void {
    const old = this.#connection;
    if (old === undefined) return;
    this.#letGo();
    this.#state = "connecting";
    this.#retire(old);
    void this.#connect();
  }

  /** Does not wait any longer for the next attempt to connect. */
  connectNow(): void {
    if (this.#state !== "waiting") return;
    this.#retry?.cancel();
    this.#attempt = 0;
    this.#state = "connecting";
    void this.#connect();
  }

  /** Takes no new requests; what is in flight may end. Resolves when it has. */
  async drain(): Promise<void> {
    const { clock } = this.#environment;
    while (this.pending > 0 || this.#retired.size > 0) {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 5));
    }
  }

  /** Ends now; what is queued or in flight is lost. */
  close(cause: Error): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#retry?.cancel();
    const connection = this.#connection;
    this.#letGo();
    this.cause = cause;
    connection?.close(cause);
    this.#upcoming?.close(cause);
    for (const retired of this.#retired) retired.close(cause);
    for (const request of this.takeQueued()) request.onLost(cause);
  }

  async #connect(): Promise<void> {
    let connection: Connection | undefined;
    try {
      const early = (created: Connection) => {
        this.#upcoming = created;
      };
      connection = await Connection.open(this.#settings, early, ++this.#tries);
      if (this.#isClosed()) throw this.cause;
      await this.#prepare(connection);
    } catch (error) {
      connection?.close(error as Error);
      this.#failed(error as Error);
      return;
    }
    if (this.#isClosed()) {
      connection.close(this.cause as Error);
      return;
    }
    if (connection.closed) {
      this.#failed(new Error("the connection was lost while it was prepared"));
      return;
    }
    this.#state = "ready";
    if (this.#wasReady && this.#settings.telemetry) this.#settings.telemetry.counters.reconnections++;
    this.#wasReady = true;
    this.#tries = 0;
    this.#upcoming = undefined;
    this.#attempt = 0;
    this.cause = undefined;
    this.#connection = connection;
    this.#watchdog = new Watchdog(connection, this.#settings, {
      onHalfOpen: (why) => connection.close(why),
      onSilent: (why) => this.#fallSilent(why),
      onSpeaking: () => this.#speakAgain(),
    });
    connection.onClosed = (cause) => this.#lost(cause);
    connection.onWritable = () => this.#scheduleFlush();
    this.#events.onUp();
    this.#scheduleFlush();
  }

  async #prepare(connection: Connection): Promise<void> {
    const { clock } = this.#environment;
    const limitMs = this.#settings.connectTimeoutMs;
    const timer = clock.setTimer(
      () => connection.close(new Error(`no answer while scripts were loaded, within ${limitMs} ms`)),
      limitMs,
    );
    const lost = new Promise<never>((_, reject) => {
      connection.onClosed = reject;
    });
    try {
      await Promise.race([this.#events.prepare(connection), lost]);
    } finally {
      timer.cancel();
    }
  }

  #lost(cause: Error): void {
    this.#letGo();
    this.#failed(cause);
  }

  #letGo(): void {
    this.#connection = undefined;
    this.#watchdog?.end();
    this.#watchdog = undefined;
    this.#silent = false;
  }

  #fallSilent(cause: Error): void {
    this.#silent = true;
    this.#muted = true;
    this.cause = cause;
    // What only reads has other nodes to go to, and may be sent again.
    if (this.#settings.readOnly) this.#connection?.close(cause);
    else this.#events.onDown(cause);
  }

  #speakAgain(): void {
    this.#silent = false;
    this.cause = undefined;
    this.#events.onUp();
  }

  #failed(cause: Error): void {
    if (this.#state === "closed") return;
    this.#state = "waiting";
    this.cause = cause;
    const refused = cause instanceof AuthError;
    const range = refused || cause instanceof CredentialsError ? RECONNECT_AFTER_REFUSAL : RECONNECT;
    const waitMs = backoffMs(this.#attempt++, range, this.#environment.random());
    this.#retry = this.#environment.clock.setTimer(() => {
      this.#state = "connecting";
      void this.#connect();
    }, waitMs);
    if (refused) for (const request of this.takeQueued()) request.onLost(cause);
    this.#events.onDown(cause);
  }

  #retire(connection: Connection): void {
    const close = () => connection.close(new Error("replaced"));
    // What it still waits for may never come.
    const limit = this.#environment.clock.setTimer(close, RETIREMENT_MS, true);
    this.#retired.add(connection);
    connection.onWritable = () => {};
    connection.onClosed = () => {
      limit.cancel();
      this.#retired.delete(connection);
    };
    connection.onIdle = close;
    if (connection.inFlight.size === 0) close();
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    const { clock } = this.#environment;
    const connection = this.#connection;
    if (connection !== undefined && connection.inFlight.size >= MANY_IN_FLIGHT) clock.afterReads(this.#flush);
    else clock.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false;
    const connection = this.#connection;
    if (connection === undefined || this.#muted) return;
    connection.writeFrom(this);
    if (connection.inFlight.size > 0) this.#watchdog?.watch();
  };
}
