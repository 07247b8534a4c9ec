import { createHash } from "node:crypto";
import { ErrorReply, type Value } from "./resp.ts";

/** What a script may do on the server that runs it. */
export interface Redis {
  get(key: string): string | null;
  set(key: string, value: string): void;
  incr(key: string): number;
  /** The script goes on for so long, and the server does nothing else. */
  spend(milliseconds: number): void;
}

/** The Lua of the scripts that simulated servers can run. Real servers run the same text. */
export const SOURCES = {
  count: "local n = redis.call('incr', KEYS[1]) return {ARGV[1], n}",
  put: "redis.call('set', KEYS[1], ARGV[1] .. 'k=' .. KEYS[1]) return {ARGV[1], 0}",
  read: "return {ARGV[1], redis.call('get', KEYS[1]) or ''}",
  pair: "local n = redis.call('incr', KEYS[1]) redis.call('incr', KEYS[2]) return {ARGV[1], n}",
  fail: "redis.call('incr', KEYS[1]) return redis.error_reply(ARGV[2])",
  echo: "return {ARGV[1], 0}",
  slow: `local n = redis.call('incr', KEYS[1])
local started = redis.call('time')
local stop = started[1] * 1000 + started[2] / 1000 + tonumber(ARGV[2])
repeat local now = redis.call('time') until now[1] * 1000 + now[2] / 1000 >= stop
return {ARGV[1], n}`,
} as const;

export type ScriptName = keyof typeof SOURCES;

type Behaviour = (redis: Redis, keys: readonly string[], args: readonly string[]) => Value;

const first = (values: readonly string[]): string => values[0] as string;

const BEHAVIOURS: Readonly<Record<ScriptName, Behaviour>> = {
  count: (redis, keys, args) => [first(args), redis.incr(first(keys))],
  put(redis, keys, args) {
    redis.set(first(keys), `${first(args)}k=${first(keys)}`);
    return [first(args), 0];
  },
  read: (redis, keys, args) => [first(args), redis.get(first(keys)) ?? ""],
  pair(redis, keys, args) {
    const n = redis.incr(first(keys));
    redis.incr(keys[1] as string);
    return [first(args), n];
  },
  fail(redis, keys, args) {
    redis.incr(first(keys));
    return new ErrorReply(args[1] as string);
  },
  echo: (_, __, args) => [first(args), 0],
  slow(redis, keys, args) {
    const n = redis.incr(first(keys));
    redis.spend(Number(args[1]));
    return [first(args), n];
  },
};

/** Scripts whose replies may be cached, and one that writes what they read. Only runs with a cache have them. */
export const CACHED_SOURCES = {
  peek: "local r = {} for i, key in ipairs(KEYS) do r[i] = redis.call('get', key) or '' end return r",
  derive: "return {redis.call('get', KEYS[1]) or '', redis.call('get', 'd:' .. KEYS[1]) or ''}",
  assign: "for _, key in ipairs(KEYS) do redis.call('set', key, ARGV[1]) end return 1",
} as const;

const CACHED_BEHAVIOURS: Readonly<Record<keyof typeof CACHED_SOURCES, Behaviour>> = {
  peek: (redis, keys) => keys.map((key) => redis.get(key) ?? ""),
  derive: (redis, keys) => [redis.get(first(keys)) ?? "", redis.get(`d:${first(keys)}`) ?? ""],
  assign(redis, keys, args) {
    for (const key of keys) redis.set(key, first(args));
    return 1;
  },
};

const BY_SOURCE = new Map<string, Behaviour>([
  ...Object.entries(SOURCES).map(([name, source]) => [source, BEHAVIOURS[name as ScriptName]] as const),
  ...Object.entries(CACHED_SOURCES).map(
    ([name, source]) => [source, CACHED_BEHAVIOURS[name as keyof typeof CACHED_SOURCES]] as const,
  ),
]);

/** What a source does; undefined for one that is none of ours: such a script does nothing. */
export function behaviourOf(source: string): Behaviour | undefined {
  return BY_SOURCE.get(source);
}

const shas = new Map<string, string>();

/** What SCRIPT LOAD answers. */
export function shaOf(source: string): string {
  let sha = shas.get(source);
  if (sha === undefined) {
    sha = createHash("sha1").update(source, "latin1").digest("hex");
    shas.set(source, sha);
  }
  return sha;
}
