import { InvalidArgumentError } from "../errors.ts";
import { bufferOf, kindOf } from "../protocol/encode.ts";

/** An entry of a stream. */
export interface Entry<V = string> {
  /** The entry's id, such as `1526919030474-55`: as text, in a view with Buffers too. */
  readonly id: string;
  /**
   * The values by field, in an object without prototype; null for an entry that has been deleted since it was delivered.
   * If a field comes twice, its last value counts; `asPairs` of the reply's second element has both.
   */
  readonly fields: Record<string, V> | null;
}

/**
 * A flat reply of names and values in turn as an object: of HGETALL, CONFIG GET, XINFO STREAM and so on. The object has no
 * prototype, so `__proto__` is a name like any other, and a name that is not there is undefined. Names are text, also where
 * the reply has Buffers.
 *
 * @throws {InvalidArgumentError} The reply is no array, its length is odd, or a name is no text.
 */
export function asObject<V>(reply: readonly V[]): Record<string, V> {
  return objectOf("asObject", reply);
}

/**
 * A flat reply as an array of pairs, in the order of the reply: members and scores of ZRANGE WITHSCORES, or names and
 * values, also where names come twice or are no text.
 *
 * @throws {InvalidArgumentError} The reply is no array, or its length is odd.
 */
export function asPairs<V>(reply: readonly V[]): [first: V, second: V][] {
  const flat = evenArray("asPairs", reply);
  const pairs: [V, V][] = [];
  for (let at = 0; at < flat.length; at += 2) pairs.push([flat[at] as V, flat[at + 1] as V]);
  return pairs;
}

/**
 * The entries of a stream as objects: of the replies of XRANGE, XREVRANGE and XCLAIM, of the second element of XAUTOCLAIM,
 * and of the second element of each stream of XREAD and XREADGROUP. Null, which stands in the place of a deleted entry
 * before Redis 7.0, is left out.
 *
 * @throws {InvalidArgumentError} The reply is no array of entries.
 */
export function asEntries<V extends string | Buffer>(
  reply: readonly (readonly [id: V, fields: readonly V[] | null, ...more: unknown[]] | null)[],
): Entry<V>[] {
  if (!Array.isArray(reply)) throw wrong("asEntries", `the reply is ${kindOf(reply)}`, "an array of entries");
  return (reply as readonly unknown[]).flatMap((entry, index) => {
    if (entry === null) return [];
    const [id, fields] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (!isText(id) || (fields !== null && !Array.isArray(fields))) {
      throw wrong("asEntries", `element ${index} is no entry`, "an array of an id and of fields and values in turn");
    }
    return [{ id: textOf("asEntries", id, index), fields: fields === null ? null : objectOf<V>("asEntries", fields) }];
  });
}

function objectOf<V>(caller: string, reply: readonly V[]): Record<string, V> {
  const flat = evenArray(caller, reply);
  const object: Record<string, V> = Object.create(null);
  for (let at = 0; at < flat.length; at += 2) object[textOf(caller, flat[at], at)] = flat[at + 1] as V;
  return object;
}

function evenArray<V>(caller: string, reply: readonly V[]): readonly V[] {
  const accepted = "a flat array of names and values in turn";
  if (!Array.isArray(reply)) throw wrong(caller, `the reply is ${kindOf(reply)}`, accepted);
  if (reply.length % 2 === 0) return reply;
  throw wrong(caller, `the reply has ${reply.length} elements, so the last one has no value`, accepted);
}

const isText = (value: unknown) => typeof value === "string" || value instanceof Uint8Array;

/** Two names that are no text could become the same text, and one value would be lost. */
function textOf(caller: string, name: unknown, at: number): string {
  if (typeof name === "string") return name;
  if (!(name instanceof Uint8Array)) throw wrong(caller, `element ${at} is ${kindOf(name)}`, "a name");
  const bytes = bufferOf(name);
  const text = bytes.toString("utf8");
  if (Buffer.from(text, "utf8").equals(bytes)) return text;
  throw wrong(caller, `element ${at} is a name that is not UTF-8`, "text; asPairs takes any bytes");
}

function wrong(caller: string, found: string, accepted: string): InvalidArgumentError {
  return new InvalidArgumentError(`${caller}: ${found}; accepted is ${accepted}.`);
}
