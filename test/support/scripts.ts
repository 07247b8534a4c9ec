import { defineScript } from "../../src/index.ts";

/** SET, as a script. */
export const setScript = defineScript({
  name: "set",
  source: "return redis.call('set', KEYS[1], ARGV[1])",
  numberOfKeys: 1,
});

/** Counts how often it ran. */
export const incrScript = defineScript({
  name: "incr",
  source: "return redis.call('incr', KEYS[1])",
  numberOfKeys: 1,
});

/** The same, and may run twice. */
export const idempotentScript = defineScript({ ...pick(setScript), name: "idempotent set", idempotent: true });

function pick({ source }: { readonly source: string }): { source: string; numberOfKeys: 1 } {
  return { source: `${source} -- idempotent`, numberOfKeys: 1 };
}

export const getScript = defineScript({
  name: "get",
  source: "return redis.call('get', KEYS[1])",
  numberOfKeys: 1,
  readOnly: true,
});
