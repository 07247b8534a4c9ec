import type { Cache } from "../cache/cache.ts";
import { binaryOf } from "../protocol/encode.ts";
import type { Argument } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import type { WrittenKeys } from "../routing/call-extras.ts";

/** Notes the keys that a call may write. A call without keys may write any, as far as anybody can tell. */
export function noteWrite(call: Call, keys: readonly Argument[]): void {
  const { length } = keys;
  // Most calls have one key, for which a function for each key would cost as much as the rest.
  if (length === 1) call.withExtras.written = [binaryOf(keys[0], "key", 0)];
  else call.withExtras.written = length === 0 ? "all" : keys.map((key, index) => binaryOf(key, "key", index));
}

/** The keys that any of some calls may write. Undefined if none writes. */
export function writtenBy(calls: readonly Call[]): WrittenKeys | undefined {
  const keys = new Set<string>();
  for (const { extras } of calls) {
    if (extras?.written === "all") return "all";
    for (const key of extras?.written ?? []) keys.add(key);
  }
  return keys.size === 0 ? undefined : [...keys];
}

/** Does something that may write, but does not pass the door as a call: nothing of its keys is kept meanwhile. */
export async function whileWriting<T>(
  cache: Cache | undefined,
  written: WrittenKeys | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (cache === undefined || written === undefined) return work();
  cache.written(written);
  try {
    return await work();
  } finally {
    cache.answered(written);
  }
}
