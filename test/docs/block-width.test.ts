import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { blocksOf } from "./blocks.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** A wider block has to be scrolled sideways on the pages of repositories and registries. */
const MOST_COLUMNS = 90;
const besideSources = readdirSync(join(root, "src")).filter((name) => name.endsWith(".md"));
const pages = ["README.md", ...besideSources.map((name) => `src/${name}`), "src/cli/README.md"];

describe("no line in a block of code is wider than the page", () => {
  for (const page of pages) {
    it(page, () => {
      const wide = blocksOf(readFileSync(join(root, page), "utf8")).flatMap(({ line, code }) =>
        code
          .split("\n")
          .flatMap((text, index) => (columnsOf(text) > MOST_COLUMNS ? [`${page}:${line + index + 1}`] : [])),
      );
      assert.deepEqual(wide, []);
    });
  }
});

function columnsOf(text: string): number {
  return [...text].length;
}
