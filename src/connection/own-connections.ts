import type { Timer } from "../environment.ts";
import { AuthError, QueueFullError } from "../errors.ts";
import { type BackoffRange, backoffMs } from "./backoff.ts";
import { Connection, type ConnectionSettings } from "./connection.ts";
import type { Backlog, Request } from "./request.ts";

/** Requests that wait for a connection or have one, and loans, at most. A server takes 10,000 clients by default. */
const MOST = 1000;
/** How long a connection is kept for the next request. */
const IDLE_MS = 10_000;
const REOPEN: BackoffRange = { firstMs: 20, mostMs: 500 };

/** A connection for several requests, on which nobody else's come in between. */
export interface Loan {
  readonly connection: Connection;
  /** For a connection that is as it was at first. One that is not is to be closed. */
  giveBack(): void;
}

/** A connection for one request at a time. */
class Carrier implements Backlog {
  readonly connection: Connection;
  /** Which `renew` it was opened after. */
  readonly generation: number;
  request: Request | undefined;
  rest: Timer | undefined;

  constructor(connection: Connection, generation: number) {
    this.connection = connection;
    this.generation = generation;
  }

  /** Only the end of the socket makes a server forget a request that it holds. One that was answered has left the ring. */
  giveUp(request: Request): void {
    if (request !== this.request || this.connection.inFlight.size === 0) return;
    this.connection.close(new Error("nobody waits for the reply any more"));
  }
}

/**
 * Connections to one node for requests that the server may hold for long: each has one to itself, so that it delays
 * nobody. They are opened when they are needed, and used again.
 *
 *   request: waiting --a connection is free--> carried --reply--> done
 *                                                 |-- refused: its socket ends, maybe by the server as well
 *                                                 '-- given up: its socket ends, and the server forgets it
 *   connection: opening --> idle --> busy --reply--> idle --10 s--> closed
 */
export class OwnConnections implements Backlog {
  readonly #settings: ConnectionSettings;
  readonly #maxWaitingBytes: number;
  readonly #waiting: Request[] = [];
  readonly #upcoming = new Set<Connection>();
  /** The one used last is taken first: what is not needed any more gets old. */
  readonly #idle: Carrier[] = [];
  readonly #busy = new Set<Carrier>();
  /** Connections that are lent, or opened for that. */
  #lent = 0;
  /** Requests that this node refused and that wait elsewhere for their next attempt. */
  #held = 0;
  #generation = 0;
  /** Failures to open since the last success; while there are any, one try at a time is made. */
  #failures = 0;
  #retry: Timer | undefined;
  #ended: Error | undefined;
  #onDrained = () => {};

  constructor(settings: ConnectionSettings, maxWaitingBytes: number) {
    this.#settings = settings;
    this.#maxWaitingBytes = maxWaitingBytes;
  }

  /** Requests that wait for a connection, have one, or are held; and loans. */
  get pending(): number {
    return this.#waiting.length + this.#busy.size + this.#held + this.#lent;
  }

  /** A request of this node waits elsewhere; it counts all the same, until it is released. */
  hold(): void {
    this.#held++;
  }

