import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { addItem } from "../../bench/support/explained-calls.ts";
import { ROWS } from "../../src/routing/next-step-rows.ts";
import { startCluster } from "../../src/testing/index.ts";
import { blocksIn, explainedBlocks, STORIES, withoutChance } from "./explained-blocks.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const NAME = "HOW-A-CLUSTER-CLIENT-WORKS.md";
const page = readFileSync(join(root, "src", NAME), "utf8");

describe("the guide to a cluster client", () => {
  it("shows what explain says of its calls; npm run docs:explained writes it", { timeout: 120_000 }, async () => {
    await using cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, tls: false });
    const made = await explainedBlocks(cluster);
    const shown = blocksIn(page);
    assert.deepEqual([...shown.keys()], [...STORIES]);
    for (const [story, block] of made) {
      assert.equal(withoutChance(shown.get(story) ?? ""), withoutChance(block), story);
    }
  });

  it("names files and functions that exist", () => {
    const steps = [...page.matchAll(/^\| .* \| `([\w/.-]+)` \| `(?:(\w+)\.)?(#?\w+)` \|$/gm)];
    assert.ok(steps.length >= 25, `${steps.length} steps`);
    const wrong = steps.flatMap(([, path = "", owner, name = ""]) => {
      const file = join(root, "src", path);
      if (!existsSync(file)) return [`${path} does not exist`];
      const source = readFileSync(file, "utf8");
      const declared =
        owner === undefined
          ? new RegExp(`^export (async )?function ${name}\\b`, "m")
          : new RegExp(`^export (abstract )?class ${owner}\\b[^]*^  (async )?${name}(<|\\()`, "m");
      return declared.test(source) ? [] : [`${path} has no ${owner === undefined ? name : `${owner}.${name}`}`];
    });
    assert.deepEqual(wrong, []);
  });

  it("names rows of the decision that exist", () => {
    const named = [...page.matchAll(/the row `([a-z-]+)`|\(`([a-z-]+)`\)/g)].map(
      ([, row, inBrackets]) => row ?? inBrackets,
    );
    assert.ok(named.length >= 5, named.join());
    assert.deepEqual(
      named.filter((row) => !Object.hasOwn(ROWS, row as string)),
      [],
    );
  });

  it("shows the script that it calls", () => {
    assert.ok(page.includes(`source: \`${addItem.source}\``), addItem.source);
  });

  it("asks ten questions and answers them", () => {
    const [, questions = ""] = page.split("\n## Ten questions\n");
    const pattern = /^(\d+)\. [^<]+\?\n\n +<details><summary>Answer<\/summary>\n\n +\S[^<]+\n\n +<\/details>$/gm;
    const numbers = [...questions.matchAll(pattern)].map(([, number]) => Number(number));
    assert.deepEqual(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("is found from the other pages", () => {
    for (const [from, link] of [
      ["README.md", `(src/${NAME})`],
      ["src/README.md", `(${NAME})`],
      ["src/cli/README.md", `(../${NAME})`],
    ] as const) {
      assert.ok(readFileSync(join(root, from), "utf8").includes(link), `${from} does not link to the guide`);
    }
  });
});
