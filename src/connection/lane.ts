import type { Timer } from "../environment.ts";
import { invariant } from "../invariant.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import { Flushes } from "./flushes.ts";
import { openPrepared } from "./open-connection.ts";
import type { Probe } from "./probe.ts";
import type { Request, Usage } from "./request.ts";
import { RequestQueue, type Room } from "./request-queue.ts";
import { RetiredConnections } from "./retired-connections.ts";
import { isRefusal, retryDelayMs } from "./retry-policy.ts";
import { Watchdog, type WatchdogEvents } from "./watchdog.ts";

/** How often `drain` looks. */
const DRAIN_LOOK_MS = 5;

/** A lane's news for its pool, and the preparation of its connections. */
export interface LaneEvents {
  /**
   * Prepares a fresh connection (scripts) before requests may use it. Resolves to false if the connection is kept for
   * that, and requests need another one.
   */
  prepare(connection: Connection): Promise<boolean>;
  onUp(): void;
  /** The lane has no usable connection: it lost one, or could not get one. */
  onDown(cause: Error): void;
}

/**
 * One pipelined stream of requests to one node. Connections come and go beneath the lane. Requests that have not been
 * written stay in its queue, in order.
 *
 *   connecting --open, prepared--> ready --lost--> waiting --backoff--> connecting ...      any --close--> closed
 *                                  |  ^
 *               node falls silent -'  '- node speaks again; in between, nothing is written, and the pool's owner may take
 *                                        the queue elsewhere
 *
 * A node that is silent on one lane is silent on all of them, so the pool mutes the other lanes as well.
 */
export class Lane {
  readonly #settings: ConnectionSettings;
  readonly #events: LaneEvents;
  readonly #probe: Probe;
  readonly #queue: RequestQueue;
  readonly #retired: RetiredConnections;
  readonly #flushes: Flushes;
  #state: "connecting" | "ready" | "waiting" | "closed" = "connecting";
  /** Defined exactly while the lane is `ready`. */
  #connection: Connection | undefined;
  /** Watches `#connection`. */
  #watchdog: Watchdog | undefined;
  /** This lane's watchdog has found that the node answers nobody. */
  #silent = false;
  /** This lane or another one of the pool has found that the node answers nobody: nothing is written. */
  #muted = false;
  /** The connection that is being opened or prepared. */
  #upcoming: Connection | undefined;
  /** Set while the lane is `waiting`. */
  #retry: Timer | undefined;
  /** Failures since the lane was ready, or was told to connect now: they set the backoff. */
  #failures = 0;
  /** The next failure costs no wait. */
  #retriesAtOnce = false;
  /** Tries since the lane was ready, for listeners on the channel. */
  #tries = 0;
  #wasReady = false;
  #flushScheduled = false;
  /** Why the lane cannot write, while it cannot. */
  cause: Error | undefined;

  /**
   * @param probe  Asks the node about a connection that is silent.
   * @param room   The room of the lane's pool.
   */
  constructor(settings: ConnectionSettings, events: LaneEvents, probe: Probe, room?: Room) {
    this.#queue = new RequestQueue(room);
    this.#settings = settings;
    this.#probe = probe;
    this.#events = events;
    const { clock } = settings.environment;
    this.#retired = new RetiredConnections(clock, probe);
    this.#flushes = settings.flushes ?? new Flushes(clock);
    this.#begin();
  }

  get ready(): boolean {
    return this.#connection !== undefined && !this.#muted;
  }

  /** Whether this lane's connection has found that the node answers nobody. */
  get foundSilence(): boolean {
    return this.#silent;
  }

  /** Whether the node may answer nobody: queued requests should go elsewhere, if there is an elsewhere. */
  get inDoubt(): boolean {
    return this.#watchdog !== undefined && this.#watchdog.inDoubt;
  }

