import { ProtocolError } from "../errors.ts";

/** A reply that is longer than `maxReplyBytes`: the request that it belongs to need not be sent again. */
export class OversizedReplyError extends ProtocolError {}

/*
 * Finds the end of each reply, and refuses bytes that are not RESP2, before redis-parser sees them. The parser checks
 * little: it accepts any length, any line end and any depth. So it is only ever given complete, valid replies.
 *
 *   chunk:   ...tail of r7 \r\n | r8 | r9 | head of r10
 *                           firstEnd   lastEnd
 *
 * Between two chunks the framer keeps two things: a stack of the open arrays, each with the number of its missing
 * elements, and its place inside the current element.
 */

/** The default `proto-max-bulk-len` of servers. It is also about the longest string that V8 can hold. */
export const MAX_REPLY_BYTES = 512 * 1024 * 1024;
/** No server has so long a reply: whoever announces it speaks another protocol. */
const ABSURD_LENGTH = 2 ** 31;
/** Each element that an array announces counts as so many bytes of its reply: an array has a pointer for it. */
const ELEMENT_BYTES = 8;
/** The words around a bulk string, so that one of exactly the most bytes fits. */
const AROUND_BYTES = 32;
/** Servers stop converting a Lua table near 8,000 levels, so no server sends a deeper reply. */
const MAX_DEPTH = 8192;
/** redis-parser and printing functions recurse into a reply. So a deeper reply is measured, but not decoded. */
export const MAX_DECODED_DEPTH = 1000;
/** No server sends a longer status or error line. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
/** RESP integers are signed 64-bit numbers. */
const MAX_INTEGER = 2n ** 63n;
/** Any integer of this many digits is below 2^53. */
export const SAFE_DIGITS = 15;

const CRLF_BYTES = 2;
const CR = 13;
const LF = 10;
const MINUS = 45;
const ZERO = 48;

const STATUS = 43; // +
const ERROR = 45; // -
const INTEGER = 58; // :
const BULK = 36; // $
const ARRAY = 42; // *

/** The part of an element to which the next byte belongs. */
type Place = "type" | "text" | "number" | "line-feed" | "body" | "body-cr" | "body-lf";

export class ReplyFramer {
  readonly maxReplyBytes: number;
  /** The bytes of the present reply in earlier chunks, and the elements that its arrays have announced, in bytes. */
  #earlier = 0;
  #elements = 0;
  /** Where the present reply begins in the chunk. */
  #start = 0;
  /** In the last scanned chunk: the index behind the first reply that ends in it, or -1 if no reply ends in it. */
  firstEnd = -1;
  /** In the last scanned chunk: the index behind the last reply that ends in it, or -1 if no reply ends in it. */
  lastEnd = -1;
  /** The index behind a reply that is too deep to decode, if the scan stopped there; otherwise -1. */
  tooDeepEnd = -1;
  /** The exact integers past 2^53, in the order of arrival. The decoder removes them. */
  readonly bigIntegers: bigint[] = [];
  /** Whether an array has contained an error since this flag was last cleared. */
  sawNestedError = false;

  #place: Place = "type";
  #type = 0;
  /** The number of missing elements of each open array, outermost first. */
  readonly #missing: number[] = [];
  #deepest = 0;
  // In a number: the value, digits, sign and text read so far. In a line of text, #value counts the bytes read so far.
  // In the body of a bulk string, #value counts the bytes that are still missing.
  #value = 0;
  #digits = 0;
  #negative = false;
  #numberText = "";

  /**
   * @param maxReplyBytes  The most bytes of one reply, each element of an array counted as 8 bytes more. A longer reply is
   *                       refused with its first byte past the bound, or earlier, when its announced length is past it.
   */
  constructor(maxReplyBytes = MAX_REPLY_BYTES) {
    this.maxReplyBytes = maxReplyBytes;
  }

  /** The most bytes of a reply, with the words around it. */
  get mostBytes(): number {
    return this.maxReplyBytes + AROUND_BYTES;
  }

