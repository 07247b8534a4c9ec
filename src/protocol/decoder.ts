import RedisParser from "redis-parser";
import { ProtocolError, ReplyError } from "../errors.ts";
import type { Reply } from "./reply.ts";
import { MAX_DECODED_DEPTH, ReplyFramer } from "./reply-framer.ts";

const PLUS = 0x2b;
const LETTER_O = 0x4f;
const LETTER_K = 0x4b;
const CR = 0x0d;
const LF = 0x0a;

/** Where decoded replies go, one call for each, in the order of arrival. */
export interface ReplySink {
  /** Whether the next reply's strings are wanted as Buffers. */
  nextWantsBuffers(): boolean;
  onReply(reply: Reply): void;
  /** An error reply: its text, untouched. */
  onErrorReply(text: string): void;
  /** A reply that is valid, but nested too deep to be decoded. */
  onUndecodable(why: string): void;
}

/**
 * Bytes to replies, by redis-parser, which is given whole and valid replies only. So it never keeps a reference into
 * `chunk`, never waits in the middle of a reply, and fails on nothing but replies too large for memory.
 */
export class ReplyDecoder {
  readonly #sink: ReplySink;
  readonly #framer = new ReplyFramer();
  readonly #parser: RedisParser;
  /** Copies of the pieces of a reply that has not ended yet. */
  #held: Buffer[] = [];
  #wantsBuffers = false;

  constructor(sink: ReplySink) {
    this.#sink = sink;
    this.#parser = new RedisParser({
      returnReply: (reply: Reply) => this.#deliver(reply),
      returnError: (error: Error) => {
        sink.onErrorReply(error.message);
        this.#prepareNext();
      },
      // Not with the parser's own error: that carries everything it had in its buffer.
      returnFatalError: () => {
        throw new ProtocolError("The server sent a reply that cannot be decoded.");
      },
    });
  }

  /**
   * Decodes all replies that end in `chunk`.
   * @throws {ProtocolError} The stream is broken: no later byte of it may be used.
   */
  push(chunk: Buffer): void {
    const framer = this.#framer;
    let start = framer.isBetweenReplies ? this.#takeOks(chunk) : 0;
    while (start < chunk.length) {
      const broken = this.#scan(chunk, start);
      // Replies that ended before a broken one are as good as any.
      const decodedEnd = this.#decodeWhole(chunk, start, framer.firstEnd, framer.lastEnd);
      if (broken !== undefined) throw broken;
      if (framer.tooDeepEnd === -1) {
        if (decodedEnd < chunk.length) this.#held.push(Buffer.from(chunk.subarray(decodedEnd)));
        else framer.sawNestedError = false;
        return;
      }
      this.#held = [];
      framer.bigIntegers.length = 0;
      this.#sink.onUndecodable(`The reply is nested more than ${MAX_DECODED_DEPTH} arrays deep.`);
      start = framer.tooDeepEnd;
    }
  }

  /**
   * The answer of most that write, `+OK`, is known by its five bytes, and spared framing and
   * parsing. Takes those at the beginning of `chunk`; gives back where they end.
   */
  #takeOks(chunk: Buffer): number {
    let at = 0;
    while (
      chunk[at] === PLUS &&
      chunk[at + 1] === LETTER_O &&
      chunk[at + 2] === LETTER_K &&
      chunk[at + 3] === CR &&
      chunk[at + 4] === LF &&
      !this.#sink.nextWantsBuffers()
    ) {
      at += 5;
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

  /** Decodes up to `lastEnd`; gives back where it stopped. */
  #decodeWhole(chunk: Buffer, start: number, firstEnd: number, lastEnd: number): number {
    if (lastEnd === -1) return start;
    let from = start;
    if (this.#held.length > 0) {
      this.#held.push(chunk.subarray(start, firstEnd));
      const whole = Buffer.concat(this.#held);
      this.#held = [];
      from = firstEnd;
      this.#parse(whole);
    }
    if (lastEnd > from) this.#parse(from === 0 && lastEnd === chunk.length ? chunk : chunk.subarray(from, lastEnd));
    return lastEnd;
  }

  #parse(whole: Buffer): void {
    this.#prepareNext();
    try {
      this.#parser.execute(whole);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      // Out of stack, or a string longer than V8 can hold. The cause could quote the reply, so it is left out.
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

  /** What redis-parser cannot give: exact big integers, Buffers that own their bytes, our own error class. */
  #mend(reply: Reply): Reply {
    if (Array.isArray(reply)) {
      for (let index = 0; index < reply.length; index++) reply[index] = this.#mend(reply[index] as Reply);
      return reply;
    }
    // A double is past 2^53 exactly where the integer sent was, so the n-th such number is the n-th one noted.
    if (typeof reply === "number" && !Number.isSafeInteger(reply)) return this.#framer.bigIntegers.shift() as bigint;
    if (Buffer.isBuffer(reply)) return Buffer.from(reply);
    if (reply instanceof Error) return new ReplyError(reply.message);
    return reply;
  }
}
