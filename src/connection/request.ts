import { ProtocolError, ReplyError } from "../errors.ts";
import { encodeCommand } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";

/**
 * Where a request is.
 *
 *   new ---> queued --write--> in-flight --reply--> settled
 *   parked ---^  |                |
 *     ^----------'----------------' refused, lost, or taken back: it waits for its next attempt
 *
 * Any place leads to `settled`, and none out of it: a deadline, a signal or the end of the client settles a request
 * wherever it is.
 */
export type Place = "new" | "queued" | "in-flight" | "parked" | "settled";

/**
 * A command as a connection sees it. Exactly one of the four `on...` methods ends each time it is carried. A request that
 * is settled in a queue is left out of the write; one that is settled in flight stays in its ring, and its reply is
 * dropped.
 */
export interface Request {
  /** The encoded command, as a binary string. */
  readonly frame: string;
  readonly wantsBuffers: boolean;
  /** Sent right behind an ASKING of its own, in the same write. */
  readonly asking: boolean;
  /** Nobody's call: it takes none's place while it is in flight. */
  readonly isOwn?: true;
  /** What the frame has in front of its last command: each is answered before it. */
  readonly ahead?: readonly Request[] | undefined;
  /** Set by the queue that the request enters, by the connection that writes it, and by whoever takes it back. */
  place: Place;
  /** What it waits in to be written: to be told when its caller has an answer before that. */
  backlog?: Backlog | undefined;
  onReply(reply: Reply): void;
  onErrorReply(text: string): void;
  onUndecodable(why: string): void;
  /** The connection, or the client, is gone. `place` says whether the server may have the command. */
  onLost(cause: Error): void;
}

/** A queue of requests that are not written yet. */
export interface Backlog {
  /** The request will not be written any more: it counts no longer. */
  giveUp(request: Request): void;
}

/** A command of slotwire's own, whose reply is a promise. */
export class ControlRequest implements Request {
  readonly frame: string;
  readonly isOwn = true;
  readonly wantsBuffers = false;
  readonly asking = false;
  readonly reply: Promise<Reply>;
  place: Place = "new";
  #resolve!: (reply: Reply) => void;
  #reject!: (error: Error) => void;

  constructor(args: readonly Argument[]) {
    this.frame = encodeCommand(args);
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever waits for the reply sees the failure; nobody waiting is no reason to end the process.
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

/** The ASKING in front of a redirected command. Were it refused, the command behind it says so itself. */
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
