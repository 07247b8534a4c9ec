import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { runSeeds } from "../run-seeds.ts";
import { BUGS } from "./bugs.ts";

/** The rarest of them shows itself once in some hundred runs. */
const MOST_SEEDS = 4000;
const FIRST = 1;

describe("the simulator", { concurrency: 2 }, () => {
  for (const { name, plants, breaks } of BUGS) {
    it(`finds it when ${name}`, async () => {
      const plant = fileURLToPath(new URL("plant.mjs", import.meta.url));
      const { isKept, output } = await runSeeds(FIRST, MOST_SEEDS, {
        execArgv: ["--import", plant],
        env: { PLANT: JSON.stringify(plants) },
      });
      assert.equal(isKept, false, `${MOST_SEEDS} runs kept every promise`);
      assert.match(output, breaks);
    });
  }
});
