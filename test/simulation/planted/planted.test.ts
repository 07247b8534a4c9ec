import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runSeeds } from "../run-seeds.ts";
import { BUGS } from "./bugs.ts";
import { plantedSimulator } from "./planted-simulator.ts";

/** The rarest bug shows itself once in some hundred runs. */
const MOST_SEEDS = 4000;

// Which seed finds a bug changes with every change to the client that draws another number. The search then goes on from
// the seed that is noted beside the bug, and the test says which seed to note instead.
describe("the simulator", { concurrency: 2 }, () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "slotwire-planted-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [index, { name, seed, plants, breaks, isCached }] of BUGS.entries()) {
    it(`finds it when ${name}`, async (t) => {
      const bundle = await plantedSimulator(plants, folder, String(index));
      const { isKept, output } = await runSeeds(seed, MOST_SEEDS, { bundle, isCached });
      assert.equal(isKept, false, `${MOST_SEEDS} runs from seed ${seed} on kept every promise`);
      assert.match(output, breaks);
      const found = Number(/^seed (\d+) broke promises/m.exec(output)?.[1]);
      if (found !== seed) t.diagnostic(`found by seed ${found}, and no longer by ${seed}: note it in bugs.ts`);
    });
  }
});
