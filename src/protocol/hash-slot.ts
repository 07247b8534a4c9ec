import clusterKeySlot from "cluster-key-slot";
import { CrossSlotError, InvalidArgumentError } from "../errors.ts";
import { bufferOf, kindOf } from "./encode.ts";
import type { Argument } from "./reply.ts";

/** Slots of a cluster. @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
export const SLOT_COUNT = 16384;

const OPEN = 0x7b;
const CLOSE = 0x7d;

// The library reads any list of bytes. One that is reused spares an allocation a key; keys longer than this are rare.
const SCRATCH = Array.from({ length: 129 }, (_, length) => new Uint8Array(length));
const slotOfBytes = clusterKeySlot as unknown as (bytes: Uint8Array) => number;

/**
 * The slot of a key: CRC16 of its hash tag, or of all its bytes when it has none, modulo 16384.
 * Equal to the server's `CLUSTER KEYSLOT` for every key. Strings count as UTF-8, Buffers as their bytes.
 *
 * @returns 0 to 16383.
 * @throws {InvalidArgumentError} for anything that cannot be a key.
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
 * The one slot of all `keys`.
 * @throws {CrossSlotError} when they are in several.
 */
export function slotOfKeys(keys: readonly Argument[]): number {
  const slot = slotOf(keys[0] as Argument);
  for (let index = 1; index < keys.length; index++) {
    if (slotOf(keys[index] as Argument) !== slot) throw crossSlot(keys);
  }
  return slot;
}

/** The part of a key that is hashed when it is not all of it: what stands in its first braces, if anything does. */
export function hashTagOf(key: string): string | undefined {
  const open = key.indexOf("{");
  const close = open === -1 ? -1 : key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : undefined;
}

/*
 * The library looks on past an empty tag, the server does not: in "{}ab}" it hashes "ab}"'s tag where the server
 * hashes all. It never sees a tag where there is no "{". CRC16 with a zero start is linear over XOR, so the hash of
 * all bytes is the hash with every "{" changed by one bit, XORed with the hash of those bits alone.
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
