import { parseArgs } from "node:util";
import { cacheOf } from "./plan.ts";
import { simulate } from "./simulate.ts";

/*
 * npm run test:simulation -- --seeds 100000             that many fresh seeds
 * npm run test:simulation -- --seeds 1000 --first 42    those from 42 on
 * npm run test:simulation -- --seeds 1000 --cached      of that many fresh seeds those that have a cache
 * npm run test:simulation -- --seed 42                  one seed again, with its story
 *
 * It stops at the tenth seed that breaks a promise, or at that of --stop-after.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    first: { type: "string" },
    seed: { type: "string" },
    cached: { type: "boolean", default: false },
    "stop-after": { type: "string", default: "10" },
  },
});

async function tell(seed: number): Promise<boolean> {
  const { story, broken } = await simulate(seed, true);
  console.log(story.join("\n"));
  console.log(`\nseed ${seed} ${broken.length === 0 ? "kept every promise" : "broke promises:"}`);
  for (const each of broken) console.log(`  ${each}`);
  return broken.length === 0;
}

async function tryMany(first: number, count: number, stopAfter: number): Promise<boolean> {
  console.log(`seeds ${first} to ${first + count - 1}`);
  const started = performance.now();
  let [broken, runs, calls, failed, hits] = [0, 0, 0, 0, 0];
  for (let seed = first; seed < first + count && broken < stopAfter; seed++) {
    if (values.cached && cacheOf(seed) === undefined) continue;
    const run = await simulate(seed);
    runs++;
    calls += run.calls;
    failed += run.failed;
    hits += run.hits;
    if (run.broken.length === 0) continue;
    broken++;
    console.log(`seed ${seed} broke promises; again, with its story: npm run test:simulation -- --seed ${seed}`);
    for (const each of run.broken.slice(0, 5)) console.log(`  ${each}`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const served = `${calls} calls, ${failed} of them with errors, ${hits} replies from memory`;
  console.log(`${runs} runs, ${broken} broke promises; ${served}; ${seconds} s`);
  return broken === 0;
}

const first = values.first === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.first);
const isKept =
  values.seed === undefined
    ? await tryMany(first, Number(values.seeds), Number(values["stop-after"]))
    : await tell(Number(values.seed));
process.exitCode = isKept ? 0 : 1;
