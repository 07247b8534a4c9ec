import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FullReport, jsonOf, linesOf, markdownOf, sectionsOf } from "../../bench/support/report.ts";
import { type Estimate, estimateOfDifferences } from "../../src/cli/bench/estimate.ts";
import type { WayFigures } from "../../src/cli/bench/report.ts";
import { largeReport } from "../support/bench-report.ts";

const about = (median: number, least = 0.9, most = 1.1): Estimate => {
  return { median, low: median * least, high: median * most, values: 20, confidence: 0.96 };
};
const wayOf = (name: string, more: Partial<WayFigures> = {}): WayFigures => ({
  name,
  calls: 12_345,
  callsPerSecond: about(60_000),
  rounds: [60_000],
  latency: { calls: 12_345, p50: 0.25, p99: 1.5, max: 2, curve: [] },
  costs: { bytesSent: 108, bytesReceived: 4, clientCpu: 3.5, serverCpu: 4.25, inCommand: 1 },
  ...more,
});
const script = { name: "1 KB", bytes: 1024 };
const REPORT: FullReport = {
  ...largeReport(),
  comparisons: [
    {
      id: "a",
      title: "1 KB script, 64 in flight",
      script,
      inFlight: 64,
      base: "EVAL",
      ways: [
        wayOf("EVAL", { calls: 6789, latency: { calls: 6789, p50: 0.5, max: 1, curve: [] } }),
        wayOf("EVALSHA", { ratios: { callsPerSecond: about(2), serverCpu: about(0.5) } }),
      ],
    },
  ],
  otherWays: [
    {
      id: "b",
      title: "1 KB script, 1,024 in flight",
      script,
      inFlight: 1024,
      base: "EVALSHA",
      ways: [wayOf("EVALSHA"), wayOf("FCALL", { ratios: { callsPerSecond: about(1.01) } })],
    },
  ],
  coldCaches: [
    {
      title: "1 KB script, 64 in flight",
      script,
      inFlight: 64,
      waves: 14,
      evalsha: { warm: about(0.5), cold: about(1.5), ratio: about(3) },
      eval: { warm: about(2.5), cold: about(2.5), ratio: about(1) },
    },
  ],
  prices: [
    { detour: "ASK, followed", pairs: 100, straight: about(90), withDetour: about(250), added: about(160) },
    { detour: "MOVED, followed", pairs: 9, straight: about(90), withDetour: about(85), added: about(-5, 3, -1) },
  ],
  leftOut: ["FCALL, which came with Redis 7: ERR unknown command 'FUNCTION'."],
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

describe("a report", () => {
  it("has ratios with their intervals, the calls behind them, and no quantile of too few calls", () => {
    const text = markdownOf(REPORT);
    const ratio = String.raw`2\.00 \(1\.80 to 2\.20\)`;
    assert.match(text, new RegExp(String.raw`^\| 1 KB +\| +64 \|.* ${ratio} \| 12,345 / 6,789 \|`, "m"));
    assert.match(text, /0\.250 \/ 1\.50 \/ - \| 0\.500 \/ - \/ - \|$/m);
    assert.match(text, /closed loop/);
  });

  it("says where no difference was seen, and what the base is", () => {
    const rows = sectionsOf(REPORT).find(({ id }) => id === "others")?.rows ?? [];
    const ratio = rows[0]?.indexOf("ratio") as number;
    assert.deepEqual(
      rows.slice(1).map((row) => [row[0], row[ratio]]),
      [
        ["EVALSHA", "base"],
        ["FCALL", "1.01 (0.91 to 1.11), no difference seen"],
      ],
    );
  });

  it("has intervals of waves and of detours, of which one can cost nothing", () => {
    const text = markdownOf(REPORT);
    assert.match(text, /\| +14 \| +0\.500 \| +1\.50 \| +3\.00 \(2\.70 to 3\.30\) \|/);
    assert.match(text, /^\| ASK, followed +\| +100 \| .*\| 160 \(144 to 176\) \|$/m);
    assert.match(text, /^\| MOVED, followed +\| +9 \| .*\| +-5 \(-15 to 5\) \|$/m);
  });

  it("says first that the machine was not quiet, and last what was left out", () => {
    const noisy = { quiet: false, reasons: ["Other processes used 0.8 of 2 cores."] };
    const lines = markdownOf({ ...REPORT, quiet: noisy }).split("\n");
    assert.equal(lines[2], "The machine was not quiet: other processes used 0.8 of 2 cores.");
    assert.match(lines.filter((line) => line !== "").at(-1) ?? "", /^Left out: FCALL, which came with Redis 7/);
    assert.doesNotMatch(markdownOf({ ...REPORT, leftOut: [] }), /quiet|Left out/);
  });

  it("has machine, versions and commit", () => {
    const text = markdownOf(REPORT);
    for (const fact of ["commit: abc1234", "node: v20.9.0", "server: Redis 7.0.15"]) {
      assert.ok(text.includes(fact), fact);
    }
  });

  it("has everything in JSON, to five digits", () => {
    const stored = JSON.parse(jsonOf({ ...REPORT, prices: [{ ...REPORT.prices[0], pairs: 1.234567 }] })) as FullReport;
    assert.equal(stored.prices[0]?.pairs, 1.2346);
    assert.equal(stored.format, "slotwire-bench/2");
    assert.deepEqual(stored.environment, REPORT.environment);
    assert.deepEqual(Object.keys(stored).sort(), Object.keys(REPORT).sort());
  });

  it("leaves out what was not measured", () => {
    const text = markdownOf({ ...REPORT, otherWays: [], coldCaches: [], prices: [] });
    assert.doesNotMatch(text, /cold|detour|FCALL runs|NaN|undefined/i);
    const [first] = REPORT.comparisons;
    const bare = first?.ways.map((way) => ({ ...way, costs: {}, ratios: {} })) ?? [];
    const row = markdownOf({ ...REPORT, comparisons: [{ ...first, ways: bare } as never] });
    assert.match(row, /^\| 1 KB +\| +64 \| +- \/ - \|/m);
  });
});

describe("estimateOfDifferences", () => {
  it("gives an interval of values below zero as well, and joins rounds that resemble each other", () => {
    const spread = [-3, 5, -1, 4, 0, 2, -2, 6, 1, 3, -5, 9, -8, 7, -4, 8];
    const { median, low, high } = estimateOfDifferences(spread);
    assert.deepEqual([median, low, high], [1.5, -5, 8]);
    const drifting = Array.from({ length: 24 }, (_, index) => index - 12);
    const joined = estimateOfDifferences(drifting);
    assert.deepEqual([joined.median, joined.low, joined.high], [-0.5, -11.5, 10.5]);
  });
});

describe("texts of a server in a report", () => {
  const hostile = "Redis </pre><script>x</script> ![x](http://x)\n\n# Title | `c` \u202e\x1b[2J\x9b \" ' end";
  const environment = { ...REPORT.environment, server: hostile, cpu: hostile };
  const report = { ...REPORT, environment, leftOut: [hostile] };
  const hidden = /[\p{Cc}\p{Cf}]/u;

  it("are text on one line in Markdown", () => {
    const named = REPORT.comparisons.map((each) => ({ ...each, script: { name: hostile, bytes: 1 } }));
    const text = markdownOf({ ...report, comparisons: named });
    assert.doesNotMatch(text.replaceAll("\n", ""), hidden);
    const lines = text.split("\n").filter((line) => /Redis .*end/.test(line));
    assert.equal(lines.length, 5);
    for (const line of lines) assert.doesNotMatch(line.replaceAll(" | ", " "), /(?<!\\)[<>[\]`#!]|[^\\ ]\|./);
  });

  it("read back from JSON as they were", () => {
    assert.doesNotMatch(jsonOf(report), hidden);
    assert.equal(JSON.parse(jsonOf(report)).environment.server, hostile);
  });
});
