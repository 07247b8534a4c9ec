import RedisParser from "redis-parser";
import { ProtocolError, ReplyError } from "../errors.ts";
import { HeldBytes } from "./held-bytes.ts";
import type { Reply } from "./reply.ts";
import { MAX_DECODED_DEPTH, ReplyFramer } from "./reply-framer.ts";

const PLUS = 0x2b;
const LETTER_O = 0x4f;
const LETTER_K = 0x4b;
const CR = 0x0d;
const LF = 0x0a;
const OK_BYTES = 5;

/** Receives the decoded replies: one method call for each reply, in the order of arrival. */
export interface ReplySink {
  /** Whether the next reply's strings must be decoded as Buffers. */
  nextWantsBuffers(): boolean;
  onReply(reply: Reply): void;
  /** Receives an error reply's text, unchanged. */
  onErrorReply(text: string): void;
  /** Called for a reply that is valid but nested too deep to be decoded. */
  onUndecodable(why: string): void;
}

/**
 * Turns bytes into replies with redis-parser. The parser is given only complete, valid replies. Therefore it never
 * keeps a reference into `chunk`, never waits in the middle of a reply, and fails only on replies too large for memory.
 */
export class ReplyDecoder {
  readonly #sink: ReplySink;
  readonly #framer: ReplyFramer;
  readonly #parser: RedisParser;
  /** The bytes of a reply whose end has not arrived. */
  readonly #held: HeldBytes;
  #wantsBuffers = false;
  /** How far the sink has counted the bytes that the parser has. -1 while replies are delivered without the parser. */
  #counted = 0;

  /** @param maxReplyBytes  The most bytes of one reply: see `ReplyFramer`. */
  constructor(sink: ReplySink, maxReplyBytes?: number) {
    this.#sink = sink;
    this.#framer = new ReplyFramer(maxReplyBytes);
    this.#held = new HeldBytes(this.#framer.mostBytes);
    this.#parser = new RedisParser({
      returnReply: (reply: Reply) => this.#deliver(reply),
      returnError: (error: Error) => {
        sink.onErrorReply(error.message);
        this.#prepareNext();
      },
      // The parser's own error is not passed on, because it carries everything in the parser's buffer.
      returnFatalError: () => {
        throw new ProtocolError("The server sent a reply that cannot be decoded.");
      },
    });
  }

  /**
   * Decodes all replies that end in `chunk`.
   * @throws {ProtocolError} when the stream is broken. No later byte of the stream may be used.
   */
  push(chunk: Buffer): void {
    const framer = this.#framer;
    let start = framer.isBetweenReplies ? this.#takeOks(chunk) : 0;
    while (start < chunk.length) {
      const broken = this.#scan(chunk, start);
      // Replies that end in front of the broken one are still valid.
      const decodedEnd = this.#decodeWhole(chunk, start, framer.firstEnd, framer.lastEnd);
      if (broken !== undefined) throw broken;
      if (framer.tooDeepEnd === -1) {
        if (decodedEnd < chunk.length) this.#held.push(chunk.subarray(decodedEnd), framer.announced);
        else framer.sawNestedError = false;
        return;
      }
      this.#held.clear();
      framer.bigIntegers.length = 0;
      this.#sink.onUndecodable(`The reply is nested more than ${MAX_DECODED_DEPTH} arrays deep.`);
      start = framer.tooDeepEnd;
    }
  }

  /** The bytes of the reply that is being delivered. A sink that wants to know asks once for each reply. */
  takeReplyBytes(): number {
    if (this.#counted === -1) return OK_BYTES;
    const { offset } = this.#parser as unknown as { readonly offset: number };
    const bytes = offset - this.#counted;
    this.#counted = offset;
    return bytes;
  }

  /**
   * Delivers the `+OK` replies at the beginning of `chunk`; returns the index behind them. Most writing commands answer
   * `+OK`, so these five bytes are compared directly, which saves framing and parsing.
   */
  #takeOks(chunk: Buffer): number {
    let at = 0;
    this.#counted = -1;
    while (
      chunk[at] === PLUS &&
      chunk[at + 1] === LETTER_O &&
      chunk[at + 2] === LETTER_K &&
      chunk[at + 3] === CR &&
      chunk[at + 4] === LF &&
      !this.#sink.nextWantsBuffers()
    ) {
      at += OK_BYTES;
      this.#sink.onReply("OK");
    }
    return at;
  }

  #scan(chunk: Buffer, start: number): Error | undefined {
    try {
      this.#framer.scan(chunk, start);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /** Decodes up to `lastEnd`; returns the index at which it stopped. */
  #decodeWhole(chunk: Buffer, start: number, firstEnd: number, lastEnd: number): number {
    if (lastEnd === -1) return start;
    let from = start;
    if (this.#held.size > 0) {
      this.#held.push(chunk.subarray(start, firstEnd), 0);
      from = firstEnd;
      this.#parse(this.#held.take());
    }
    if (lastEnd > from) this.#parse(from === 0 && lastEnd === chunk.length ? chunk : chunk.subarray(from, lastEnd));
    return lastEnd;
  }

  #parse(whole: Buffer): void {
    this.#prepareNext();
    this.#counted = 0;
    try {
      this.#parser.execute(whole);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      // The stack overflowed, or a string is longer than V8 allows. The cause is left out because it could quote the
      // reply.
      throw new ProtocolError(`A reply could not be decoded (${error instanceof Error ? error.name : typeof error}).`);
    }
  }

  #deliver(reply: Reply): void {
    let value = reply;
    const { bigIntegers, sawNestedError } = this.#framer;
    if (this.#wantsBuffers || bigIntegers.length > 0 || sawNestedError) value = this.#mend(reply);
    this.#sink.onReply(value);
    this.#prepareNext();
  }

  #prepareNext(): void {
    const wantsBuffers = this.#sink.nextWantsBuffers();
    if (wantsBuffers === this.#wantsBuffers) return;
    this.#wantsBuffers = wantsBuffers;
    this.#parser.setReturnBuffers(wantsBuffers);
  }

  /** Puts in what redis-parser cannot produce: exact big integers, Buffers that own their bytes, and `ReplyError`s. */
  #mend(reply: Reply): Reply {
    if (Array.isArray(reply)) {
      for (let index = 0; index < reply.length; index++) reply[index] = this.#mend(reply[index] as Reply);
      return reply;
    }
    // A double is past 2^53 exactly when the integer that was sent is. So the n-th such double is the n-th noted
    // integer.
    if (typeof reply === "number" && !Number.isSafeInteger(reply)) return this.#framer.bigIntegers.shift() as bigint;
    if (Buffer.isBuffer(reply)) return Buffer.from(reply);
    if (reply instanceof Error) return new ReplyError(reply.message);
    return reply;
  }
}
