import RedisParser from "redis-parser";
import { ProtocolError, ReplyError } from "../errors.ts";
import { HeldBytes } from "./held-bytes.ts";
import type { Reply } from "./reply.ts";
import { MAX_DECODED_DEPTH, ReplyFramer, SAFE_DIGITS } from "./reply-framer.ts";

const PLUS = 0x2b;
const LETTER_O = 0x4f;
const LETTER_K = 0x4b;
const COLON = 0x3a;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const ZERO = 0x30;
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
  /**
   * Asked for a reply that came in several reads. True: the sink knows what these bytes say, and has answered with that, so
   * that they need not be decoded. `bytes` are not used again.
   */
  takeKnown?(bytes: Buffer): boolean;
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
  /** The bytes of the last reply that was delivered without the parser. */
  #quickBytes = 0;

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
    let start = framer.isBetweenReplies ? this.#takeQuickly(chunk) : 0;
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
    if (this.#counted === -1) return this.#quickBytes;
    const { offset } = this.#parser as unknown as { readonly offset: number };
    const bytes = offset - this.#counted;
    this.#counted = offset;
    return bytes;
  }

  /**
   * Delivers the replies at the beginning of `chunk` that are `+OK`, an integer, or a bulk string that is whole. Returns the
   * index of the first reply that is another one, or not valid. Most replies of scripts are of these kinds, and a few
   * comparisons save them framing and parsing.
   */
  #takeQuickly(chunk: Buffer): number {
    const sink = this.#sink;
    let at = 0;
    this.#counted = -1;
    while (at < chunk.length) {
      const type = chunk[at];
      if (type === PLUS) {
        if (chunk[at + 1] !== LETTER_O || chunk[at + 2] !== LETTER_K || chunk[at + 3] !== CR || chunk[at + 4] !== LF)
          break;
        if (sink.nextWantsBuffers()) break;
        this.#quickBytes = OK_BYTES;
        at += OK_BYTES;
        sink.onReply("OK");
      } else {
        const end = type === COLON || type === DOLLAR ? this.#takeNumberOrText(chunk, at, type) : -1;
        if (end === -1) break;
        at = end;
      }
    }
    return at;
  }

  /** Delivers the integer or bulk string at `at`. Returns the index behind it; -1 if it is not whole, not short or not valid. */
  #takeNumberOrText(chunk: Buffer, at: number, type: number): number {
    const isNegative = chunk[at + 1] === MINUS;
    const first = isNegative ? at + 2 : at + 1;
    const last = Math.min(first + SAFE_DIGITS, chunk.length);
    let value = 0;
    let end = first;
    for (; end < last; end++) {
      const digit = (chunk[end] as number) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (end === first || chunk[end] !== CR || chunk[end + 1] !== LF) return -1;
    const hasOneDigit = end === first + 1;
    end += 2;
    let reply: Reply = isNegative ? -value : value;
    if (type === DOLLAR) {
      if (!isNegative) {
        const start = end;
        end += value + 2;
        if (value > this.#framer.maxReplyBytes || chunk[end - 2] !== CR || chunk[end - 1] !== LF) return -1;
        const wantsBuffer = this.#sink.nextWantsBuffers();
        // A copy, so that the Buffer does not keep everything that was read with it.
        reply = wantsBuffer ? Buffer.from(chunk.subarray(start, end - 2)) : chunk.toString("utf8", start, end - 2);
      } else if (value === 1 && hasOneDigit) reply = null;
      else return -1;
    }
    this.#quickBytes = end - at;
    this.#sink.onReply(reply);
    return end;
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
      const whole = this.#held.take();
      if (!this.#isTaken(whole)) this.#parse(whole);
    }
    if (lastEnd > from) this.#parse(from === 0 && lastEnd === chunk.length ? chunk : chunk.subarray(from, lastEnd));
    return lastEnd;
  }

  #isTaken(whole: Buffer): boolean {
    const { bigIntegers, sawNestedError } = this.#framer;
    // What was noted for mending a reply has to be used up by that reply.
    if (bigIntegers.length > 0 || sawNestedError) return false;
    return this.#sink.takeKnown?.(whole) === true;
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
