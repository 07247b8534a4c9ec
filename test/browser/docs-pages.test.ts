import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { faultsOf, NO_BROWSER, openBrowser, openPage } from "../support/browser.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { projectDocuments } = JSON.parse(readFileSync(join(root, "test/docs/pages/typedoc.json"), "utf8"));
/** The guides of the project, whose pages have the names of their first headings. */
const GUIDES: readonly string[] = [
  "index.html",
  ...projectDocuments.map((path: string) => {
    const [, title = ""] = /^# (.+)$/m.exec(readFileSync(join(root, "test/docs/pages", path), "utf8")) ?? [];
    return `documents/${title.replaceAll(/\W+/g, "_")}.html`;
  }),
];
/** Pages of the interface, one of each kind, and the longest. */
const INTERFACE = [
  "modules.html",
  "classes/index.Cluster.html",
  "functions/index.connect.html",
  "interfaces/index.CommandReplies.html",
];
const LOOKS = [
  { width: 390, colorScheme: "light" },
  { width: 390, colorScheme: "dark" },
  { width: 1440, colorScheme: "light" },
  { width: 1440, colorScheme: "dark" },
] as const;

describe("the pages of npm run docs", { skip: NO_BROWSER }, () => {
  let browser: Browser;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "slotwire-docs-"));
    execFileSync("npm", ["run", "docs", "--silent", "--", "--out", folder], { cwd: root, stdio: "pipe" });
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("are a page for each guide, and no Markdown", () => {
    const files = readdirSync(folder, { recursive: true }).map(String);
    assert.deepEqual(
      GUIDES.filter((page) => !files.includes(page)),
      [],
    );
    assert.deepEqual(
      files.filter((file) => file.endsWith(".md")),
      [],
    );
  });

  it("have links that lead to a page, and to a heading on it", () => {
    const pages = readdirSync(folder, { recursive: true }).map(String);
    const html = new Map(
      pages.filter((page) => page.endsWith(".html")).map((page) => [page, readFileSync(join(folder, page), "utf8")]),
    );
    const dead = [...html].flatMap(([page, text]) => {
      const links = [...text.matchAll(/<a [^>]*?href="([^"]*)"/g)].map(([, href = ""]) =>
        href.replaceAll("&amp;", "&"),
      );
      return links.filter((href) => !leadsSomewhere(page, href, html)).map((href) => `${page} -> ${href}`);
    });
    assert.deepEqual([...new Set(dead)], []);
    assert.ok(html.size > GUIDES.length, `${html.size} pages`);
  });

  it("link the guides to each other", () => {
    const linked = new Set(
      GUIDES.flatMap((page) => {
        const { pathname } = new URL(page, "http://docs/");
        const body =
          readFileSync(join(folder, page), "utf8").split('class="col-content"')[1]?.split("col-sidebar")[0] ?? "";
        return [...body.matchAll(/href="([^"#]+)/g)]
          .map(([, href = ""]) => new URL(href, `http://docs${pathname}`).pathname.slice(1))
          .filter((target) => target !== page);
      }),
    );
    assert.deepEqual(
      GUIDES.filter((page) => !linked.has(page)),
      [],
    );
  });

  it("show the file and the function of each step on a telephone", async () => {
    const path = "documents/How_a_cluster_client_works.html";
    const { page, close } = await openPage(browser, pathToFileURL(join(folder, path)).href, LOOKS[0]);
    await page.waitForFunction('document.body.style.display !== "none"');
    const cut = await page.evaluate(CUT_TABLES);
    await close();
    assert.equal(cut, 0);
  });

  it("have one title each", () => {
    const titled = GUIDES.filter((page) => {
      const titles = readFileSync(join(folder, page), "utf8").match(/<h1[ >]/g) ?? [];
      return titles.length !== 1;
    });
    assert.deepEqual(titled, []);
  });

  for (const look of LOOKS) {
    it(`can be read at ${look.width} px, ${look.colorScheme}`, async () => {
      for (const path of [...GUIDES, ...INTERFACE]) {
        const { page, problems, close } = await openPage(browser, pathToFileURL(join(folder, path)).href, look);
        // typedoc shows the page when its script has run.
        await page.waitForFunction('document.body.style.display !== "none"');
        const { widest, narrowest, wrapped } = await page.evaluate(MEASURES);
        // A look at every text takes seconds. Colours and the order of texts are the same on a wide page.
        const isLookedThrough = look.width === 390 && GUIDES.includes(path);
        const { misplaced, faint } = isLookedThrough ? await faultsOf(page) : { misplaced: [], faint: [] };
        await close();
        assert.deepEqual(problems, [], path);
        assert.ok(widest <= look.width, `${path} is ${widest} px wide`);
        assert.deepEqual(narrowest, [], `${path} has columns that are too narrow to read`);
        assert.equal(wrapped, 0, `${path} breaks lines of code`);
        assert.deepEqual(misplaced, [], path);
        assert.deepEqual(faint, [], path);
      }
    });
  }
});

/** How many tables are wider than their place, so that a column is out of sight. */
const CUT_TABLES = `[...document.querySelectorAll(".tsd-typography table")]
  .filter((table) => table.scrollWidth > table.clientWidth).length` as unknown as () => number;

/** What a reader would have to scroll sideways, or could not read. */
const MEASURES = `({
  widest: document.documentElement.scrollWidth,
  narrowest: [...document.querySelectorAll(".tsd-typography td")]
    .filter((cell) => cell.getAttribute("align") !== "right" && cell.textContent.length > 12)
    .filter((cell) => cell.clientWidth < 90)
    .map((cell) => cell.textContent),
  wrapped: [...document.querySelectorAll(".tsd-typography pre > code")]
    .filter((code) => getComputedStyle(code).whiteSpace !== "pre").length,
})` as unknown as () => { widest: number; narrowest: string[]; wrapped: number };

function leadsSomewhere(page: string, href: string, html: ReadonlyMap<string, string>): boolean {
  if (/^(https?|mailto):/.test(href)) return true;
  const { pathname, hash } = new URL(href, `http://docs/${page}`);
  const target = html.get(decodeURIComponent(pathname.slice(1)));
  if (target === undefined) return false;
  return hash === "" || target.includes(` id="${decodeURIComponent(hash.slice(1))}"`);
}
