import type { Endpoint, Environment, Timer, Transport } from "../environment.ts";
import { AuthError, ConnectionLostError, ProtocolError, SlotwireError } from "../errors.ts";
import { ReplyDecoder, type ReplySink } from "../protocol/decoder.ts";
import { isAuthFailure, parseErrorReply } from "../protocol/error-reply.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { Ring } from "../protocol/ring.ts";
import { type ConnectContext, connectChannel, isHeard, traced } from "../telemetry/channels.ts";
import { Counters, type Telemetry } from "../telemetry/counters.ts";
import { explained, NO_CONNECTION } from "./open-failure.ts";
import { ASKING, ControlRequest, type Request } from "./request.ts";

/** What a connection says to a server before anything else. */
export interface Login {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** What every connection to one node has in common. */
export interface ConnectionSettings {
  /** The node as announced, for messages. */
  readonly address: string;
  readonly endpoint: Endpoint;
  readonly environment: Environment;
  readonly connectTimeoutMs: number;
  readonly connectionName: string | undefined;
  /** READONLY: a replica serves reads on it. */
  readonly readOnly: boolean;
  /** Asked at every new connection. */
  readonly credentials: () => Promise<Login> | Login | undefined;
  /** Where the connection is counted, and on whose behalf it is told of. */
  readonly telemetry?: Telemetry;
}

/** The provider of credentials failed. Neither refused nor given: worth asking again, but not often. */
export class CredentialsError extends Error {}

async function credentialsFrom({ credentials }: ConnectionSettings): Promise<Login | undefined> {
  try {
    return await credentials();
  } catch (cause) {
    throw new CredentialsError("the provider of credentials failed", { cause });
  }
}

/** Joining frames saves writes, and costs a copy: from this size on a frame is cheaper written by itself. */
const LARGE_FRAME_BYTES = 4096;
/** Bytes joined into one write before the socket is asked whether it can take more. */
const MAX_WRITE_BYTES = 256 * 1024;

/**
 * One socket's life, one way only: opening -> open -> closed. It writes requests, gives each its reply in order, and
 * fails the rest when it ends. It never reconnects: a lane replaces it.
 */
export class Connection implements ReplySink {
  readonly address: string;
  /** Written, and not answered yet. */
  readonly inFlight = new Ring<Request>();
  /** How often bytes have come. */
  received = 0;
  /** Milliseconds that opening and logging in took: some round trips. */
  openedInMs = 0;
  /** Called once, when the socket is gone or given up. */
  onClosed: (cause: Error) => void = () => {};
  /** Called when a socket that was full can take more. */
  onWritable: () => void = () => {};
  /** Called when the last reply has come. */
  onIdle: () => void = () => {};

  readonly #transport: Transport;
  readonly #counters: Counters;
  readonly #decoder: ReplyDecoder;
  readonly #opened: Promise<void>;
  /** Rejects when the connection ends. */
  readonly #gone: Promise<never>;
  #goneBecause!: (cause: Error) => void;
  #state: "opening" | "open" | "closed" = "opening";
  #wasOpen = false;
  #full = false;
  /** Requests in flight that are nobody's calls. */
  #own = 0;
  #cause: Error | undefined;

