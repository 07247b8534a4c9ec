import type { Cache } from "../cache/cache.ts";
import { binaryOf } from "../protocol/encode.ts";
import type { Argument } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import { ALL_KEYS, type Writing, type WrittenKeys } from "../routing/call-extras.ts";

/** Notes the keys that a call may write. A call without keys may write any, as far as anybody can tell. */
export function noteWrite(call: Call, keys: readonly Argument[]): void {
  const { length } = keys;
  if (length === 1) call.written = binaryOf(keys[0], "key", 0);
  else call.written = length === 0 ? ALL_KEYS : keys.map((key, index) => binaryOf(key, "key", index));
}

/** The keys that any of some calls may write. Undefined if none writes. */
export function writtenBy(calls: readonly Call[]): WrittenKeys | undefined {
  const keys = new Set<string>();
  for (const call of calls) {
    // They have not begun: they are not sent by themselves.
    const written = call.written as WrittenKeys | undefined;
    if (written === ALL_KEYS) return ALL_KEYS;
    if (typeof written === "string") keys.add(written);
    else for (const key of written ?? []) keys.add(key);
  }
  return keys.size === 0 ? undefined : [...keys];
}

/**
 * Does something that may write, but does not pass the door as a call: nothing of its keys is kept meanwhile.
 * @param slot  That of the keys; -1 if it is not known.
 */
export async function whileWriting<T>(
  cache: Cache | undefined,
  written: WrittenKeys | undefined,
  slot: number,
  work: () => Promise<T>,
): Promise<T> {
  if (cache === undefined || written === undefined) return work();
  const writing: Writing = { written, slot };
  cache.written(writing);
  try {
    return await work();
  } finally {
    cache.answered(writing);
  }
}
