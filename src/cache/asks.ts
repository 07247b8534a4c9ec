import type { Place, Request } from "../connection/request.ts";
import { encodeCommand } from "../protocol/encode.ts";
import type { Reply } from "../protocol/reply.ts";
import type { TracedConnection } from "../telemetry/call-trace.ts";

/** What one question to a server comes to. */
export interface AskEvents {
  onReply(reply: Reply): void;
  onError(text: string): void;
  onLost(cause: Error): void;
  /** As those of `Request`, for listeners on the channels. */
  onWritten?(connection: TracedConnection): void;
  onAnswer?(connection: TracedConnection, bytes: number, error: string | null | undefined): void;
}

/** A command of the cache's own. It knows when it was written. */
export class Ask implements Request {
  readonly frame: string;
  readonly wantsBuffers: boolean;
  readonly asking = false;
  readonly isOwn = true;
  /** When the question was handed to the socket, or a moment earlier, on the cache's clock. */
  readonly sent: number;
  place: Place = "new";
  readonly #events: AskEvents;

  constructor(frame: string, sent: number, wantsBuffers: boolean, events: AskEvents) {
    this.frame = frame;
    this.sent = sent;
    this.wantsBuffers = wantsBuffers;
    this.#events = events;
  }

  onWritten(connection: TracedConnection): void {
    this.#events.onWritten?.(connection);
  }

  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    this.#events.onAnswer?.(connection, bytes, error);
  }

  onReply(reply: Reply): void {
    this.place = "settled";
    this.#events.onReply(reply);
  }

  onErrorReply(text: string): void {
    this.place = "settled";
    this.#events.onError(text);
  }

  onUndecodable(why: string): void {
    this.place = "settled";
    this.#events.onLost(new Error(why));
  }

  onLost(cause: Error): void {
    this.place = "settled";
    this.#events.onLost(cause);
  }
}

export const PING = encodeCommand(["PING"]);

/** The question how long a key lives on. @param key  As a binary string. */
export function ttlFrame(key: string): string {
  return encodeCommand(["PTTL", Buffer.from(key, "latin1")]);
}

/** The question whether a field lives on for a time of its own. @param key  As a binary string. */
export function fieldTtlFrame(key: string): string {
  return encodeCommand(["HPTTL", Buffer.from(key, "latin1"), "FIELDS", 1, "f"]);
}

/** The question that proves that a connection reads a key, whatever the key's type. @param key  As a binary string. */
export function existsFrame(key: string): string {
  return encodeCommand(["EXISTS", Buffer.from(key, "latin1")]);
}

export function subscribeFrame(canary: string): string {
  return encodeCommand(["SSUBSCRIBE", canary]);
}
