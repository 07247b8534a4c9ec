import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { clientsPageOf } from "../../bench/clients/page.ts";
import { pageOf } from "../../src/cli/bench/page.ts";
import type { PageSection } from "../../src/cli/bench/page-parts.ts";
import {
  clientsReport,
  comparisonOf,
  curveOf,
  ENVIRONMENT,
  largeReport,
  reportOf,
  smallReport,
} from "../support/bench-report.ts";
import { faultsOf, NO_BROWSER, openBrowser, openPage } from "../support/browser.ts";

const LOOKS = [
  { width: 1440, colorScheme: "light" },
  { width: 1440, colorScheme: "dark" },
  { width: 390, colorScheme: "light" },
  { width: 390, colorScheme: "dark" },
] as const;
const NONE = { misplaced: [], faint: [], mute: [] };
const NOISY = { quiet: false, reasons: ["Other processes used 0.8 of 2 cores."] };
const HOSTILE = `</title></style></pre><script>document.title="run"</script><img src=//x.invalid/y>"'&\u202e${"long".repeat(20)}`;
const CURVES = [curveOf("EVALSHA", 95_000), curveOf("EVAL", 60_000)];
const SECTION: PageSection = {
  title: "Warm and cold",
  note: "Milliseconds for a wave.",
  charts: [
    {
      title: "A wave",
      unit: "ms",
      kind: "bars",
      scale: "linear",
      series: ["warm", "cold"],
      groups: [
        {
          rows: [
            {
              name: "1 KB",
              said: "1.5 / 2.5",
              marks: [0, 1].map((series) => ({ series, value: { median: 1.5 + series } })),
            },
          ],
        },
      ],
    },
  ],
  rows: [
    ["script", "warm", "cold"],
    ["1 KB", "1.5", "2.5"],
  ],
};
const hostile = { name: HOSTILE, bytes: 3000 };
const PAGES: Readonly<Record<string, string>> = {
  "one script": pageOf(smallReport()),
  "many situations": pageOf(largeReport({ quiet: NOISY, curves: CURVES }), { sections: [SECTION] }),
  "hostile names": pageOf(
    reportOf([{ ...comparisonOf(hostile, 8, { rate: 9000, factor: 0.99 }), title: HOSTILE }], {
      environment: { ...ENVIRONMENT, server: HOSTILE, cpu: HOSTILE },
      quiet: { quiet: false, reasons: [HOSTILE] },
      method: HOSTILE,
      curves: [{ ...curveOf("EVALSHA", 1e5), script: hostile }],
    }),
    {
      title: HOSTILE,
      sections: [{ ...SECTION, title: HOSTILE, note: HOSTILE, rows: [[HOSTILE], [HOSTILE, HOSTILE]] }],
    },
  ),
  clients: clientsPageOf(
    clientsReport({
      quiet: NOISY,
      curves: ["slotwire", "floor", "ioredis", "node-redis"].map((name, index) => curveOf(name, 1e5 / (index + 1))),
    }),
  ),
};

