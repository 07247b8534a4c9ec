import type { Cluster } from "../../cluster/cluster.ts";
import { defineScript, type Script } from "../../scripts/script.ts";
import { filled } from "./placeholders.ts";

/**
 * A script call in two ways. Each method returns a function that makes the call with a number of `CallNumbers`; its promise
 * rejects when the reply is wrong.
 */
export interface BenchCall {
  readonly script: Script;
  evalsha(cluster: Cluster): (number: number) => Promise<void>;
  eval(cluster: Cluster): (number: number) => Promise<void>;
}

const KEYS = 1000;
/** Numbers begin here, so that all have the same number of digits: a later call is no longer than an earlier one. */
const FIRST_NUMBER = 1_000_000;

/**
 * The numbers of calls, from which all ways take theirs. If each way counted for itself, the one that is ahead would meet keys
 * that do not exist, and the others keys that it has written: the script would do other work in each of them.
 */
export class CallNumbers {
  #next = FIRST_NUMBER;

  /** The first of so many numbers that no other call gets. */
  take(count = 1): number {
    const first = this.#next;
    this.#next += count;
    return first;
  }
}

/** A script of a common size that only reads. */
const QUOTA = `-- How much of a quota is left in this window, and how long the window lasts.
local limit = tonumber(ARGV[2])
local used = tonumber(redis.call('get', KEYS[1]) or '0')
local left = limit - used
if left < 0 then
  left = 0
end
local wait = 0
if left == 0 then
  wait = redis.call('pttl', KEYS[1])
  if wait < 0 then
    wait = 0
  end
end
-- The caller's own number comes back, so that it can tell its answers apart.
return { tonumber(ARGV[1]), left, wait }
`;

/** The call of the command's own script, with keys of many slots. The keys do not exist. */
export function quotaCall(): BenchCall {
  const script = defineScript({ name: "quota", source: QUOTA, numberOfKeys: 1 });
  const keyOf = (number: number) => `slotwire:bench:${number % KEYS}`;
  const check = (reply: unknown, number: number) => {
    if (Array.isArray(reply) && reply[0] === number && reply[1] === 100) return;
    throw new Error(`Call ${number} was answered by ${JSON.stringify(reply)}; the right answer is [${number},100,0].`);
  };
  return {
    script,
    evalsha: (cluster) => async (number) => check(await cluster.run(script, [keyOf(number)], [number, 100]), number),
    eval: (cluster) => async (number) => {
      check(await cluster.command("EVAL", script.source, 1, keyOf(number), number, 100), number);
    },
  };
}

/** The call of a script from a file. */
export function givenCall(
  file: string,
  { keys, args }: { readonly keys: readonly string[]; readonly args: readonly string[] },
): BenchCall {
  const script: Script = defineScript({ file });
  const [keysOf, argsOf] = [filled(keys), filled(args)];
  return {
    script,
    evalsha: (cluster) => async (number) => void (await cluster.run(script, keysOf(number), argsOf(number))),
    eval: (cluster) => async (number) => {
      await cluster.command("EVAL", script.source, keys.length, ...keysOf(number), ...argsOf(number));
    },
  };
}