  private constructor({ address, endpoint, environment, telemetry }: ConnectionSettings) {
    this.address = address;
    this.#counters = telemetry?.counters ?? new Counters();
    this.#decoder = new ReplyDecoder(this);
    let opened!: () => void;
    this.#opened = new Promise<void>((resolve) => {
      opened = resolve;
    });
    this.#gone = new Promise((_, reject) => {
      this.#goneBecause = reject;
    });
    this.#gone.catch(() => {});
    this.#transport = environment.open(endpoint, {
      onOpen: () => {
        if (this.#state !== "opening") return;
        this.#state = "open";
        this.#wasOpen = true;
        opened();
      },
      onData: (bytes) => this.#receive(bytes),
      onDrain: () => {
        this.#full = false;
        this.onWritable();
      },
      onClose: (cause) => this.close(cause ?? new Error("the connection was closed")),
    });
  }

  /**
   * Opens a connection and logs in, within `connectTimeoutMs`. `onCreated` is given it before that, to close it early.
   * @param attempt  Counts the tries of whoever needs the connection.
   * @throws {AuthError} The credentials were refused, or are needed.
   * @throws {Error}     The socket's own error, a timeout, or a `ReplyError` of a server that is not ready (LOADING, BUSY).
   */
  static open(
    settings: ConnectionSettings,
    onCreated?: (connection: Connection) => void,
    attempt = 1,
  ): Promise<Connection> {
    const { telemetry, address, readOnly } = settings;
    if (telemetry === undefined || !isHeard(connectChannel)) return Connection.#open(settings, onCreated);
    const { host, port } = settings.endpoint;
    const context: ConnectContext = { client: telemetry.client, address, endpoint: { host, port }, attempt, readOnly };
    return traced(connectChannel, context, () => Connection.#open(settings, onCreated));
  }

  static async #open(settings: ConnectionSettings, onCreated?: (connection: Connection) => void): Promise<Connection> {
    const connection = new Connection(settings);
    onCreated?.(connection);
    const { clock } = settings.environment;
    const started = clock.now();
    let awaited = "no credentials from their provider";
    const timer: Timer = clock.setTimer(() => {
      const what = connection.#state === "opening" ? NO_CONNECTION : awaited;
      connection.close(new Error(`${what} within ${settings.connectTimeoutMs} ms`));
    }, settings.connectTimeoutMs);
    try {
      const [, login] = await Promise.race([
        Promise.all([connection.#opened, credentialsFrom(settings)]),
        connection.#gone,
      ]);
      awaited = "no answer to the handshake";
      await connection.#handshake(login, settings);
      connection.openedInMs = clock.now() - started;
      connection.#counters.connectionsOpened++;
      return connection;
    } catch (error) {
      connection.close(error as Error);
      connection.#counters.connectionFailures++;
      const tls = settings.endpoint.tls !== undefined;
      throw explained(connection.#cause as Error, { tls, wasOpen: connection.#wasOpen });
    } finally {
      timer.cancel();
    }
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Whether more may be written now. */
  get writable(): boolean {
    return this.#state === "open" && !this.#full;
  }

  /** Bytes handed to the socket that it has not passed on. */
  get pendingBytes(): number {
    return this.#transport.pendingBytes;
  }

  /** Writes from the front of `queue` until it is empty or the socket is full; with `all`, also past that. */
  writeFrom(queue: { shift(): Request | undefined }, all = false): void {
    const { inFlight } = this;
    let out = "";
    while (this.#state === "open" && (all || !this.#full)) {
      const request = queue.shift();
      if (request === undefined) break;
      if (request.place === "settled") continue;
      if (request.asking) {
        out += ASKING.frame;
        inFlight.push(ASKING);
        this.#own++;
      }
      if (request.ahead !== undefined) {
        for (const each of request.ahead) inFlight.push(each);
        this.#own += request.ahead.length;
      }
      if (request.isOwn) this.#own++;
      const { frame } = request;
      request.place = "in-flight";
      inFlight.push(request);
      if (frame.length < LARGE_FRAME_BYTES) out += frame;
      else {
        if (out !== "") this.#write(out);
        out = "";
        this.#full = !this.#write(frame);
      }
      if (out.length >= MAX_WRITE_BYTES) {
        this.#full = !this.#write(out);
        out = "";
      }
    }
    if (out !== "") this.#full = !this.#write(out);
  }

  /** Writes one request, also when the socket is full. */
  carry(request: Request): void {
    let next: Request | undefined = request;
    const once = () => {
      const present = next;
      next = undefined;
      return present;
    };
    this.writeFrom({ shift: once }, true);
  }

  #write(bytes: string): boolean {
    this.#counters.bytesWritten += bytes.length;
    return this.#transport.write(bytes);
  }

  /** Calls in flight. */
  get callsInFlight(): number {
    return this.inFlight.size - this.#own;
  }

  /** Sends commands in one write; a promise for each reply. */
  exchange(...commands: (readonly Argument[])[]): Promise<Reply>[] {
    const queue = new Ring<Request>();
    const requests = commands.map((args) => new ControlRequest(args));
    for (const request of requests) queue.push(request);
    if (this.#state === "closed") for (const request of requests) request.onLost(this.#cause as Error);
    this.writeFrom(queue, true);
    return requests.map(({ reply }) => reply);
  }

  /** Ends the socket at once. Every request in flight is lost, in order. */
  close(cause: Error): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cause = cause;
    this.#goneBecause(cause);
    this.#transport.destroy();
    const lost = this.inFlight.takeAll();
    this.#own = 0;
    const error = cause instanceof SlotwireError ? cause : new ConnectionLostError(this.address, "unknown", cause);
    for (const request of lost) request.onLost(error);
    this.onClosed(cause);
  }

  async #handshake(login: Login | undefined, { connectionName, readOnly }: ConnectionSettings): Promise<void> {
    const commands: Argument[][] = [];
    if (login?.password !== undefined) {
      commands.push(login.username === undefined ? ["AUTH", login.password] : ["AUTH", login.username, login.password]);
    }
    if (connectionName !== undefined) commands.push(["CLIENT", "SETNAME", connectionName]);
    // A server without cluster mode knows no READONLY, and needs none.
    if (readOnly) commands.push(["READONLY"]);
    // Any server answers PING; one that wants credentials, is loading or is busy says so instead.
    commands.push(["PING"]);
    for (const result of await Promise.allSettled(this.exchange(...commands))) {
      if (result.status === "fulfilled") continue;
      const text = (result.reason as { reply?: string }).reply;
      if (text === undefined) throw result.reason;
      if (isAuthFailure(text)) throw new AuthError(this.address, text);
      const { kind } = parseErrorReply(text);
      if (kind === "loading" || kind === "busy") throw result.reason;
    }
  }

  #receive(bytes: Buffer): void {
    if (this.#state === "closed") return;
    this.received++;
    this.#counters.bytesRead += bytes.length;
    try {
      this.#decoder.push(bytes);
      if (this.inFlight.size === 0) this.onIdle();
    } catch (error) {
      this.close(error as Error);
    }
  }

  // ReplySink. Replies come in the order of the requests; one that nobody waits for means that we are out of step.

  nextWantsBuffers(): boolean {
    const next = this.inFlight.peek();
    return next !== undefined && next.wantsBuffers;
  }

  onReply(reply: Reply): void {
    this.#answered().onReply(reply);
  }

  onErrorReply(text: string): void {
    this.#answered().onErrorReply(text);
  }

  onUndecodable(why: string): void {
    this.#answered().onUndecodable(why);
  }

  #answered(): Request {
    const request = this.inFlight.shift();
    if (request === undefined) throw new ProtocolError("The server sent a reply that nobody waits for.");
    if (this.#own > 0 && request.isOwn) this.#own--;
    return request;
  }
}
