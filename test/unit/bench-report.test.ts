import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { barChart, curveChart, niceStep } from "../../bench/support/charts.ts";
import type { Measured } from "../../bench/support/comparison.ts";
import { htmlOf } from "../../bench/support/html-report.ts";
import { SITUATIONS } from "../../bench/support/plan.ts";
import { type BenchReport, figureOf, jsonOf, linesOf, markdownOf } from "../../bench/support/report.ts";
import { CURVE_SHARES } from "../../bench/support/statistics.ts";

const measured = (callsPerSecond: number): Measured => ({
  callsPerSecond,
  rounds: [callsPerSecond],
  calls: 1000,
  p50: 0.25,
  p99: 1.5,
  p999: 12.25,
  max: 13,
  curve: CURVE_SHARES.map((_, step) => 0.1 + step / 10),
  bytesInPerCall: 108,
  bytesOutPerCall: 4,
  serverCpuMicroseconds: 3.5,
  commandMicroseconds: 2.25,
});
const REPORT: BenchReport = {
  environment: {
    date: "2026-01-02T03:04:05.678Z",
    cpu: "A <fast> & small CPU",
    cores: 2,
    memoryGiB: 4,
    system: "Linux",
    node: "v20.9.0",
    server: "Redis server v=7.0.15 sha=0:0 malloc=x",
    slotwire: "0.1.0",
    commit: "abc1234",
  },
  method: "On three nodes.",
  comparisons: SITUATIONS.map((situation) => ({ ...situation, evalsha: measured(123_456), eval: measured(61_728) })),
  coldCaches: SITUATIONS.map((situation) => ({
    ...situation,
    evalsha: { warm: 0.5, cold: 1.5 },
    eval: { warm: 2.5, cold: 3.5 },
  })),
  prices: [{ detour: "ASK, followed", straight: 90, withDetour: 250, added: 160, addedFrom: 150, addedTo: 170 }],
};

describe("linesOf", () => {
  it("pads a Markdown table, figures to the right", () => {
    assert.deepEqual(
      linesOf([
        ["script", "n"],
        ["1 KB", "1,000"],
      ]),
      ["| script |     n |", "| ------ | ----: |", "| 1 KB   | 1,000 |"],
    );
  });
});

describe("figureOf", () => {
  it("gives three digits, and whole numbers from 100 on", () => {
    assert.deepEqual([0.01649, 0.5, 2.345, 17.04, 123.4, 308_908.2].map(figureOf), [
      "0.016",
      "0.500",
      "2.35",
      "17.0",
      "123",
      "308,908",
    ]);
  });
});

describe("a report", () => {
  it("has its figures in Markdown, with machine, versions and commit", () => {
    const text = markdownOf(REPORT);
    assert.match(text, /^\| 64 KB, comment \| +1,024 \| +123,456 \| +61,728 \| +2\.00 \| 0\.250 \/ 1\.50 \/ 12\.3 \|/m);
    assert.match(text, /^\| ASK, followed \| +90 \| +250 \| +160 \| +150 to 170 \|$/m);
    for (const fact of ["commit: abc1234", "node: v20.9.0", "server: Redis server v=7.0.15"]) {
      assert.ok(text.includes(fact), fact);
    }
  });

  it("has everything in JSON", () => {
    assert.deepEqual(JSON.parse(jsonOf(REPORT)).comparisons[0].evalsha.rounds, [123_460]);
    assert.deepEqual(JSON.parse(jsonOf(REPORT)).environment, REPORT.environment);
  });

  it("is one page below 300 KB that asks the network for nothing", () => {
    const page = htmlOf(REPORT);
    assert.ok(Buffer.byteLength(page) < 300_000, String(Buffer.byteLength(page)));
    assert.doesNotMatch(page, /https?:|<script|<link|@import|url\(|\bsrc=/);
    assert.match(page, /<meta name="viewport"/);
    assert.match(page, /prefers-color-scheme: dark/);
  });

  it("tells every chart in words, keeps a table beside them, and escapes what it was given", () => {
    const page = htmlOf(REPORT);
    const drawings = page.match(/<svg [^>]*>/g) ?? [];
    const told = drawings.filter((each) => /role="img" aria-label="[^"]{40,}"/.test(each));
    assert.equal(told.length, 3 + 6 + 3 + 3 + 1);
    assert.ok(drawings.every((each) => told.includes(each) || each.includes('aria-hidden="true"')));
    assert.equal(page.match(/<div class="wide" tabindex="0"/g)?.length, 4);
    assert.ok(page.includes("A &#60;fast&#62; &#38; small CPU"));
    assert.doesNotMatch(page, /<fast>|NaN|undefined|Infinity/);
  });

  it("leaves out what was not measured", () => {
    const text = markdownOf({ ...REPORT, coldCaches: [], prices: [] });
    assert.doesNotMatch(text, /cold|detour/i);
    assert.doesNotMatch(htmlOf({ ...REPORT, coldCaches: [], prices: [] }), /NaN|Infinity|Table: Warm/);
  });
});

describe("charts", () => {
  it("draw bars as high as their values", () => {
    const chart = barChart([{ label: "x", values: [50, 100] }], ["a", "b"], "told");
    const heights = [...chart.matchAll(/<rect [^>]*height="([\d.]+)"/g)].map(([, height]) => Number(height));
    assert.equal(heights.length, 2);
    assert.equal((heights[1] as number) / (heights[0] as number), 2);
  });

  it("draw slower calls higher", () => {
    const curve = (factor: number) => CURVE_SHARES.map((_, step) => factor * (1 + step));
    const chart = curveChart(
      [
        { style: "a", points: curve(1) },
        { style: "b", points: curve(10) },
      ],
      "told",
    );
    const [fast, slow] = [...chart.matchAll(/ line" d="M[\d.]+ ([\d.]+)L/g)].map(([, y]) => Number(y)) as [
      number,
      number,
    ];
    assert.ok(slow < fast, `${slow} is above ${fast}`);
  });

  it("have steps of 1, 2 or 5", () => {
    assert.deepEqual([0.011, 0.1, 3, 6, 45_000].map(niceStep), [0.02, 0.1, 5, 10, 50_000]);
  });
});

describe("texts of a server in a report", () => {
  const hostile = "Redis </pre><script>x</script> ![x](http://x)\n\n# Title | `c` \u202e\x1b[2J\x9b \" ' end";
  const report = { ...REPORT, environment: { ...REPORT.environment, server: hostile, cpu: hostile } };
  const hidden = /[\p{Cc}\p{Cf}]/u;

  it("are text in HTML", () => {
    const page = htmlOf(report);
    assert.doesNotMatch(page, /<script|<\/script/);
    assert.doesNotMatch(page.replaceAll("\n", ""), hidden);
  });

  it("are text on one line in Markdown", () => {
    const text = markdownOf(report);
    assert.doesNotMatch(text.replaceAll("\n", ""), hidden);
    const line = text.split("\n").find((each) => each.startsWith("- server: ")) ?? "";
    assert.ok(line.endsWith("end"), line);
    assert.doesNotMatch(line, /(?<!\\)[<>[\]`|#!]/);
  });

  it("read back from JSON as they were", () => {
    assert.doesNotMatch(jsonOf(report), hidden);
    assert.equal(JSON.parse(jsonOf(report)).environment.server, hostile);
  });
});
