import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clientsPageOf } from "../../bench/clients/page.ts";
import { type Estimate, estimateOf } from "../../src/cli/bench/estimate.ts";
import { pageOf } from "../../src/cli/bench/page.ts";
import { answersOf } from "../../src/cli/bench/page-answer.ts";
import { axisOf, niceStep } from "../../src/cli/bench/page-axis.ts";
import { factorOf, figureOf, intervalText, percentOf, ratioText, shortOf } from "../../src/cli/bench/page-words.ts";
import type { BenchReport } from "../../src/cli/bench/report.ts";
import { clientsReport, curveOf, largeReport, reportOf, smallReport } from "../support/bench-report.ts";

const about = (median: number, low: number, high: number): Estimate => {
  return { median, low, high, values: 20, confidence: 0.96 };
};
/** The small report with other ratios. */
const withRatios = (ratios: Record<string, Estimate>, report: BenchReport = smallReport()): BenchReport => {
  const [comparison] = report.comparisons;
  if (comparison === undefined) throw new Error("no comparison");
  const ways = comparison.ways.map((way) => (way.ratios === undefined ? way : { ...way, ratios }));
  return reportOf([{ ...comparison, ways }]);
};
const sentences = (ratios: Record<string, Estimate>) => answersOf(withRatios(ratios)).flatMap((each) => each.sentences);

describe("the answer of a benchmark", () => {
  it("names the script, the load, and what EVALSHA saves", () => {
    const ratios = {
      callsPerSecond: about(2.41, 2.05, 3.18),
      bytesSent: about(0.09, 0.09, 0.09),
      serverCpu: about(0.5, 0.42, 0.61),
    };
    assert.deepEqual(answersOf(withRatios(ratios)), [
      {
        about: "The script take.lua of 1,024 bytes, 64 calls in flight:",
        sentences: [
          "EVALSHA makes 2.41 times the calls a second of EVAL (2.05 to 3.18).",
          "EVALSHA needs 9% of the bytes sent.",
          "EVALSHA needs half the servers' CPU a call (42% to 61%).",
        ],
      },
    ]);
  });

  it("sees no difference where an interval spans 1", () => {
    assert.deepEqual(sentences({ callsPerSecond: about(1.07, 0.97, 1.2), serverCpu: about(0.98, 0.9, 1.02) }), [
      "No difference in calls a second was seen between EVALSHA and EVAL: 1.07 (0.97 to 1.20) times.",
      "No difference in servers' CPU was seen: 0.98 (0.90 to 1.02) times.",
    ]);
  });

  it("says so when EVALSHA is worse", () => {
    assert.deepEqual(sentences({ callsPerSecond: about(0.8, 0.7, 0.9), bytesSent: about(1.3, 1.3, 1.3) }), [
      "EVALSHA makes 0.80 times the calls a second of EVAL (0.70 to 0.90).",
      "EVALSHA needs 1.30 times the bytes sent.",
    ]);
  });

  it("leaves out what was not measured", () => {
    const unknown = { ...about(1, 1, 1), median: null, low: null, high: null } as unknown as Estimate;
    assert.deepEqual(sentences({ serverCpu: unknown, callsPerSecond: estimateOf([]) }), []);
    assert.deepEqual(answersOf(reportOf([])), []);
  });

  it("is a range over many situations, with the situations in which nothing was seen", () => {
    const [answer, ...others] = answersOf(largeReport());
    assert.equal(others.length, 0);
    assert.equal(answer?.about, "EVALSHA against EVAL, 12 situations:");
    const [range = "", ends = "", unclear = ""] = answer?.sentences ?? [];
    assert.match(range, /^EVALSHA makes [\d.]+ to [\d.]+ times the calls a second of EVAL\.$/);
    assert.match(ends, /^Least with 100 B script, .*, no difference seen\. Most with 64 KB script, /);
    assert.match(unclear, /^No difference in calls a second was seen in \d+ of 12 situations\.$/);
  });
});