  /** The connection in use, and the one that is being opened or prepared. */
  get connections(): Connection[] {
    return [this.#connection, this.#upcoming].filter((each) => each !== undefined);
  }

  get state(): "connecting" | "ready" | "silent" | "waiting" | "closed" {
    return this.#state === "ready" && this.#muted ? "silent" : this.#state;
  }

  get usage(): Usage {
    const used = this.#retired.size + (this.#connection !== undefined && this.#connection.inFlight.size > 0 ? 1 : 0);
    const open = this.#retired.size + (this.#connection === undefined ? 0 : 1);
    return { idle: open - used, used, queued: this.#queue.size };
  }

  /** Calls queued or in flight, and loads queued in front of them. */
  get pending(): number {
    const pending = this.#queue.size + (this.#connection === undefined ? 0 : this.#connection.callsInFlight);
    return this.#retired.size === 0 ? pending : pending + this.#retired.callsInFlight;
  }

  /** Bytes queued, or written and not yet taken by the operating system. */
  get pendingBytes(): number {
    return this.#queue.bytes + (this.#connection === undefined ? 0 : this.#connection.pendingBytes);
  }

  /**
   * Queues a request. All requests that are queued in one tick share one write at its end. Where the client is busy, all
   * that are queued in one turn of the event loop do: with many nodes, the replies of one socket let their callers write a
   * little to each other node.
   */
  push(request: Request): void {
    if (this.#connection === undefined && this.cause !== undefined) {
      if (this.#state === "closed" || isRefusal(this.cause)) {
        request.onLost(this.cause);
        return;
      }
    }
    this.#queue.push(request);
    if (!this.#flushScheduled && this.#connection !== undefined && !this.#muted) this.#scheduleFlush();
  }

  /** Takes the queued requests, except those that were given up. */
  takeQueued(): Request[] {
    return this.#queue.takeAll();
  }

  /** Takes the queued requests that `isTaken` picks. The others keep their order. */
  takeQueuedWhere(isTaken: (request: Request) => boolean): Request[] {
    return this.#queue.takeWhere(isTaken);
  }

  /**
   * Hands out the connection in use, for commands of slotwire's own that are written at once. Their replies are watched
   * for as those of calls are.
   */
  useConnection(): Connection | undefined {
    this.#watchdog?.watch();
    return this.#connection;
  }

  /** Writes nothing, while `muted`, because the node answers nobody. */
  mute(muted: boolean): void {
    if (this.#muted === muted) return;
    this.#muted = muted;
    if (!muted) this.#scheduleFlush();
  }

  /** Whether a connection that was replaced is still to answer. */
  get isReplacing(): boolean {
    return this.#retired.size > 0;
  }

  /**
   * Uses a fresh connection from now on. The present one ends with its last reply.
   * @param fresh  The connection, if it is open already. It is closed if it is not needed.
   */
  replaceConnection(fresh?: Connection): void {
    const old = this.#connection;
    if (old === undefined) {
      fresh?.close(new Farewell("not-needed", "no longer needed"));
      return;
    }
    this.#letGo();
    this.#retired.add(old);
    this.#begin(fresh);
  }

  /** Closes the connection, also one that is being opened. What is queued waits for the next one. */
  dropConnection(cause: Error): void {
    this.#upcoming?.close(cause);
    this.#connection?.close(cause);
  }

  /** Makes the next try to connect now, if the lane waits for it. */
  connectNow(): void {
    if (this.#state !== "waiting") return;
    this.#retry?.cancel();
    this.#failures = 0;
    this.#begin();
  }

  /** The node has answered another connection: a try that has heard nothing is given up, and the next one made at once. */
  connectAfresh(): void {
    const upcoming = this.#upcoming;
    if (this.#state !== "connecting" || upcoming === undefined || upcoming.received > 0) return;
    this.#retriesAtOnce = true;
    upcoming.close(new Error("no answer, while another connection was answered"));
  }

  /** Resolves when nothing is queued or in flight. The lane takes requests meanwhile. */
  async drain(): Promise<void> {
    const { clock } = this.#settings.environment;
    while (this.pending > 0 || this.#retired.size > 0) {
      await new Promise<void>((resolve) => clock.setTimer(resolve, DRAIN_LOOK_MS));
    }
  }

  /** Ends now. Requests that are queued or in flight are lost. */
  close(cause: Error): void {
    if (this.#state === "closed") return;
    this.#leaveWaiting();
    this.#state = "closed";
    this.#retry?.cancel();
    const connection = this.#connection;
    this.#letGo();
    this.cause = cause;
    connection?.close(cause);
    this.#upcoming?.close(cause);
    this.#retired.close(cause);
    for (const request of this.#queue.takeAll()) request.onLost(cause);
  }

  /** Connects, when it is this lane's turn. */
  #begin(fresh?: Connection): void {
    invariant(this.#connection === undefined, "a lane has one connection at a time");
    this.#retry = undefined;
    this.#leaveWaiting();
    this.#state = "connecting";
    const { crowd } = this.#settings;
    if (crowd === undefined) void this.#connect(fresh);
    else crowd.begin(() => this.#state === "connecting" && void this.#connect(fresh));
  }

  async #connect(fresh?: Connection): Promise<void> {
    const onCreated = (created: Connection) => {
      this.#upcoming = created;
    };
    let connection: Connection;
    try {
      const prepare = (opened: Connection) => this.#events.prepare(opened);
      connection = await openPrepared(this.#settings, prepare, onCreated, ++this.#tries, fresh);
      // It may have closed since, because this goes on in a later job.
      if (connection.closed) throw new Error("the connection was lost before it was used");
    } catch (error) {
      this.#upcoming = undefined;
      this.#failed(error as Error);
      return;
    }
    this.#adopt(connection);
  }

  #adopt(connection: Connection): void {
    invariant(this.#state === "connecting", "closing a lane closes the connection that it is opening");
    this.#state = "ready";
    this.#upcoming = undefined;
    const { telemetry } = this.#settings;
    if (this.#wasReady && telemetry !== undefined) telemetry.counters.reconnections++;
    this.#wasReady = true;
    this.#tries = 0;
    this.#failures = 0;
    this.cause = undefined;
    this.#connection = connection;
    const { environment, silentAfterMs } = this.#settings;
    const events: WatchdogEvents = {
      onDead: (why) => connection.close(why),
      onSilent: (why) => this.#fallSilent(why),
      onSpeaking: () => this.#speakAgain(),
    };
    this.#watchdog = new Watchdog(connection, environment.clock, this.#probe, events, false, silentAfterMs);
    connection.handOver({ onClosed: (cause) => this.#lost(cause), onWritable: () => this.#scheduleFlush() });
    this.#events.onUp();
    this.#scheduleFlush();
  }

  #lost(cause: Error): void {
    // A lane that closes lets go of its connection first.
    if (this.#connection === undefined) return;
    this.#letGo();
    this.#failed(cause);
  }

  /** The connection is the lane's no longer. */
  #letGo(): void {
    this.#connection = undefined;
    this.#watchdog?.end();
    this.#watchdog = undefined;
    this.#silent = false;
  }

  #failed(cause: Error): void {
    if (this.#state === "closed") return;
    invariant(this.#connection === undefined, "a lane that waits has no connection");
    this.#state = "waiting";
    this.cause = cause;
    const { clock, random } = this.#settings.environment;
    const { crowd } = this.#settings;
    if (crowd !== undefined) crowd.failing++;
    const waitMs = this.#retriesAtOnce ? 0 : retryDelayMs(cause, this.#failures++, random(), crowd?.leastWaitMs);
    const begin = () => this.#begin();
    this.#retry =
      crowd === undefined || this.#retriesAtOnce ? clock.setTimer(begin, waitMs) : crowd.beginAfter(waitMs, begin);
    this.#retriesAtOnce = false;
    if (isRefusal(cause)) for (const request of this.#queue.takeAll()) request.onLost(cause);
    this.#events.onDown(cause);
  }

  /** The lane is about to leave its state. If it waits, it is not one of those that wait any more. */
  #leaveWaiting(): void {
    const { crowd } = this.#settings;
    if (this.#state === "waiting" && crowd !== undefined) crowd.failing--;
  }

  #fallSilent(cause: Error): void {
    this.#silent = true;
    this.#muted = true;
    this.cause = cause;
    // Reads may be sent again, and have other nodes to go to. So the lane of a replica gives its connection up.
    if (this.#settings.readOnly) this.#connection?.close(cause);
    else this.#events.onDown(cause);
  }

  #speakAgain(): void {
    this.#silent = false;
    this.cause = undefined;
    this.#events.onUp();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#flushes.add(this.#flush, this.#connection === undefined ? 0 : this.#connection.inFlight.size);
  }

  readonly #flush = (): number => {
    const connection = this.#connection;
    this.#flushScheduled = false;
    if (connection === undefined || this.#muted) return 0;
    const { inFlight } = connection;
    const before = inFlight.size;
    connection.writeFrom(this.#queue);
    if (inFlight.size > 0) this.#watchdog?.watch();
    return inFlight.size - before;
  };
}