  release(): void {
    this.#held--;
  }

  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { frame }) => sum + frame.length, 0);
  }

  /** Connections, by what they are for the moment. */
  get states(): { readonly connecting: number; readonly ready: number } {
    return { connecting: this.#upcoming.size, ready: this.#idle.length + this.#busy.size };
  }

  /** The error to refuse a request of `bytes` with, or undefined when it may be pushed. */
  refusalOf(bytes: number): QueueFullError | undefined {
    if (this.pending >= MOST) return this.#tooMany();
    const waiting = this.waitingBytes;
    if (waiting === 0 || waiting + bytes <= this.#maxWaitingBytes) return undefined;
    return new QueueFullError(this.#settings.address, `maxPendingBytesPerNode is ${this.#maxWaitingBytes} bytes`);
  }

  #tooMany(): QueueFullError {
    return new QueueFullError(this.#settings.address, `${MOST} calls that block and transactions that watch`);
  }

  push(request: Request): void {
    if (this.#ended !== undefined) {
      request.onLost(this.#ended);
      return;
    }
    request.backlog = this;
    request.place = "queued";
    this.#waiting.push(request);
    this.#serve();
  }

  /**
   * A connection to have for a while: one that is free, or a new one. `onCreated` is given it before it is open.
   * @throws {QueueFullError} What `Connection.open` throws, and why there are no connections any more.
   */
  async lend(onCreated: (connection: Connection) => void): Promise<Loan> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.pending >= MOST) throw this.#tooMany();
    const free = this.#idle.pop();
    const generation = free?.generation ?? this.#generation;
    free?.rest?.cancel();
    if (free !== undefined) onCreated(free.connection);
    this.#lent++;
    let isLent = true;
    const ended = () => {
      if (isLent) this.#lent--;
      isLent = false;
    };
    try {
      const connection = free?.connection ?? (await Connection.open(this.#settings, onCreated));
      connection.onIdle = () => {};
      connection.onClosed = ended;
      if (connection.closed) ended();
      const giveBack = () => {
        ended();
        if (!connection.closed) this.#adopt(connection, generation);
      };
      return { connection, giveBack };
    } catch (error) {
      ended();
      throw error;
    }
  }

  /** A request that waits is given up. */
  giveUp(request: Request): void {
    this.takeWaitingWhere((each) => each === request);
  }

  /** Takes, of the requests that were not written, those that `isTaken` says. */
  takeWaitingWhere(isTaken: (request: Request) => boolean): Request[] {
    const waiting = this.#waiting.splice(0);
    const taken: Request[] = [];
    for (const request of waiting) {
      if (isTaken(request)) taken.push(request);
      else this.#waiting.push(request);
    }
    for (const request of taken) {
      request.backlog = undefined;
      if (request.place === "queued") request.place = "parked";
    }
    if (this.#waiting.length === 0) this.#stopRetrying();
    return taken;
  }

  /** The requests that are carried. */
  get carried(): Request[] {
    return [...this.#busy].flatMap(({ request }) => request ?? []);
  }

  /** The requests of `given` that are still carried are lost. */
  lose(given: readonly Request[], cause: Error): void {
    for (const { request, connection } of [...this.#busy]) {
      if (request !== undefined && given.includes(request)) connection.close(cause);
    }
  }

  /** No connection that is open now serves another request: the node's name, or the login, is another by now. */
  renew(): void {
    this.#generation++;
    for (const { connection } of [...this.#idle]) connection.close(new Error("replaced"));
  }

  /** Resolves when nothing is carried. */
  async drain(): Promise<void> {
    while (this.#busy.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve;
      });
    }
  }

  /** Ends now; what waits or is carried is lost. */
  close(cause: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = cause;
    this.#stopRetrying();
    for (const connection of [...this.#upcoming]) connection.close(cause);
    for (const { connection } of [...this.#idle, ...this.#busy]) connection.close(cause);
    for (const request of this.takeWaitingWhere(() => true)) request.onLost(cause);
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      const carrier = this.#idle.pop();
      if (carrier === undefined) break;
      this.#carry(carrier, this.#waiting.shift() as Request);
    }
    if (this.#retry !== undefined) return;
    const wanted = this.#failures === 0 ? this.#waiting.length : Math.min(1, this.#waiting.length);
    while (this.#upcoming.size < wanted) void this.#open();
  }

  #carry(carrier: Carrier, request: Request): void {
    carrier.rest?.cancel();
    carrier.request = request;
    request.backlog = carrier;
    this.#busy.add(carrier);
    carrier.connection.carry(request);
  }

  async #open(): Promise<void> {
    const generation = this.#generation;
    let created: Connection | undefined;
    let connection: Connection;
    try {
      connection = await Connection.open(this.#settings, (early) => {
        created = early;
        this.#upcoming.add(early);
      });
      if (connection.closed) throw new Error("the connection was lost before it was used");
    } catch (error) {
      if (created !== undefined) this.#upcoming.delete(created);
      this.#failed(error as Error);
      return;
    }
    this.#upcoming.delete(connection);
    this.#failures = 0;
    this.#adopt(connection, generation);
  }

  #adopt(connection: Connection, generation: number): void {
    const carrier = new Carrier(connection, generation);
    connection.onIdle = () => this.#free(carrier);
    connection.onClosed = () => this.#gone(carrier);
    this.#free(carrier);
  }

  #free(carrier: Carrier): void {
    const { connection, generation, request } = carrier;
    carrier.request = undefined;
    // Answered and not settled is refused: behind UNBLOCKED a server closes the connection, and reads nothing more.
    const wasRefused = request !== undefined && request.place !== "settled";
    if (this.#ended !== undefined || generation !== this.#generation || wasRefused) {
      connection.close(this.#ended ?? new Error("replaced"));
    } else {
      this.#leaveBusy(carrier);
      const { clock } = this.#settings.environment;
      carrier.rest = clock.setTimer(() => connection.close(new Error("not needed any more")), IDLE_MS, true);
      this.#idle.push(carrier);
    }
    this.#serve();
  }

  #gone(carrier: Carrier): void {
    carrier.rest?.cancel();
    const at = this.#idle.indexOf(carrier);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#leaveBusy(carrier);
  }

  #leaveBusy(carrier: Carrier): void {
    this.#busy.delete(carrier);
    if (this.#busy.size === 0) this.#onDrained();
  }

  #failed(cause: Error): void {
    if (this.#ended !== undefined) return;
    if (cause instanceof AuthError) {
      for (const request of this.takeWaitingWhere(() => true)) request.onLost(cause);
    }
    if (this.#waiting.length === 0 || this.#retry !== undefined) return;
    const { clock, random } = this.#settings.environment;
    this.#retry = clock.setTimer(
      () => {
        this.#retry = undefined;
        this.#serve();
      },
      backoffMs(this.#failures++, REOPEN, random()),
    );
  }

  #stopRetrying(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
  }
}
