import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { describe, it } from "node:test";
import { runSeeds } from "./run-seeds.ts";
import { simulate } from "./simulate.ts";

const SEEDS = 400;

describe("the client on a simulated network, clock and cluster", () => {
  it(`keeps every promise in ${SEEDS} fresh runs`, async (t) => {
    const first = randomInt(2 ** 31);
    t.diagnostic(`seeds from ${first}`);
    const halves = await Promise.all([runSeeds(first, SEEDS / 2), runSeeds(first + SEEDS / 2, SEEDS / 2)]);
    for (const { isKept, output } of halves) {
      assert.ok(isKept, output);
      const [, runs, calls, failed] = /(\d+) runs, .* (\d+) calls, (\d+) of/.exec(output)?.map(Number) ?? [];
      assert.equal(runs, SEEDS / 2);
      assert.ok(failed && calls && failed > calls / 20 && failed < calls / 2, "faults were felt, and calls served");
    }
  });

  it("tells the same story whenever a seed is run", async () => {
    for (const seed of [11, 222, 3333]) {
      const [first, second] = [await simulate(seed, true), await simulate(seed, true)];
      assert.ok(first.story.length > 100, `seed ${seed} has a story`);
      assert.deepEqual(second.story, first.story);
    }
  });
});