  /** The bytes that are announced behind those scanned so far: the rest of a bulk string. */
  get announced(): number {
    return this.#place === "body" ? this.#value + CRLF_BYTES : 0;
  }

  /** Whether every scanned byte belongs to a complete reply. */
  get isBetweenReplies(): boolean {
    return this.#place === "type" && this.#missing.length === 0;
  }

  /**
   * Scans `chunk` from `start`. Stops early behind a reply that is too deep and sets `tooDeepEnd`; the caller then
   * scans again from there.
   * @throws {ProtocolError} at the first byte that is not valid at its place.
   */
  scan(chunk: Buffer, start: number): void {
    this.firstEnd = -1;
    this.lastEnd = -1;
    this.tooDeepEnd = -1;
    const end = chunk.length;
    let at = start;
    this.#start = start;
    while (at < end) {
      switch (this.#place) {
        case "type":
          if (this.#missing.length > 0) at = this.#shortIntegers(chunk, at);
          if (at < end) this.#beginElement(chunk[at++] as number);
          break;
        case "text": {
          const from = at;
          while (at < end && chunk[at] !== CR) {
            if (chunk[at] === LF) throw malformed("a line feed inside a line");
            at++;
          }
          this.#value += at - from;
          if (this.#value > MAX_LINE_BYTES) throw malformed(`a line longer than ${MAX_LINE_BYTES} bytes`);
          if (at < end) {
            at++;
            this.#place = "line-feed";
          }
          break;
        }
        case "number":
          at = this.#numberBytes(chunk, at);
          break;
        case "line-feed":
          if (chunk[at++] !== LF) throw malformed("a carriage return without a line feed");
          if (this.#endLine()) {
            if (this.#endReply(at)) return;
          }
          break;
        case "body": {
          const taken = Math.min(this.#value, end - at);
          at += taken;
          this.#value -= taken;
          if (this.#value === 0) this.#place = "body-cr";
          break;
        }
        case "body-cr":
          if (chunk[at++] !== CR) throw malformed("a bulk string that does not end where its length says");
          this.#place = "body-lf";
          break;
        case "body-lf":
          if (chunk[at++] !== LF) throw malformed("a bulk string that does not end where its length says");
          if (this.#endElement()) {
            if (this.#endReply(at)) return;
          }
          break;
      }
    }
    this.#earlier += end - this.#start;
    this.#start = end;
    this.#checkSize(0);
  }

  /** @param announced  The length of the bulk string that begins now. */
  #checkSize(announced: number): void {
    const most = this.maxReplyBytes;
    const needed = this.#elements + announced;
    if (needed <= most && needed + this.#earlier <= this.mostBytes) return;
    throw new OversizedReplyError(`The server sent a reply of more than ${most} bytes, which is \`maxReplyBytes\`.`);
  }

  #beginElement(type: number): void {
    this.#type = type;
    this.#value = 0;
    if (type === STATUS || type === ERROR) {
      this.#place = "text";
      if (type === ERROR && this.#missing.length > 0) this.sawNestedError = true;
    } else if (type === INTEGER || type === BULK || type === ARRAY) {
      this.#place = "number";
      this.#digits = 0;
      this.#negative = false;
      this.#numberText = "";
    } else {
      throw malformed(`byte ${type} as a reply's type`);
    }
  }

  /**
   * Passes over short integers in the innermost array, of which the last element is left to the other methods. The bounds of
   * slots in a description of a cluster are such: there may be 32,768 of them, and five calls for each would stall a process
   * that has just begun. Returns the index behind them.
   */
  #shortIntegers(chunk: Buffer, from: number): number {
    const missing = this.#missing;
    const innermost = missing.length - 1;
    const { length } = chunk;
    let left = missing[innermost] as number;
    let at = from;
    while (left > 1 && at < length && chunk[at] === INTEGER) {
      let next = at + 1;
      while (next < length && (chunk[next] as number) >= ZERO && (chunk[next] as number) <= ZERO + 9) next++;
      const digits = next - at - 1;
      if (digits === 0 || digits >= SAFE_DIGITS || next + 1 >= length) break;
      if (chunk[next] !== CR || chunk[next + 1] !== LF) break;
      at = next + CRLF_BYTES;
      left--;
    }
    missing[innermost] = left;
    return at;
  }

  /** Reads on in a number; returns the index behind what was read. */
  #numberBytes(chunk: Buffer, from: number): number {
    const end = chunk.length;
    let [at, value, digits] = [from, this.#value, this.#digits];
    // Most numbers are short: their digits need no other look.
    while (at < end && digits < SAFE_DIGITS - 1) {
      const digit = (chunk[at] as number) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      digits++;
      at++;
    }
    this.#value = value;
    this.#digits = digits;
    if (at < end) this.#numberByte(chunk[at++] as number);
    return at;
  }

  #numberByte(byte: number): void {
    if (byte === CR) {
      if (this.#digits === 0) throw malformed("a number without digits");
      this.#place = "line-feed";
    } else if (byte === MINUS && this.#digits === 0 && !this.#negative) {
      this.#negative = true;
    } else if (byte >= ZERO && byte <= ZERO + 9) {
      if (++this.#digits > 19) throw malformed("a number of more than 19 digits");
      this.#value = this.#value * 10 + (byte - ZERO);
      if (this.#type === INTEGER) {
        // The text is kept only for numbers whose digits a double could lose.
        if (this.#digits === SAFE_DIGITS) this.#numberText = String(this.#value);
        else if (this.#digits > SAFE_DIGITS) this.#numberText += String.fromCharCode(byte);
      }
    } else {
      throw malformed("a number with something else in it");
    }
  }

  /** Handles the end of a line. True when a reply ends with it. */
  #endLine(): boolean {
    if (this.#type === BULK) return this.#endLength("bulk string");
    if (this.#type === ARRAY) return this.#endLength("array");
    if (this.#type === INTEGER && this.#digits > SAFE_DIGITS) {
      const exact = BigInt(this.#numberText);
      if (exact > MAX_INTEGER) throw malformed("an integer of more than 64 bits");
      if (exact > BigInt(Number.MAX_SAFE_INTEGER)) this.bigIntegers.push(this.#negative ? -exact : exact);
    }
    return this.#endElement();
  }

  #endLength(what: string): boolean {
    const length = this.#value;
    if (this.#negative) {
      if (length !== 1 || this.#digits !== 1) throw malformed(`a negative ${what} length other than -1`);
      return this.#endElement();
    }
    if (length >= ABSURD_LENGTH && length > this.maxReplyBytes) {
      throw malformed(`${length} as the length of a reply (${what})`);
    }
    const isBulk = this.#type === BULK;
    if (!isBulk) this.#elements += length * ELEMENT_BYTES;
    this.#checkSize(isBulk ? length : 0);
    if (isBulk) {
      this.#place = length === 0 ? "body-cr" : "body";
      return false;
    }
    if (length === 0) return this.#endElement();
    this.#missing.push(length);
    const depth = this.#missing.length;
    if (depth > MAX_DEPTH) throw malformed(`arrays more than ${MAX_DEPTH} deep`);
    if (depth > this.#deepest) this.#deepest = depth;
    this.#place = "type";
    return false;
  }

  /** Handles the end of an element, and of the arrays that end with it. True when a reply ends with it. */
  #endElement(): boolean {
    this.#place = "type";
    const missing = this.#missing;
    while (missing.length > 0) {
      const innermost = missing.length - 1;
      if (--(missing[innermost] as number) > 0) return false;
      missing.pop();
    }
    return true;
  }

  /** Notes the end of a reply. True when the scan must stop because the reply is too deep. */
  #endReply(at: number): boolean {
    const tooDeep = this.#deepest > MAX_DECODED_DEPTH;
    this.#deepest = 0;
    this.#earlier = 0;
    this.#elements = 0;
    this.#start = at;
    if (tooDeep) {
      this.tooDeepEnd = at;
      return true;
    }
    if (this.firstEnd === -1) this.firstEnd = at;
    this.lastEnd = at;
    return false;
  }
}

function malformed(what: string): ProtocolError {
  return new ProtocolError(`The server sent ${what}.`);
}
