import type { Timer } from "../environment.ts";
import { QueueFullError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import { Carrier } from "./carrier.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import { Loan } from "./loan.ts";
import { Opener } from "./opener.ts";
import { Probe } from "./probe.ts";
import type { Request, Usage } from "./request.ts";
import { RequestQueue } from "./request-queue.ts";
import { isRefusal } from "./retry-policy.ts";
import { Watchdog } from "./watchdog.ts";

/** The most requests (waiting, carried or held) and loans together. A server takes 10,000 clients by default. */
const MOST = 1000;
/** How long an idle connection is kept for the next request. */
const IDLE_MS = 10_000;

const noted = () => {};

/**
 * Connections to one node for requests that the server may hold for long. Each request has a connection to itself, so that
 * it delays no other. Connections are opened when they are needed, and used again.
 *
 *   request: waiting --a connection is free--> carried --reply--> done
 *                                                 |-- refused: its socket is closed, because the server may close it as well
 *                                                 '-- given up: its socket is closed, so that the server forgets it
 *   connection: opening --> idle --> busy --reply--> idle --10 s--> closed
 *                            '--> lent --given back--^
 */
export class DedicatedConnections {
  readonly #settings: ConnectionSettings;
  readonly #maxWaitingBytes: number;
  readonly #probe: Probe;
  readonly #opener: Opener;
  readonly #waiting = new RequestQueue();
  /** The last one is taken first, so that surplus connections stay idle until they are closed. */
  readonly #idle: Carrier[] = [];
  readonly #busy = new Set<Carrier>();
  /** Connections that are being opened for waiting requests. */
  #opening = 0;
  /** Connections that are lent, or being opened for a loan. */
  #lent = 0;
  /** Of these, the ones that are lent. */
  readonly #loans = new Set<Connection>();
  /** Requests that this node refused, and that wait elsewhere for their next attempt. */
  #held = 0;
  #heldBytes = 0;
  /** Counts `renew`: connections of an earlier generation serve no further request. */
  #generation = 0;
  /** Ends the wait after a failure, for the requests that wait. */
  #retry: Timer | undefined;
  #ended: Error | undefined;
  /** The sockets are read before an idle connection is used. */
  #isReading = false;
  /** Callers of `drain`. */
  readonly #whenDrained: (() => void)[] = [];

  /**
   * @param onStranger  Called when another server answers at the node's address.
   * @param probe       Asks the node about a connection that is silent.
   */
  constructor(
    settings: ConnectionSettings,
    maxWaitingBytes: number,
    onStranger: (cause: Error) => void = noted,
    probe = new Probe(settings),
  ) {
    this.#settings = settings;
    this.#probe = probe;
    this.#maxWaitingBytes = maxWaitingBytes;
    this.#opener = new Opener(settings, onStranger);
  }

  /** Requests that wait for a connection, have one, or are held; and loans. */
  get pending(): number {
    return this.#waiting.size + this.#busy.size + this.#held + this.#lent;
  }

  /** The bytes of the requests that wait for a connection or are held. */
  get waitingBytes(): number {
    return this.#waiting.bytes + this.#heldBytes;
  }

  /** The requests that are carried. */
  get carried(): Request[] {
    return [...this.#busy].flatMap(({ request }) => request ?? []);
  }

  /** Connections by their state. A connection that is lent is in neither figure. */
  get states(): { readonly connecting: number; readonly ready: number } {
    return { connecting: this.#opening, ready: this.#idle.length + this.#busy.size };
  }

  get usage(): Usage {
    return { idle: this.#idle.length, used: this.#busy.size + this.#loans.size, queued: this.#waiting.size };
  }

  /** A request of this node waits elsewhere. It counts until it is released. */
  hold(bytes: number): void {
    this.#held++;
    this.#heldBytes += bytes;
  }

  release(bytes: number): void {
    this.#held--;
    this.#heldBytes -= bytes;
    invariant(this.#held >= 0 && this.#heldBytes >= 0, "only a request that is held is released");
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
    const cause = this.#ended ?? (this.#idle.length === 0 ? this.#opener.refusal : undefined);
    if (cause !== undefined) {
      request.onLost(cause);
      return;
    }
    this.#waiting.push(request);
    this.#serve();
  }

  /**
   * Lends a connection: one that is idle, or a new one. `onCreated` gets it before it is open. A loan does not wait after
   * failures, because borrowers pause between their tries.
   * @throws {QueueFullError} Too many requests and loans.
   * @throws                  As `openConnection`; or the cause that `close` was given.
   */
  async lend(onCreated: (connection: Connection) => void): Promise<Loan> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.pending >= MOST) throw this.#tooMany();
    if (this.#idle.length > 0) await this.#arrivals();
    if (this.#ended !== undefined) throw this.#ended;
    const free = this.#idle.pop();
    if (free === undefined && this.#opener.refusal !== undefined) throw this.#opener.refusal;
    const generation = free?.generation ?? this.#generation;
    this.#lent++;
    if (free !== undefined) {
      this.#wake(free);
      onCreated(free.connection);
      return this.#loanOf(free.connection, generation);
    }
    try {
      return this.#loanOf(await this.#opener.open(onCreated), generation);
    } catch (error) {
      this.#lent--;
      throw error;
    }
  }

  #loanOf(connection: Connection, generation: number): Loan {
    this.#loans.add(connection);
    return new Loan(connection, this.#watchdogOf(connection), {
      onEnded: () => {
        this.#lent--;
        this.#loans.delete(connection);
      },
      onReturned: () => this.#adopt(connection, generation),
    });
  }

  #watchdogOf(connection: Connection): Watchdog {
    const { clock } = this.#settings.environment;
    return new Watchdog(connection, clock, this.#probe, { onDead: (why) => connection.close(why) }, true);
  }

  /** Resolves when the sockets were read: the server may have closed connections while this process did something else. */
  #arrivals(): Promise<void> | undefined {
    const { clock } = this.#settings.environment;
    return clock.isBehind() ? new Promise<void>((resolve) => clock.afterArrivals(resolve)) : undefined;
  }

  /** Takes the requests that were not written and that `isTaken` picks. */
  takeWaitingWhere(isTaken: (request: Request) => boolean): Request[] {
    return this.#waiting.takeWhere(isTaken);
  }

  /** The requests of `given` that are still carried are lost. */
  lose(given: readonly Request[], cause: Error): void {
    for (const { request, connection } of [...this.#busy]) {
      if (request !== undefined && given.includes(request)) connection.close(cause);
    }
  }

  /** The node's name leads elsewhere by now, or the login has changed: no connection that is open serves a further request. */
  renew(): void {
    this.#generation++;
    this.#opener.reset();
    for (const { connection } of [...this.#idle]) connection.close(new Farewell("replaced", "replaced"));
    this.#serve();
  }

  /** Closes every connection, also those that are being opened. Requests that wait go on waiting. */
  dropConnections(cause: Error): void {
    this.#generation++;
    this.#opener.close(cause);
    for (const { connection } of [...this.#idle, ...this.#busy]) connection.close(cause);
  }

  /** Ends the tries to connect that are under way, because the node is unavailable. */
  endTries(cause: Error): void {
    this.#opener.close(cause);
  }

  /** Resolves when nothing is carried. */
  async drain(): Promise<void> {
    while (this.#busy.size > 0) await new Promise<void>((resolve) => this.#whenDrained.push(resolve));
  }

  /** Ends now. Requests that wait or are carried are lost. */
  close(cause: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = cause;
    this.#retry?.cancel();
    this.#opener.close(cause);
    for (const { connection } of [...this.#idle, ...this.#busy]) connection.close(cause);
    for (const request of this.#waiting.takeAll()) request.onLost(cause);
  }

  /** Gives waiting requests the idle connections, and opens connections for the others. */
  #serve(): void {
    if (this.#ended !== undefined || this.#isReading) return;
    if (this.#idle.length > 0 && this.#waiting.size > 0 && this.#settings.environment.clock.isBehind()) {
      this.#isReading = true;
      this.#settings.environment.clock.afterArrivals(() => {
        this.#isReading = false;
        this.#serve();
      });
      return;
    }
    for (let carrier = this.#idle.at(-1); carrier !== undefined; carrier = this.#idle.at(-1)) {
      const request = this.#waiting.next();
      if (request === undefined) return;
      this.#idle.pop();
      this.#wake(carrier);
      this.#busy.add(carrier);
      carrier.carry(request);
    }
    const { restMs, isFailing } = this.#opener;
    if (restMs > 0) this.#serveAfter(restMs);
    else {
      const wanted = isFailing ? Math.min(1, this.#waiting.size) : this.#waiting.size;
      while (this.#opening < wanted) void this.#open();
    }
  }

  #serveAfter(restMs: number): void {
    if (this.#waiting.size === 0 || this.#retry !== undefined) return;
    this.#retry = this.#settings.environment.clock.setTimer(() => {
      this.#retry = undefined;
      this.#serve();
    }, restMs);
  }

  async #open(): Promise<void> {
    const generation = this.#generation;
    // Counted before anything can fail, because `#serve` opens until the count is right.
    this.#opening++;
    let connection: Connection;
    try {
      connection = await this.#opener.open(noted);
    } catch (error) {
      this.#opening--;
      this.#notOpened(error as Error);
      return;
    }
    this.#opening--;
    this.#adopt(connection, generation);
  }

  #notOpened(cause: Error): void {
    if (isRefusal(cause)) for (const request of this.#waiting.takeAll()) request.onLost(cause);
    this.#serve();
  }

  /** Takes over a connection that is open, and on which nothing is awaited. */
  #adopt(connection: Connection, generation: number): void {
    const carrier = new Carrier(connection, generation, this.#watchdogOf(connection));
    if (!connection.closed) {
      connection.handOver({ onIdle: () => this.#answered(carrier), onClosed: () => this.#gone(carrier) });
      this.#rest(carrier);
    }
    this.#serve();
  }

  #answered(carrier: Carrier): void {
    const { connection, request } = carrier;
    // Bytes came that are no whole reply yet, on a connection that awaits none.
    if (request === undefined) return;
    carrier.request = undefined;
    carrier.watchdog.rest();
    // An answer that does not settle its request was a refusal. A server that says UNBLOCKED closes the connection as well,
    // and reads nothing more from it.
    if (request.place !== "settled") connection.close(new Farewell("replaced", "replaced"));
    else {
      this.#leaveBusy(carrier);
      this.#rest(carrier);
    }
    this.#serve();
  }

  /** Keeps the connection for the next request, if it may serve one. */
  #rest(carrier: Carrier): void {
    const { connection, generation, request } = carrier;
    invariant(request === undefined && !this.#busy.has(carrier), "an idle connection carries nothing");
    if (this.#ended !== undefined || generation !== this.#generation) {
      connection.close(this.#ended ?? new Farewell("replaced", "replaced"));
      return;
    }
    const { clock } = this.#settings.environment;
    carrier.rest = clock.setTimer(
      () => connection.close(new Farewell("not-needed", "not needed any more")),
      IDLE_MS,
      true,
    );
    this.#idle.push(carrier);
  }

  /** The connection is not idle any more. */
  #wake(carrier: Carrier): void {
    carrier.rest?.cancel();
    carrier.rest = undefined;
  }

  #gone(carrier: Carrier): void {
    this.#wake(carrier);
    carrier.watchdog.end();
    const at = this.#idle.indexOf(carrier);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#leaveBusy(carrier);
  }

  #leaveBusy(carrier: Carrier): void {
    this.#busy.delete(carrier);
    if (this.#busy.size === 0) for (const resolve of this.#whenDrained.splice(0)) resolve();
  }
}