describe("the pages of benchmarks", { skip: NO_BROWSER }, () => {
  let browser: Browser;
  const folder = mkdtempSync(join(tmpdir(), "slotwire-bench-pages-"));
  const open = async (name: string, look: (typeof LOOKS)[number]) => {
    const file = join(folder, `${name.replaceAll(" ", "-")}.html`);
    writeFileSync(file, PAGES[name] as string);
    return openPage(browser, pathToFileURL(file).href, look);
  };
  before(async () => {
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });

  for (const name of Object.keys(PAGES)) {
    it(`can be read by everybody, and ask nobody for anything: ${name}`, async () => {
      for (const look of LOOKS) {
        const { page, problems, requests, close } = await open(name, look);
        const where = `${name} at ${look.width} px, ${look.colorScheme}`;
        for (const summary of await page.locator("summary").all()) await summary.click();
        assert.deepEqual(await faultsOf(page), NONE, where);
        assert.deepEqual(await page.evaluate(OUTSIDE), [], where);
        if (look.width === 1440 && name !== "hostile names")
          assert.deepEqual(await page.evaluate(CUT_TABLES), [], where);
        assert.deepEqual([problems, requests], [[], []], where);
        await close();
      }
    });
  }

  it("answer on the first screen of a phone, and say at once that a machine was not quiet", async () => {
    const { page, close } = await open("many situations", LOOKS[2]);
    const answer = await page.locator(".answer").boundingBox();
    const noise = await page.getByText("The machine was not quiet: other processes used 0.8 of 2 cores.").boundingBox();
    await close();
    assert.ok(answer !== null && noise !== null, "both are there");
    assert.ok(noise.y < answer.y && answer.y < 300, `${noise.y} < ${answer.y}`);
  });

  it("keep the names of rows in sight when a table is scrolled on a phone", async () => {
    for (const name of ["many situations", "clients"]) {
      const { page, close } = await open(name, LOOKS[2]);
      for (const summary of await page.locator("summary").all()) await summary.click();
      const seen = await page.evaluate(SCROLLED_NAMES);
      await close();
      assert.ok(seen.scrolled > 0, `${name} has a table that scrolls`);
      assert.deepEqual(seen.lost, [], name);
    }
  });

  it("put what is more than the base to the right of the line, on one axis for all rows", async () => {
    const { page, close } = await open("one script", LOOKS[0]);
    const marks = await page.evaluate(MARKS);
    await close();
    const metrics = ["bytes received", "bytes sent", "calls a second", "client's CPU", "in the command"];
    assert.deepEqual(Object.keys(marks).sort(), [...metrics, "p50, closed loop", "p99, closed loop", "server's CPU"]);
    assert.ok((marks["calls a second"] as number) > 5, JSON.stringify(marks));
    assert.ok((marks["bytes sent"] as number) < -5 && (marks["server's CPU"] as number) < -5, JSON.stringify(marks));
    assert.ok(Math.abs(marks["bytes received"] as number) < 1, JSON.stringify(marks));
  });

  it("draw bars of clients on one axis, and say what each is", async () => {
    const { page, close } = await open("clients", LOOKS[0]);
    const bars = await page.evaluate(BARS);
    await close();
    const [first] = bars;
    assert.ok(first !== undefined && bars.length > 4, JSON.stringify(bars));
    for (const { said, width } of bars) {
      assert.ok(Math.abs(width / first.width - said / first.said) < 0.02, JSON.stringify([first, said, width]));
    }
  });

  it("show what they were given as text", async () => {
    const { page, close } = await open("hostile names", LOOKS[0]);
    const title = await page.title();
    const elements = await page.evaluate("document.querySelectorAll('script, img, iframe, link').length");
    await close();
    assert.match(title, /^<\/title><\/style><\/pre><script>/);
    assert.equal(elements, 0);
  });
});

/** Marks and lines that leave their drawing. */
const OUTSIDE = `[...document.querySelectorAll("svg.curve, td.strip > svg")].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("circle, rect, path, line, text")].filter((shape) => {
    const box = shape.getBoundingClientRect();
    return box.left < frame.left - 1.5 || box.right > frame.right + 1.5 || box.top < frame.top - 1.5 || box.bottom > frame.bottom + 1.5;
  }).map((shape) => shape.outerHTML.slice(0, 120));
})` as unknown as () => string[];

/** Tables that are wider than their place on a wide screen. */
const CUT_TABLES = `[...document.querySelectorAll(".wide")].filter((each) => each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.getAttribute("aria-label"))` as unknown as () => string[];

/** Scrolls every table to its end, and looks what is on top where its names ought to be. */
const SCROLLED_NAMES = `(() => {
  const lost = [];
  let scrolled = 0;
  for (const wide of document.querySelectorAll(".wide")) {
    wide.scrollIntoView();
    wide.scrollLeft = 1e5;
    if (wide.scrollLeft === 0) continue;
    scrolled++;
    const names = [...wide.querySelectorAll("tbody th")].slice(0, 3);
    for (const name of names) {
      const { left, right, top, bottom } = name.getBoundingClientRect();
      const there = document.elementFromPoint(left + 4, (top + bottom) / 2);
      if (left < 0 || right > innerWidth || (there !== name && !name.contains(there))) lost.push(name.textContent);
    }
  }
  return { scrolled, lost };
})()` as unknown as () => { scrolled: number; lost: string[] };

/** How many pixels right of the line the mark of each ratio is, by the row's name. */
const MARKS = `Object.fromEntries([...document.querySelector(".rows").querySelectorAll("tr")].flatMap((row) => {
  const line = row.querySelector(".one");
  const mark = row.querySelector("svg svg circle");
  if (line === null || mark === null) return [];
  const middle = (box) => (box.left + box.right) / 2;
  return [[row.querySelector("th").textContent, middle(mark.getBoundingClientRect()) - middle(line.getBoundingClientRect())]];
}))` as unknown as () => Record<string, number>;

/** The bars of the first chart of bars: the figure beside them, and their width. */
const BARS = `[...document.querySelector(".pairs .rows").querySelectorAll("tr")].flatMap((row) => {
  const bar = row.querySelector("rect");
  if (bar === null) return [];
  const said = Number(row.querySelector(".said").textContent.replaceAll(",", "").split(" ")[0]);
  return [{ said, width: bar.getBoundingClientRect().width }];
})` as unknown as () => { said: number; width: number }[];
