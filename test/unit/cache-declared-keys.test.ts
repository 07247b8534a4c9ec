import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readsOnlyGivenKeys } from "../../src/cache/declared-keys.ts";

/** Sources that show that they read only keys that they were given. */
const GIVEN = [
  "return redis.call('get', KEYS[1])",
  "return redis.call('GET', KEYS[#KEYS])",
  "#!lua flags=no-writes\nreturn redis.call('hget', KEYS[1], ARGV[1])",
  "local k = KEYS[1]\nreturn redis.call('hmget', k, unpack(ARGV))",
  "local a = KEYS[1] local b = KEYS[2] return {redis.call('get', a), redis.pcall('lrange', b, 0, -1)}",
  "local r = {} for i, k in ipairs(KEYS) do r[i] = redis.call('get', k) end return r",
  "local r = {} for i = 1, #KEYS do r[i] = redis.call('get', KEYS[i]) end return r",
  "return redis.call('mget', unpack(KEYS))",
  "return redis.call('mget', KEYS[1], KEYS[2])",
  "return redis.call('sinter', KEYS[1], KEYS[2])",
  "return redis.call('zdiff', 2, KEYS[1], KEYS[2])",
  "-- redis.call('get', 'x')\n--[[ redis.call('get', ARGV[1]) ]] return redis.call('get', KEYS[1])",
  "return redis.call('get', KEYS[1]) or redis.error_reply('ERR ' .. ARGV[1])",
  "return server.call('get', KEYS[1])",
  "return ARGV[1]",
  "return redis.call('zrange', KEYS[1], ARGV[1], ARGV[2])",
];

/** Sources that may read others, or of which nothing is known. */
const NOT_SHOWN = [
  "return redis.call('get', KEYS[1] .. ':x')",
  "return redis.call('get', 'fixed')",
  "return redis.call('xinfo', 'groups', KEYS[1])",
  "return redis.call('get', ARGV[1])",
  "local k = KEYS[1] .. ':x' return redis.call('get', k)",
  "local k = KEYS[1] k = k .. 'x' return redis.call('get', k)",
  "local k = KEYS[1] do local k = ARGV[1] return redis.call('get', k) end",
  "local k = KEYS[1] or ARGV[1] return redis.call('get', k)",
  "local a, k = KEYS[1], ARGV[1] return redis.call('get', k)",
  "local k = KEYS[1] a, k = 1, ARGV[1] return redis.call('get', k)",
  "local k = KEYS[1] k, a = ARGV[1], 1 return redis.call('get', k)",
  "local k = KEYS[1] local function f(k) return redis.call('get', k) end return f(ARGV[1])",
  "local k = KEYS[1] for k in pairs(ARGV) do redis.call('get', k) end",
  "for i, k in ipairs(ARGV) do redis.call('get', k) end",
  "local call = redis.call return call('get', KEYS[1])",
  "local r = redis return r.call('get', KEYS[1])",
  "return redis['call']('get', KEYS[1])",
  "return redis.call(ARGV[1], KEYS[1])",
  "return redis.call('mget', KEYS[1], ARGV[1])",
  "return redis.call('mget', KEYS[1], unpack(ARGV))",
  "return redis.call('mget', unpack(ARGV))",
  "return redis.call('sort', KEYS[1], 'by', 'w_*')",
  "return redis.call('zdiff', ARGV[1], KEYS[1], KEYS[2])",
  "return redis.call('zdiff', 2, KEYS[1], ARGV[1])",
  "KEYS[1] = ARGV[1] return redis.call('get', KEYS[1])",
  "table.insert(KEYS, ARGV[1]) return redis.call('mget', unpack(KEYS))",
  "local t = KEYS t[1] = ARGV[1] return redis.call('get', KEYS[1])",
  "KEYS = ARGV return redis.call('get', KEYS[1])",
  "return _G['redis'].call('get', ARGV[1])",
  "return loadstring(ARGV[1])()",
  "return redis.call('get', (KEYS[1]))",
  "return redis.call('get', KEYS[1]:rep(2))",
  "return redis.call('unheard.of', KEYS[1])",
  "return redis.call(unpack(ARGV))",
  "local ipairs = next for i, k in ipairs(KEYS) do redis.call('get', k) end",
  "local function unpack() return ARGV[1] end return redis.call('mget', unpack(KEYS))",
];

describe("the keys that a script's source shows", () => {
  for (const source of GIVEN)
    it(`are those it was given: ${source}`, () => assert.equal(readsOnlyGivenKeys(source), true));
  for (const source of NOT_SHOWN) it(`may be others: ${source}`, () => assert.equal(readsOnlyGivenKeys(source), false));
});
