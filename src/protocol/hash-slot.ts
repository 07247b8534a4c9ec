import clusterKeySlot from "cluster-key-slot";
import { CrossSlotError, InvalidArgumentError } from "../errors.ts";
import { bufferOf, kindOf } from "./encode.ts";
import type { Argument } from "./reply.ts";

/** The number of slots in a cluster. @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
export const SLOT_COUNT = 16384;

const OPEN = 0x7b;
const CLOSE = 0x7d;

// The library accepts any array of bytes. Reused arrays save one allocation per key. Longer keys are rare and get a
// Buffer.
const SCRATCH = Array.from({ length: 129 }, (_, length) => new Uint8Array(length));
const slotOfBytes = clusterKeySlot as unknown as (bytes: Uint8Array) => number;

/**
 * The hash slot of a key: the CRC16 of its hash tag, or of the whole key if it has no hash tag, modulo 16384. The
 * result equals the server's `CLUSTER KEYSLOT` for every key. A string is hashed as UTF-8, a Buffer or Uint8Array byte
 * by byte, and a number or bigint as its decimal text.
 *
 * @returns A slot from 0 to 16383.
 * @throws {InvalidArgumentError} when `key` is not a string, Buffer, Uint8Array, number (except NaN) or bigint.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
 */
export function slotOf(key: Argument): number {
  if (typeof key === "string") {
    const { length } = key;
    if (length >= SCRATCH.length) return slotOfEncoded(Buffer.from(key, "utf8"));
    const bytes = SCRATCH[length] as Uint8Array;
    let emptyTag = false;
    for (let index = 0; index < length; index++) {
      const code = key.charCodeAt(index);
      if (code > 0x7f) return slotOfEncoded(Buffer.from(key, "utf8"));
      if (code === CLOSE && index > 0 && bytes[index - 1] === OPEN) emptyTag = true;
      bytes[index] = code;
    }
    return emptyTag ? slotOfEncoded(bytes) : slotOfBytes(bytes);
  }
  if (key instanceof Uint8Array) return slotOfEncoded(bufferOf(key));
  if ((typeof key === "number" && !Number.isNaN(key)) || typeof key === "bigint") return slotOf(String(key));
  throw new InvalidArgumentError(
    `A key is ${kindOf(key)}; accepted are string, Buffer, Uint8Array, number (not NaN) and bigint.`,
  );
}

/**
 * The slot that all `keys` share. There must be at least one key.
 * @throws {CrossSlotError} when the keys are in more than one slot.
 */
export function slotOfKeys(keys: readonly Argument[]): number {
  const slot = slotOf(keys[0] as Argument);
  for (let index = 1; index < keys.length; index++) {
    if (slotOf(keys[index] as Argument) !== slot) throw crossSlot(keys);
  }
  return slot;
}

/** The hash tag of a key: the text inside its first pair of braces. Undefined when that text is empty or missing. */
export function hashTagOf(key: string): string | undefined {
  const open = key.indexOf("{");
  const close = open === -1 ? -1 : key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : undefined;
}

/*
 * Behind an empty tag the library searches on, but the server does not: in "{}ab}" the library finds a tag, where the
 * server hashes all bytes. The library finds no tag in bytes without "{". CRC16 with a zero start is linear over XOR:
 * the hash of all bytes is the hash of the bytes with one bit of every "{" flipped, XORed with the hash of those bits.
 */
function slotOfEncoded(bytes: Uint8Array): number {
  const open = bytes.indexOf(OPEN);
  if (open === -1 || bytes[open + 1] !== CLOSE) return slotOfBytes(bytes);
  const masked = Uint8Array.from(bytes, (byte) => (byte === OPEN ? byte ^ 1 : byte));
  const mask = Uint8Array.from(bytes, (byte) => (byte === OPEN ? 1 : 0));
  return slotOfBytes(masked) ^ slotOfBytes(mask);
}

function crossSlot(keys: readonly Argument[]): CrossSlotError {
  return new CrossSlotError(
    keys.map((key) => ({
      key: key instanceof Uint8Array ? bufferOf(key).toString("utf8") : String(key),
      slot: slotOf(key),
    })),
  );
}
