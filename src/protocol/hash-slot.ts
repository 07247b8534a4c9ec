import { CrossSlotError, InvalidArgumentError } from "../errors.ts";
import { bufferOf, kindOf } from "./encode.ts";
import type { Argument } from "./reply.ts";

/** The number of slots in a cluster. @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
export const SLOT_COUNT = 16384;

const OPEN = 0x7b;
const CLOSE = 0x7d;
const LAST_ASCII = 0x7f;

/** What CRC16 (polynomial 0x1021, start 0, no reflection) makes of each byte. */
const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0);
  return crc;
});

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
    // Every run hashes a key, and most keys are short ASCII: their characters are hashed where they stand.
    let crc = 0;
    for (let index = 0; index < key.length; index++) {
      const code = key.charCodeAt(index);
      if (code === OPEN) return slotOfTagged(key, index);
      if (code > LAST_ASCII) return slotOfBytes(Buffer.from(key, "utf8"));
      crc = ((crc << 8) ^ (CRC16[(crc >> 8) ^ code] as number)) & 0xffff;
    }
    return crc & (SLOT_COUNT - 1);
  }
  if (key instanceof Uint8Array) return slotOfBytes(bufferOf(key));
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

/** The slot of a text whose first `{` is at `open`. */
function slotOfTagged(key: string, open: number): number {
  const close = key.indexOf("}", open);
  const isTag = close > open + 1;
  const end = isTag ? close : key.length;
  let crc = 0;
  for (let index = isTag ? open + 1 : 0; index < end; index++) {
    const code = key.charCodeAt(index);
    if (code > LAST_ASCII) return slotOfBytes(Buffer.from(key, "utf8"));
    crc = ((crc << 8) ^ (CRC16[(crc >> 8) ^ code] as number)) & 0xffff;
  }
  return crc & (SLOT_COUNT - 1);
}

/** The slot of the bytes between the first `{` and the first `}` behind it, or of all bytes if nothing is between them. */
function slotOfBytes(bytes: Buffer): number {
  const open = bytes.indexOf(OPEN);
  const close = open === -1 ? -1 : bytes.indexOf(CLOSE, open);
  const isTag = close > open + 1;
  const end = isTag ? close : bytes.length;
  let crc = 0;
  for (let index = isTag ? open + 1 : 0; index < end; index++) {
    crc = ((crc << 8) ^ (CRC16[(crc >> 8) ^ (bytes[index] as number)] as number)) & 0xffff;
  }
  return crc & (SLOT_COUNT - 1);
}

function crossSlot(keys: readonly Argument[]): CrossSlotError {
  return new CrossSlotError(
    keys.map((key) => ({
      key: key instanceof Uint8Array ? bufferOf(key).toString("utf8") : String(key),
      slot: slotOf(key),
    })),
  );
}
