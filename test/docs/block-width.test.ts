import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { blocksOf } from "./blocks.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** A wider block has to be scrolled sideways on the pages of repositories and registries. */
const MOST_COLUMNS = 90;
/** Longer lines of prose are left by merges. The checkers of style do not see them. */
const MOST_COLUMNS_OF_PROSE = 126;
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

describe("no line of prose is longer than the others", () => {
  for (const page of [...pages, "CHANGELOG.md"]) {
    it(page, () => {
      let isCode = false;
      const long = readFileSync(join(root, page), "utf8")
        .split("\n")
        .flatMap((text, index) => {
          if (text.startsWith("```")) isCode = !isCode;
          const isProse = !isCode && !/^ *[|<]/.test(text);
          return isProse && columnsOf(text) > MOST_COLUMNS_OF_PROSE ? [`${page}:${index + 1}`] : [];
        });
      assert.deepEqual(long, []);
    });
  }

  it("and no mark of a merge is left", () => {
    const marked = [...pages, "CHANGELOG.md"].filter((page) =>
      /^(<{7}|>{7}|={7}$)/m.test(readFileSync(join(root, page), "utf8")),
    );
    assert.deepEqual(marked, []);
  });
});

function columnsOf(text: string): number {
  return [...text].length;
}
