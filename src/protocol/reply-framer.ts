import { ProtocolError } from "../errors.ts";

/*
 * Finds where replies end, and refuses what is no RESP2, before redis-parser sees a byte. The parser takes much on
 * trust (any length, any line end, any depth), so it is only ever given whole, valid replies.
 *
 *   chunk:   ...tail of r7 \r\n | r8 | r9 | head of r10
 *                           firstEnd   lastEnd
 *
 * The state between two chunks is a stack of arrays with the elements each still lacks, and a place in one element.
 */

/** The longest bulk string a server sends by default (`proto-max-bulk-len`), and about the longest string V8 holds. */
const MAX_BULK_BYTES = 512 * 1024 * 1024;
/** Elements declared and not yet received, over all open arrays. */
const MAX_MISSING_ELEMENTS = 2 ** 26;
/** Lua stops converting a table near 8,000 levels, so a deeper reply comes from no server. */
const MAX_DEPTH = 8192;
/** redis-parser descends by recursion, as does whoever prints a reply: deeper replies are measured but not decoded. */
export const MAX_DECODED_DEPTH = 1000;
/** A longer status or error line is no reply of a server. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
/** Integers are signed and of 64 bits. */
const MAX_INTEGER = 2n ** 63n;
/** Digits that always fit 2^53. */
const SAFE_DIGITS = 15;

const CR = 13;
const LF = 10;
const MINUS = 45;
const ZERO = 48;

const STATUS = 43; // +
const ERROR = 45; // -
const INTEGER = 58; // :
const BULK = 36; // $
const ARRAY = 42; // *

/** What the next byte belongs to. */
type Place = "type" | "text" | "number" | "line-feed" | "body" | "body-cr" | "body-lf";

export class ReplyFramer {
  /** Of the chunk scanned last: one past the end of the first whole reply, -1 when none ended in it. */
  firstEnd = -1;
  /** Of the chunk scanned last: one past the end of the last whole reply, -1 when none ended in it. */
  lastEnd = -1;
  /** One past the end of a reply that is too deep to decode, when the scan stopped there. */
  tooDeepEnd = -1;
  /** Integers past 2^53, exact and in the order of arrival, for the decoder to take out. */
  readonly bigIntegers: bigint[] = [];
  /** An error stood inside an array since this was last cleared. */
  sawNestedError = false;

  #place: Place = "type";
  #type = 0;
  /** Elements each open array still lacks, outermost first. */
  readonly #missing: number[] = [];
  #missingTotal = 0;
  #deepest = 0;
  /** Of a number: value, digits, sign and text so far. Of a text: bytes so far. Of a body: bytes to come. */
  #value = 0;
  #digits = 0;
  #negative = false;
  #numberText = "";

  /** Every byte so far belongs to a reply that has ended. */
  get isBetweenReplies(): boolean {
    return this.#place === "type" && this.#missing.length === 0;
  }

  /**
   * Scans `chunk` from `start`. Stops early after a reply that is too deep (`tooDeepEnd` is set): scan again from there.
   * @throws {ProtocolError} at the first byte that no valid reply can have.
   */
  scan(chunk: Buffer, start: number): void {
    this.firstEnd = -1;
    this.lastEnd = -1;
    this.tooDeepEnd = -1;
    const end = chunk.length;
    let at = start;
    while (at < end) {
      switch (this.#place) {
        case "type":
          this.#beginElement(chunk[at++] as number);
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
          this.#numberByte(chunk[at++] as number);
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
        // The text is only needed, and only kept, where a double could lose digits.
        if (this.#digits === SAFE_DIGITS) this.#numberText = String(this.#value);
        else if (this.#digits > SAFE_DIGITS) this.#numberText += String.fromCharCode(byte);
      }
    } else {
      throw malformed("a number with something else in it");
    }
  }

  /** After the line feed of a line. True when a whole reply ended with it. */
  #endLine(): boolean {
    if (this.#type === BULK) return this.#endLength(MAX_BULK_BYTES, "bulk string");
    if (this.#type === ARRAY) return this.#endLength(MAX_MISSING_ELEMENTS, "array");
    if (this.#type === INTEGER && this.#digits > SAFE_DIGITS) {
      const exact = BigInt(this.#numberText);
      if (exact > MAX_INTEGER) throw malformed("an integer of more than 64 bits");
      if (exact > BigInt(Number.MAX_SAFE_INTEGER)) this.bigIntegers.push(this.#negative ? -exact : exact);
    }
    return this.#endElement();
  }

  #endLength(most: number, what: string): boolean {
    const length = this.#value;
    if (this.#negative) {
      if (length !== 1 || this.#digits !== 1) throw malformed(`a negative ${what} length other than -1`);
      return this.#endElement();
    }
    if (length > most) throw malformed(`${length} as the length of a reply (${what}), more than ${most}`);
    if (this.#type === BULK) {
      this.#place = length === 0 ? "body-cr" : "body";
      return false;
    }
    if (length === 0) return this.#endElement();
    this.#missingTotal += length;
    if (this.#missingTotal > MAX_MISSING_ELEMENTS) throw malformed(`arrays of more than ${most} elements in one reply`);
    this.#missing.push(length);
    const depth = this.#missing.length;
    if (depth > MAX_DEPTH) throw malformed(`arrays more than ${MAX_DEPTH} deep`);
    if (depth > this.#deepest) this.#deepest = depth;
    this.#place = "type";
    return false;
  }

  /** One element is whole; with it, perhaps, the arrays around it. True when a whole reply ended. */
  #endElement(): boolean {
    this.#place = "type";
    const missing = this.#missing;
    while (missing.length > 0) {
      const innermost = missing.length - 1;
      this.#missingTotal--;
      if (--(missing[innermost] as number) > 0) return false;
      missing.pop();
    }
    return true;
  }

  /** True when the scan has to stop here. */
  #endReply(at: number): boolean {
    const tooDeep = this.#deepest > MAX_DECODED_DEPTH;
    this.#deepest = 0;
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
