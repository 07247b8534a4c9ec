import { getKeyIndexes } from "@ioredis/commands";
import type { Argument } from "../index.ts";
import type { Callback } from "./callbacks.ts";

/** What a command is called with, sorted out. */
export interface Given {
  readonly args: readonly Argument[];
  readonly callback: Callback | undefined;
}

/** Sorts out what a method was called with: a callback at the end, arrays within arrays, values of any kind. */
export function givenTo(name: string, values: readonly unknown[]): Given {
  const last = values.at(-1);
  const callback = typeof last === "function" ? (last as Callback) : undefined;
  const rest = callback === undefined ? values : values.slice(0, -1);
  return { args: transformed(name.toLowerCase(), rest).flat(Number.POSITIVE_INFINITY).map(argumentOf), callback };
}

/** `mset({ a: 1 })`, `hset(key, { field: 1 })` and the same with a Map. */
function transformed(name: string, values: readonly unknown[]): readonly unknown[] {
  const [first, second] = values;
  if ((name === "mset" || name === "msetnx") && values.length === 1) return [pairsOf(first) ?? first];
  if ((name === "hset" || name === "hmset") && values.length === 2) return [first, pairsOf(second) ?? second];
  return values;
}

function pairsOf(value: unknown): unknown[] | undefined {
  if (value instanceof Map) return [...value].flat();
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    return undefined;
  }
  return Object.entries(value).flat();
}

/** Null and undefined are sent as an empty text; other values that are neither texts nor bytes as their text. */
export function argumentOf(value: unknown): Argument {
  if (typeof value === "string" || value instanceof Uint8Array) return value;
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  return value === null || value === undefined ? "" : String(value);
}

/** The same arguments with `prefix` in front of the keys. */
export function withPrefix(prefix: string, name: string, args: readonly Argument[]): readonly Argument[] {
  if (prefix === "") return args;
  const prefixed = [...args];
  for (const index of keyIndexesOf(name, args)) {
    const key = args[index];
    if (key !== undefined) prefixed[index] = prefixedKey(prefix, key);
  }
  return prefixed;
}

export function prefixedKey(prefix: string, key: Argument): Argument {
  if (prefix === "") return key;
  return key instanceof Uint8Array ? Buffer.concat([Buffer.from(prefix), key]) : prefix + String(key);
}

/** The positions of the keys among the arguments, and of SORT's patterns of keys. */
export function keyIndexesOf(name: string, args: readonly Argument[]): number[] {
  try {
    return getKeyIndexes(name, args as never, { nameCaseInsensitive: true });
  } catch {
    // A command that the table does not list.
    return [];
  }
}
