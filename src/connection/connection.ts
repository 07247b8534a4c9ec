import type { Endpoint, Environment, Transport } from "../environment.ts";
import { ConnectionLostError, ProtocolError, ReplyError, SlotwireError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import { ReplyDecoder, type ReplySink } from "../protocol/decoder.ts";
import { isSaidUnasked } from "../protocol/error-reply.ts";
import type { NodeAddress } from "../protocol/node-address.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { OversizedReplyError } from "../protocol/reply-framer.ts";
import { Ring } from "../protocol/ring.ts";
import { answerChannel, areWritesHeard } from "../telemetry/channels.ts";
import { Counters, type Telemetry } from "../telemetry/counters.ts";
import type { Crowd } from "./crowd.ts";
import { reasonOf } from "./farewell.ts";
import type { Flushes } from "./flushes.ts";
import type { Handshake, HandshakeTerms, Login } from "./handshake.ts";
import { ASKING, ControlRequest, type Request } from "./request.ts";
import type { Standing } from "./standing.ts";

/** The settings that all connections to one node share. */
export interface ConnectionSettings extends HandshakeTerms {
  readonly endpoint: Endpoint;
  /** The connections of the client among which this one takes its turn. */
  readonly crowd?: Crowd;
  /** The flushes of the client's lanes. Undefined where the lane flushes by itself. */
  readonly flushes?: Flushes;
  /**
   * Asked before each connection to an announced address: where the address leads by now.
   * @throws Why nothing may connect there.
   */
  readonly locate?: () => NodeAddress;
  readonly environment: Environment;
  readonly connectTimeoutMs: number;
  /**
   * Milliseconds of silence after which it has to be known whether the node answers anybody.
   * @default about a second
   */
  readonly silentAfterMs?: number;
  /**
   * The most bytes of one reply.
   * @default 512 MiB
   */
  readonly maxReplyBytes?: number;
  /** Asked at every new connection. */
  readonly credentials: () => Promise<Login> | Login | undefined;
  /**
   * The commands in front of all others.
   * @default greet
   */
  readonly handshake?: Handshake;
  /** Whether nothing but an announcement says that the endpoint can be reached from here. It was never reached yet. */
  readonly isOnlyAnnounced?: () => boolean;
  /** Where the connection is counted, and on whose behalf the channels tell of it. */
  readonly telemetry?: Telemetry;
}

/** The owner of a connection. The connection tells it of its changes, and nobody else: it has one owner at a time. */
export interface ConnectionOwner {
  /** The socket is gone or given up. Called once. */
  readonly onClosed: (cause: Error) => void;
  /** No reply is awaited after the bytes that have just been read. */
  readonly onIdle?: () => void;
  /** The socket was full, and can take more. */
  readonly onWritable?: () => void;
  /** Takes replies that the server sends unasked. Without a receiver, such a reply ends the connection with PROTOCOL. */
  readonly receiver?: Receiver;
}

/** Takes replies that a server sends unasked, such as the messages of a subscribed channel. */
export interface Receiver {
  /** Whether the strings of all replies on this connection are wanted as Buffers. */
  readonly wantsBuffers: boolean;
  /** Takes `reply` and returns true if no request asked for it; returns false if it answers a request. */
  takePushed(reply: Reply): boolean;
  /** Takes an error and returns true if it answers no request that is in flight. */
  takeStrayError?(text: string): boolean;
}

/** From this size on a frame is written by itself, because joining it would cost more than the write that it saves. */
const LARGE_FRAME_BYTES = 4096;
/** So many bytes are joined into one write before the socket is asked whether it can take more. */
const MAX_WRITE_BYTES = 256 * 1024;

const nothing = () => {};

/** Stands in for a stream that has not been opened. */
const NO_TRANSPORT: Transport = { write: () => false, pendingBytes: 0, destroy: nothing };

/**
 * One socket's life, one way only: opening -> open -> closed. A connection writes requests, gives each its reply in order,
 * and fails the rest when it ends. It never reconnects: a lane replaces it.
 */
export class Connection implements ReplySink {
  /** The number of the connection in its client, for listeners on the channels; 0 for a connection that none hears of. */
  readonly id: number;
  readonly address: string;
  /** The requests that are written and not answered yet, oldest first. */
  readonly inFlight = new Ring<Request>();
  /** Resolves when the stream stands. The handshake comes after it. */
  readonly opened: Promise<void>;
  /** Rejects, with the cause, when the connection ends. */
  readonly gone: Promise<never>;
  /** Counts the reads from the socket. */
  received = 0;
  /** Bytes handed to the socket. */
  writtenBytes = 0;
  /** Milliseconds that opening and the handshake took: some round trips. */
  openedInMs = 0;
  /** How the server knows this connection. Undefined where it was not asked, or did not say. */
  standing: Standing | undefined;

  #onClosed: (cause: Error) => void = nothing;
  #onIdle: () => void = nothing;
  #onWritable: () => void = nothing;
  #receiver: Receiver | undefined;

  #transport: Transport = NO_TRANSPORT;
  readonly #counters: Counters;
  readonly #decoder: ReplyDecoder;
  #goneBecause!: (cause: Error) => void;
  #state: "opening" | "open" | "closed" = "opening";
  #wasOpen = false;
  #full = false;
  /** Slotwire's own requests among those in flight. */
  #own = 0;
  #cause: Error | undefined;
  /** What listens for answers was there when the present bytes came. */
  #isAnswerHeard = false;
  #endedBy: "stream" | "owner" = "owner";
  readonly #telemetry: Telemetry | undefined;

  /** Begins to open the stream. Never throws: a failure, at once or later, closes the connection. */
  constructor({ address, endpoint, environment, maxReplyBytes, telemetry }: ConnectionSettings, id = 0) {
    this.id = id;
    this.address = address;
    this.#telemetry = telemetry;
    this.#counters = telemetry?.counters ?? new Counters();
    this.#decoder = new ReplyDecoder(this, maxReplyBytes);
    let opened!: () => void;
    this.opened = new Promise<void>((resolve) => {
      opened = resolve;
    });
    this.gone = new Promise((_, reject) => {
      this.#goneBecause = reject;
    });
    this.gone.catch(nothing);
    try {
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
          this.#onWritable();
        },
        onClose: (cause) => {
          this.#endedBy = "stream";
          this.close(cause ?? new Error("the connection was closed"));
        },
      });
    } catch (cause) {
      this.close(cause instanceof Error ? cause : new Error(`the stream could not be opened: ${String(cause)}`));
    }
    // The stream may have failed while it was opened, when there was no transport to destroy yet.
    if (this.closed) this.#transport.destroy();
  }

  /** From now on `owner` is told, and nobody else. */
  handOver({ onClosed, onIdle = nothing, onWritable = nothing, receiver }: ConnectionOwner): void {
    invariant(this.#state === "open", "only an open connection changes hands");
    this.#onClosed = onClosed;
    this.#onIdle = onIdle;
    this.#onWritable = onWritable;
    this.#receiver = receiver;
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Whether the stream stood, now or earlier. */
  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  /** Why the connection is closed. */
  get cause(): Error | undefined {
    return this.#cause;
  }

  /** Bytes handed to the socket that the operating system has not taken. */
  get pendingBytes(): number {
    return this.#transport.pendingBytes;
  }

  /** The users' calls in flight. */
  get callsInFlight(): number {
    return this.inFlight.size - this.#own;
  }

  /** Whether somebody waits for a reply: a call that has settled waits no more. */
  get isAwaited(): boolean {
    return this.inFlight.some(({ isOwn, place }) => isOwn !== true && place !== "settled");
  }

  /** Writes from the front of `queue` until it is empty or the socket is full; with `all`, until it is empty. */
  writeFrom(queue: { shift(): Request | undefined }, all = false): void {
    const { inFlight } = this;
    const isHeard = areWritesHeard();
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
      if (isHeard) request.onWritten?.(this);
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
    invariant(this.#state === "open", "a request is carried by an open connection");
    invariant(request.takePart === undefined || this.#receiver !== undefined, "several replies need a receiver");
    const only = new Ring<Request>(1);
    only.push(request);
    this.writeFrom(only, true);
  }

  #write(bytes: string): boolean {
    this.writtenBytes += bytes.length;
    this.#counters.bytesWritten += bytes.length;
    return this.#transport.write(bytes);
  }

  /** Sends commands of slotwire's own, or requests for them, in one write. Returns a promise for each reply. */
  exchange(...commands: (readonly Argument[] | ControlRequest)[]): Promise<Reply>[] {
    invariant(this.#state !== "opening", "nothing is asked before the stream stands");
    const queue = new Ring<Request>();
    const requests = commands.map((each) => (each instanceof ControlRequest ? each : new ControlRequest(each)));
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
    this.#tellEnd(lost);
    if (lost.length > 0) {
      const error = cause instanceof SlotwireError ? cause : new ConnectionLostError(this.address, "unknown", cause);
      for (const request of lost) request.onLost(error);
    }
    this.#onClosed(cause);
  }

  /**
   * The connection was opened, and listeners know of it: from now on they are told of its end. It may have ended since.
   * @param readOnly  Whether the connection is only for reads from a replica.
   */
  noteOpened(readOnly: boolean): void {
    this.#telemetry?.connections.opened({ id: this.id, address: this.address, readOnly });
    if (this.closed) this.#tellEnd([]);
  }

  #tellEnd(lost: readonly Request[]): void {
    if (this.#telemetry === undefined) return;
    const { length } = lost.filter(({ isOwn, place }) => isOwn !== true && place !== "settled");
    this.#telemetry.connections.closed(this.id, reasonOf(this.#cause, this.#endedBy === "stream"), length);
  }

  #receive(bytes: Buffer): void {
    if (this.#state === "closed") return;
    this.#isAnswerHeard = answerChannel.hasSubscribers;
    this.received++;
    this.#counters.bytesRead += bytes.length;
    try {
      this.#decoder.push(bytes);
      if (this.inFlight.size === 0) this.#onIdle();
    } catch (error) {
      // The request has been executed, and would get a reply of the same length if it were sent again.
      if (error instanceof OversizedReplyError && this.inFlight.size > 0) this.#answered().onUndecodable(error.message);
      this.close(error as Error);
    }
  }

  // ReplySink. Replies come in the order of the requests. A reply that no request waits for means that the connection is
  // out of step, unless the owner has a receiver for it.

  nextWantsBuffers(): boolean {
    if (this.#receiver !== undefined) return this.#receiver.wantsBuffers;
    const next = this.inFlight.peek();
    return next !== undefined && next.wantsBuffers;
  }

  onReply(reply: Reply): void {
    const bytes = this.#isAnswerHeard ? this.#decoder.takeReplyBytes() : 0;
    if (this.#receiver !== undefined && this.#isTaken(reply, this.#receiver)) return;
    const request = this.#answered();
    if (this.#isAnswerHeard) request.onAnswer?.(this, bytes, undefined);
    request.onReply(reply);
  }

  onErrorReply(text: string): void {
    const bytes = this.#isAnswerHeard ? this.#decoder.takeReplyBytes() : 0;
    if (this.#receiver?.takeStrayError?.(text) === true) return;
    // The server closes a connection with these words, possibly before anything was sent.
    if (this.inFlight.size === 0 && isSaidUnasked(text)) this.close(new ReplyError(text, "not-executed"));
    else {
      const request = this.#answered();
      if (this.#isAnswerHeard) request.onAnswer?.(this, bytes, text);
      request.onErrorReply(text);
    }
  }

  onUndecodable(why: string): void {
    const request = this.#answered();
    if (this.#isAnswerHeard) request.onAnswer?.(this, 0, null);
    request.onUndecodable(why);
  }

  takeKnown(bytes: Buffer): boolean {
    if (this.#receiver !== undefined || this.inFlight.peek()?.isKnown?.(bytes) !== true) return false;
    this.#answered().onReply(null);
    return true;
  }

  /** Whether `reply` was taken without ending the request at the front: sent unasked, or one of several replies. */
  #isTaken(reply: Reply, receiver: Receiver): boolean {
    return receiver.takePushed(reply) || this.inFlight.peek()?.takePart?.(reply) === true;
  }

  #answered(): Request {
    const request = this.inFlight.shift();
    if (request === undefined) throw new ProtocolError("The server sent a reply that no request waits for.");
    if (this.#own > 0 && request.isOwn) this.#own--;
    return request;
  }
}