describe("the page of a report", () => {
  it("is one file without scripts that asks the network for nothing", () => {
    for (const page of [
      pageOf(smallReport()),
      pageOf(largeReport({ curves: [curveOf("EVALSHA", 9e4)] })),
      clientsPageOf(clientsReport()),
    ]) {
      assert.doesNotMatch(page, /https?:|<script|<link|@import|url\(|\bsrc=|NaN|undefined|Infinity/);
      assert.ok(Buffer.byteLength(page) < 400_000, String(Buffer.byteLength(page)));
    }
  });

  it("says before all figures that the machine was not quiet, and that there were few rounds", () => {
    const few = { callsPerSecond: estimateOf([2, 2.1, 2.2]) };
    const [comparison] = withRatios(few).comparisons;
    const page = pageOf({
      ...reportOf(comparison === undefined ? [] : [comparison]),
      quiet: { quiet: false, reasons: ["Other processes used 0.8 of 2 cores."] },
    });
    const noise = page.indexOf("The machine was not quiet: other processes used 0.8 of 2 cores.");
    assert.ok(noise > 0 && noise < page.indexOf("EVALSHA makes"), String(noise));
    const share = Math.floor(few.callsPerSecond.confidence * 100);
    assert.ok(share < 95, String(share));
    assert.ok(page.includes(`There were few rounds: an interval holds the true value in ${share} of 100 runs`), "few");
    assert.doesNotMatch(pageOf(smallReport()), /class="noisy"/);
  });

  it("says that latencies are those of a closed loop, and how many calls there were", () => {
    const page = pageOf(smallReport());
    assert.match(page, /Closed loop: from a caller&#39;s call to its reply/);
    const { calls } = smallReport().comparisons[0]?.ways[0] ?? { calls: 0 };
    assert.ok(page.includes(`<td>${calls.toLocaleString("en")}</td>`), String(calls));
  });

  it("has a dash for a quantile that rests on too few calls", () => {
    const [comparison] = smallReport().comparisons;
    if (comparison === undefined) throw new Error("no comparison");
    const ways = comparison.ways.map((way) => ({ ...way, latency: { calls: 9, max: 3, curve: [] } }));
    const page = pageOf(reportOf([{ ...comparison, ways }]));
    assert.match(page, /<td>-<\/td><td>-<\/td><td>-<\/td><td>3\.00<\/td>/);
  });

  it("tells every drawing in words", () => {
    const page = pageOf(largeReport({ curves: [curveOf("EVALSHA", 95_000), curveOf("EVAL", 60_000)] }));
    const told = [...page.matchAll(/role="img" aria-label="([^"]*)"/g)].map(([, text = ""]) => text);
    // One drawing for each row of ratios, one curve for each situation, and four charts of rates.
    assert.equal(told.length, 12 + 12 + 4);
    assert.match(told[3] ?? "", /^calls a second: [\d.]+ \([\d.]+ to [\d.]+\); bytes sent: .*; server&#39;s CPU: /);
    assert.match(
      told.at(-4) ?? "",
      /^p50 by calls a second\. EVALSHA: .* ms at 10k\/s, .*; not held at 90k\/s\. EVAL: /,
    );
  });

  it("keeps the report for programs", () => {
    const page = pageOf(smallReport(), { raw: { own: "</pre>\u202e", share: 0.123456789 } });
    assert.ok(
      page.includes("{&#34;own&#34;:&#34;&#60;/pre&#62;\\u202e&#34;,&#34;share&#34;:0.12346}"),
      page.slice(-300),
    );
  });

  it("draws rates alone, when nothing else was measured", () => {
    const page = pageOf(reportOf([], { curves: [curveOf("EVALSHA", 90_000)] }));
    assert.match(page, /<h1>Latency by rate: EVALSHA<\/h1>/);
    // The knee lies between two rates, and is not one of them.
    assert.match(
      page,
      /EVALSHA holds 80,000 calls a second, and not 90,000: the p99 is far above that of lower rates\./,
    );
    assert.equal([...page.matchAll(/<td>yes<\/td>/g)].length, 5);
    assert.equal([...page.matchAll(/<td>no: the p99 is far above that of lower rates<\/td>/g)].length, 3);
  });

  it("draws a way in one colour, whichever way was measured first", () => {
    const page = pageOf(smallReport({ curves: [curveOf("EVAL", 60_000), curveOf("EVALSHA", 95_000)] }));
    const styles = [
      ...page.matchAll(/<path class="line (s\d)"[^>]*><\/svg>(EVAL\w*)|knee (s\d)[^>]*><text[^>]*>(EVAL\w*):/g),
    ];
    const found = new Set(styles.map(([, line, name, knee, other]) => `${name ?? other} ${line ?? knee}`));
    assert.deepEqual([...found].sort(), ["EVAL s1", "EVALSHA s0"]);
  });

  it("gives charts of as many calls in flight the same axes", () => {
    const page = pageOf(largeReport());
    const ticks = [...page.matchAll(/<svg class="curve".*?<\/svg>/gs)].map(([chart]) => {
      return [...chart.matchAll(/<text [^>]*>([^<]*)/g)].map(([, text]) => text).join(" ");
    });
    assert.equal(ticks.length, 12);
    for (const load of [0, 4, 8]) assert.equal(new Set(ticks.slice(load, load + 4)).size, 1, String(ticks));
  });
});

describe("axes", () => {
  const values = [0.0016, 0.4, 42];

  it("hold every value, and few ticks", () => {
    for (const scale of ["linear", "logarithmic"] as const) {
      for (const own of [values, [1], [0.999, 1.001], [1e-9, 1e9], [5, 5.5, 6]]) {
        const { at, ticks } = axisOf(own, scale);
        for (const value of [...own, ...ticks]) assert.ok(at(value) >= 0 && at(value) <= 1, `${value} of ${own}`);
        assert.ok(ticks.length >= 1 && ticks.length <= 7, `${ticks} for ${own}`);
      }
    }
  });

  it("keep factors the same width", () => {
    const { at } = axisOf(values, "logarithmic");
    assert.ok(Math.abs(at(4) - at(2) - (at(0.02) - at(0.01))) < 1e-9, "logarithmic");
    const { at: bars } = axisOf([50, 100], "linear");
    assert.equal(bars(100) / bars(50), 2);
  });

  it("do not magnify small differences", () => {
    const { at } = axisOf([0.99, 1.01], "logarithmic");
    assert.ok(at(1.01) - at(0.99) < 0.02, String(at(1.01) - at(0.99)));
  });

  it("survive values that cannot be drawn", () => {
    const { at } = axisOf([0, -1, Number.NaN, Number.POSITIVE_INFINITY], "logarithmic");
    assert.ok(Number.isFinite(at(1)), "finite");
    assert.equal(axisOf([], "linear").at(0), 0);
  });

  it("have steps of 1, 2 or 5", () => {
    assert.deepEqual([0.011, 0.1, 3, 6, 45_000].map(niceStep), [0.02, 0.1, 5, 10, 50_000]);
  });
});

describe("figures of a page", () => {
  it("have as many digits as are known", () => {
    assert.deepEqual([0.0164, 0.5, 2.345, 17.04, 123.4, 308_908.2, 0].map(figureOf), [
      "0.016",
      "0.500",
      "2.35",
      "17.0",
      "123",
      "308,908",
      "0",
    ]);
    assert.deepEqual([0.00161, 0.05, 0.98, 42.75, 1234.5].map(factorOf), ["0.0016", "0.050", "0.98", "42.8", "1,235"]);
    assert.deepEqual([0.0015, 0.096, 0.5].map(percentOf), ["0.15%", "9.6%", "50%"]);
    assert.deepEqual([0.5, 250_000, 1.5e6].map(shortOf), ["0.5", "250k", "1.5M"]);
    assert.equal(intervalText(about(223_779, 213_495, 227_313)), "224,000 (213,000 to 227,000)");
  });

  it("say what a ratio does not say", () => {
    assert.equal(ratioText(about(2.41, 2.05, 3.18)), "2.41 (2.05 to 3.18)");
    assert.equal(ratioText(about(0.98, 0.91, 1.07)), "0.98 (0.91 to 1.07), no difference seen");
    assert.equal(ratioText(about(1, 1, 1)), "1.00, the same");
  });
});
