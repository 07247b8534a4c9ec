/*
 * What blocks of the README stand on without saying so: a cluster that runs, and scripts of earlier blocks. A block names
 * what it uses in a comment in front of it, which Markdown does not show: <!-- given: cluster, nodes -->
 */
import assert from "node:assert/strict";
import { connect, defineScript } from "../../src/index.ts";

export { connect } from "../../src/index.ts";

/** Addresses of a real cluster. */
export const nodes = (process.env.SLOTWIRE_DOCS_NODES ?? "").split(",");
export const cluster = await connect({ nodes });

export const setWithTtl = defineScript({
  name: "setWithTtl",
  source: "return redis.call('set', KEYS[1], ARGV[1], 'ex', ARGV[2])",
  numberOfKeys: 1,
});
export const increment = defineScript({
  name: "increment",
  source: "return redis.call('incr', KEYS[1])",
  numberOfKeys: 1,
  parse: Number,
});
export const take = defineScript({
  name: "take",
  source: "return redis.call('lpop', KEYS[1], ARGV[1])",
  numberOfKeys: 1,
});

let shown = 0;

/** Compares what a block states behind `//` with what it got, and hands that on. */
export async function shows<T>(expected: unknown, result: T): Promise<Awaited<T>> {
  const value = await result;
  assert.deepEqual(value, expected);
  shown++;
  return value;
}

/** How often `shows` was content since it was asked last. */
export function takeShown(): number {
  const count = shown;
  shown = 0;
  return count;
}
