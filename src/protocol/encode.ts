import { InvalidArgumentError } from "../errors.ts";
import type { Argument, CommandArguments } from "./reply.ts";

/*
 * A frame is a "binary string": each character is one byte, and the socket writes the string as latin1. Joining binary
 * strings is cheap, so all frames of one tick become one write. `length` is the number of bytes. Any byte value passes
 * unchanged.
 */

const SHORT = 64;
const BULK_HEADS = Array.from({ length: 1024 }, (_, length) => `$${length}\r\n`);

/** `BULK_HEADS`, each with the line end of the preceding bulk string in front. */
const NEXT_BULK_HEADS = BULK_HEADS.map((head) => `\r\n${head}`);

/** One bulk string: `$<length>\r\n<bytes>\r\n`. The value must have passed `binaryOf`. */
export function bulk(binary: string): string {
  return `${bulkHead(binary.length)}${binary}\r\n`;
}

/** The header in front of a bulk string's bytes: `$<length>\r\n`. */
export function bulkHead(length: number): string {
  return BULK_HEADS[length] ?? `$${length}\r\n`;
}

/**
 * Appends one bulk string to `frame`, which ends with a bulk string's bytes. The strings are joined from the left and
 * in as few pieces as possible, because V8 keeps a joined string as a tree: the tree stays in memory while the call is
 * in flight, and V8 walks it when the frame is written.
 */
export function withNextBulk(frame: string, binary: string): string {
  return frame + (NEXT_BULK_HEADS[binary.length] ?? `\r\n$${binary.length}\r\n`) + binary;
}

/**
 * The same binary string in one piece. V8 keeps a joined string as a tree and walks the tree at each write. For a
 * string that is sent often, flattening it once is cheaper.
 */
export function inOnePiece(binary: string): string {
  return Buffer.from(binary, "latin1").toString("latin1");
}

/**
 * A command as a RESP array of bulk strings.
 * @throws {InvalidArgumentError} for a value that cannot be sent, and for a command that is too large.
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export function encodeCommand(args: readonly Argument[]): string {
  try {
    let frame = `*${args.length}\r\n`;
    for (let index = 0; index < args.length; index++) frame += bulk(binaryOf(args[index], "argument", index));
    return frame;
  } catch (error) {
    throw asArgumentError(error);
  }
}

/** The arguments of a command that was called with them, or with one array of them. The array is copied. */
export function argumentsOf(given: CommandArguments): readonly Argument[] {
  const [first] = given;
  return given.length === 1 && Array.isArray(first) ? [...first] : (given as readonly Argument[]);
}

/**
 * Returns the result of `encode`.
 * @throws {InvalidArgumentError} in place of the engine's error for a string that is too long.
 */
export function withinLimit<T>(encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    throw asArgumentError(error);
  }
}

/**
 * V8 limits the length of strings, and frames are strings. So an error for a longer string becomes an argument error.
 */
export function asArgumentError(error: unknown): unknown {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (!(error instanceof RangeError) && code !== "ERR_STRING_TOO_LONG") return error;
  return new InvalidArgumentError(
    "The call is too large: with all its keys and arguments it has to stay below 512 MiB.",
  );
}

/**
 * The bytes of a key or an argument as a binary string.
 * @throws {InvalidArgumentError} when `value` is not an `Argument`; the message names `what` and `index`.
 */
export function binaryOf(value: Argument | undefined, what: string, index: number): string {
  if (typeof value === "string") return isAscii(value) ? value : Buffer.from(value, "utf8").toString("latin1");
  if (typeof value === "number" && !Number.isNaN(value)) return String(value);
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return bufferOf(value).toString("latin1");
  throw new InvalidArgumentError(
    `${what} ${index + 1} is ${kindOf(value)}; accepted are string, Buffer, Uint8Array, number (not NaN) and bigint.`,
  );
}

/** Describes a value's type for an error message. The value itself never appears. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isNaN(value) ? "NaN" : "a number";
  if (Array.isArray(value)) return "an array";
  return value === undefined ? "undefined" : `of type ${typeof value}`;
}

/** A Buffer over the same memory; nothing is copied. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isAscii(text: string): boolean {
  const { length } = text;
  // A call into C++ is only worth its cost for longer text.
  if (length > SHORT) return Buffer.byteLength(text) === length;
  for (let index = 0; index < length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
