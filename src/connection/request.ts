import { ProtocolError, ReplyError } from "../errors.ts";
import { encodeCommand } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { TracedConnection } from "../telemetry/call-trace.ts";

/**
 * Where a request is.
 *
 *   new ---> queued --write--> in-flight --reply--> settled
 *   parked ---^  |                |
 *     ^----------'----------------' refused, lost, or taken back: the request waits for its next attempt
 *
 * Any place leads to `settled`, and none out of it: a deadline, a signal or the end of the client settles a request
 * wherever it is.
 */
export type Place = "new" | "queued" | "in-flight" | "parked" | "settled";

/**
 * A command as a connection sees it. Exactly one of the four `on...` methods ends each attempt. A request that is settled
 * in a queue is left out of the write. A request that is settled in flight stays in its ring, and its reply is dropped.
 */
export interface Request {
  /** The encoded command, as a binary string. */
  readonly frame: string;
  /** Whether the strings of the reply are wanted as Buffers. */
  readonly wantsBuffers: boolean;
  /** Whether the connection writes an ASKING directly in front of the command. */
  readonly asking: boolean;
  /** Set on slotwire's own requests: the bound on calls does not count them while they are in flight. */
  readonly isOwn?: true;
  /** The commands that the frame holds in front of its last one. Each is answered before it. */
  readonly ahead?: readonly Request[] | undefined;
  /** Written by the queue that the request enters, by the connection that writes it, and by the code that takes it back. */
  place: Place;
  /** The queue that the request waits in. The request tells it when it is settled before it was written. */
  backlog?: Backlog | undefined;
  /**
   * Only for commands that are answered several times, such as SUBSCRIBE with one reply a channel. Takes a reply in front
   * of the last one and returns true; returns false for the last one, which comes by `onReply`. The connection asks this
   * only where its owner has a receiver, because the other connections are spared the look.
   */
  takePart?(reply: Reply): boolean;
  /**
   * Only for questions whose long replies repeat themselves. Asked for a reply that came in several reads: true if these bytes
   * say what is known, so that `onReply(null)` ends the request, and they are not decoded.
   */
  isKnown?(bytes: Buffer): boolean;
  /** Called when the request is written on `connection`, but only while anybody listens for that. */
  onWritten?(connection: TracedConnection): void;
  /**
   * Called in front of `onReply`, `onErrorReply` and `onUndecodable`, but only while anybody listens for answers.
   * @param error  The text of an error; null for a reply that cannot be read.
   */
  onAnswer?(connection: TracedConnection, bytes: number, error: string | null | undefined): void;
  onReply(reply: Reply): void;
  onErrorReply(text: string): void;
  onUndecodable(why: string): void;
  /** The connection, or the client, is gone. `place` says whether the server may have the command. */
  onLost(cause: Error): void;
}

/** What a group of connections is doing. */
export interface Usage {
  /** Open connections that await no reply. */
  readonly idle: number;
  /** Open connections that await a reply, or are lent. */
  readonly used: number;
  /** Requests that are not written yet. */
  readonly queued: number;
}

/** A queue of requests that are not written yet. */
export interface Backlog {
  /** The request will not be written any more: the queue counts it no longer. */
  giveUp(request: Request): void;
}

/** A command of slotwire's own, whose reply is a promise. */
export class ControlRequest implements Request {
  readonly frame: string;
  readonly isOwn = true;
  readonly wantsBuffers: boolean;
  readonly asking = false;
  readonly reply: Promise<Reply>;
  place: Place = "new";
  #resolve!: (reply: Reply) => void;
  #reject!: (error: Error) => void;

  constructor(args: readonly Argument[], wantsBuffers = false) {
    this.wantsBuffers = wantsBuffers;
    this.frame = encodeCommand(args);
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A failure that nobody waits for must not end the process. Code that waits for the reply sees it all the same.
    this.reply.catch(() => {});
  }

  onReply(reply: Reply): void {
    this.place = "settled";
    this.#resolve(reply);
  }

  onErrorReply(text: string): void {
    this.onLost(new ReplyError(text));
  }

  onUndecodable(why: string): void {
    this.onLost(new ProtocolError(why));
  }

  onLost(cause: Error): void {
    this.place = "settled";
    this.#reject(cause);
  }
}

const ignore = () => {};

/** The ASKING in front of a redirected command. A server that refuses it refuses the command behind it as well. */
export const ASKING: Request = {
  frame: encodeCommand(["ASKING"]),
  isOwn: true,
  wantsBuffers: false,
  asking: false,
  place: "in-flight",
  onReply: ignore,
  onErrorReply: ignore,
  onUndecodable: ignore,
  onLost: ignore,
};
