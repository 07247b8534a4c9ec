import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawBench } from "../../src/cli/bench/draw-bench.ts";
import type { BenchReport } from "../../src/cli/bench/report.ts";
import { drawCounts, drawMatrix } from "../../src/cli/draw-matrix.ts";
import { columnsOf, cut } from "../../src/cli/draw-text.ts";
import { printable } from "../../src/cli/printable.ts";
import { COLOURS, PLAIN } from "../../src/cli/terminal.ts";

describe("the drawing of who knows which script", () => {
  const scripts = ["acquire", "release", "rate-limit"].map((name, index) => ({ name, sha: String(index).repeat(40) }));
  const nodes = [
    { address: "10.0.0.1:7000", role: "primary", knows: [true, true, false] },
    { address: "10.0.0.1:7003", role: "replica", knows: [true, false, false] },
    { address: "10.0.0.1:7001", role: "primary", knows: "connect ECONNREFUSED" },
  ] as const;

  it("names the scripts where there is room", () => {
    assert.equal(
      drawMatrix({ scripts, nodes }, 80, PLAIN).join("\n"),
      `
                 acquire  release  rate-limit
10.0.0.1:7000    ●        ●        ·
  10.0.0.1:7003  ●        ·        ·
10.0.0.1:7001    ?        ?        ?

● known  · missing  ? no answer

acquire     2 of 3 nodes  0000000000000000000000000000000000000000
release     1 of 3 nodes  1111111111111111111111111111111111111111
rate-limit  0 of 3 nodes  2222222222222222222222222222222222222222
10.0.0.1:7001 did not answer: connect ECONNREFUSED
`.slice(1, -1),
    );
  });

  it("numbers them where there is little, and goes on in another block where there is none", () => {
    assert.equal(
      drawMatrix({ scripts, nodes }, 40, PLAIN).join("\n"),
      `
                 1  2  3
10.0.0.1:7000    ●  ●  ·
  10.0.0.1:7003  ●  ·  ·
10.0.0.1:7001    ?  ?  ?

● known  · missing  ? no answer

1  acquire     2 of 3 nodes  0000000000…
2  release     1 of 3 nodes  1111111111…
3  rate-limit  0 of 3 nodes  2222222222…
10.0.0.1:7001 did not answer: connect E…
`.slice(1, -1),
    );
    const many = Array.from({ length: 30 }, (_, index) => ({ name: `script-${index}`, sha: "a".repeat(40) }));
    const knows = many.map((_, index) => index % 2 === 0);
    const lines = drawMatrix(
      { scripts: many, nodes: [{ address: "10.0.0.1:7000", role: "primary", knows }] },
      60,
      PLAIN,
    );
    assert.equal(
      lines.slice(0, 8).join("\n"),
      `
               1  2  3  4  5  6  7  8  9  10  11  12  13  14
10.0.0.1:7000  ●  ·  ●  ·  ●  ·  ●  ·  ●  ·   ●   ·   ●   ·

               15  16  17  18  19  20  21  22  23  24  25
10.0.0.1:7000  ●   ·   ●   ·   ●   ·   ●   ·   ●   ·   ●

               26  27  28  29  30
10.0.0.1:7000  ·   ●   ·   ●   ·
`.slice(1, -1),
    );
    for (const line of lines) assert.ok(columnsOf(line) <= 60, line);
  });

  it("counts what each node has where no script is named", () => {
    const counts = [
      { address: "10.0.0.1:7000", role: "primary", scripts: 12 },
      { address: "10.0.0.1:7003", role: "replica", scripts: 1 },
      { address: "10.0.0.1:7001", role: "primary", scripts: "connect ECONNREFUSED" },
    ] as const;
    const lines = drawCounts(counts, 48);
    assert.equal(
      lines.slice(0, 4).join("\n"),
      `
10.0.0.1:7000    12 scripts
  10.0.0.1:7003  1 script
10.0.0.1:7001    no answer: connect ECONNREFUSED
`.slice(1),
    );
    assert.match(lines.slice(4).join("\n"), /^Name files, /);
  });

  it("shows a node that lacks a script in another colour", () => {
    const [, first = ""] = drawMatrix({ scripts, nodes }, 80, COLOURS);
    assert.ok(first.includes("\x1b[31m·\x1b[39m"), first);
  });
});

describe("the drawing of a benchmark", () => {
  const estimate = (middle: number, low: number, high: number) => {
    return { median: middle, low, high, values: 12, confidence: 0.95 };
  };
  const latency = { calls: 61_234, p50: 1.987, p99: 4.1, max: 20, curve: [] };
  const report: BenchReport = {
    format: "slotwire-bench/2",
    environment: {
      date: "2026-01-01T00:00:00Z",
      cpu: "CPU",
      cores: 2,
      memoryGiB: 4,
      system: "Linux",
      node: "v20",
      slotwire: "1",
      commit: "unknown",
      server: "Redis 7.0.15",
      setting: "3 primaries on this machine, over loopback",
    },
    quiet: { quiet: true, reasons: [] },
    method: "40 rounds of both ways.",
    comparisons: [
      {
        id: "script",
        title: "quota",
        script: { name: "quota", bytes: 1456 },
        inFlight: 64,
        base: "EVAL",
        ways: [
          {
            name: "EVAL",
            calls: 39_000,
            callsPerSecond: estimate(20_000, 1, 9),
            rounds: [],
            latency,
            costs: { bytesSent: 1530, bytesReceived: 22.4 },
          },
          {
            name: "EVALSHA",
            calls: 61_234,
            callsPerSecond: estimate(30_617.2, 1, 9),
            rounds: [],
            latency: { ...latency, p999: 9.04 },
            costs: { bytesSent: 116, bytesReceived: 22.4 },
            ratios: {
              serverCpu: estimate(0.62, 0.6, 0.64),
              callsPerSecond: estimate(1.531, 1.4, 1.66),
              bytesSent: estimate(0.0758, 0.0758, 0.0758),
              p50: estimate(0.98, 0.91, 1.07),
            },
          },
        ],
      },
    ],
    curves: [],
  };

  it("compares, each ratio with its interval", () => {
    assert.equal(
      drawBench(report, { width: 80, paint: PLAIN, replies: 123_456 }).join("\n"),
      `
3 primaries on this machine, over loopback; Redis 7.0.15
quota has 1,456 bytes; 64 calls in flight

          calls/s   p50 ms   p99 ms  p99.9 ms    sent  received       calls
EVAL       20,000     1.99     4.10         -   1,530        22      39,000
EVALSHA    30,617     1.99     4.10      9.04     116        22      61,234

EVALSHA to EVAL
  calls a second    1.53 (1.40 to 1.66)
  bytes sent        0.076
  server's CPU      0.62 (0.60 to 0.64)
  p50, closed loop  0.98 (0.91 to 1.07), no difference seen

40 rounds of both ways. Bytes are for one call.
123,456 replies were counted, with those of the warm-up; none was wrong.
`.slice(1, -1),
    );
  });

  it("says in the first line that the machine was not quiet", () => {
    const reasons = ["Other processes used 1.0 of 2 cores during the measurement."];
    const lines = drawBench({ ...report, quiet: { quiet: false, reasons } }, { width: 80, paint: PLAIN });
    assert.equal(
      lines.slice(0, 3).join("\n"),
      "The machine was not quiet: other processes used 1.0 of 2 cores during the\nmeasurement.\n",
    );
    for (const line of lines) assert.ok(line.length <= 80, line);
  });
});

describe("text for terminals", () => {
  it("is cut to columns, which colours do not take", () => {
    assert.equal(cut("abcdef", 6), "abcdef");
    assert.equal(cut("abcdef", 5), "abcd…");
    assert.equal(cut("a😀b😀c", 4), "a😀b…");
    assert.equal(cut(`a${COLOURS.strong("bcd")}ef`, 4), `a\x1b[1mbc…\x1b[22m`);
    assert.equal(columnsOf(COLOURS.alarm("abc")), 3);
  });

  it("holds nothing that moves a cursor", () => {
    assert.equal(printable("a\x1b[2J\n\u202eb\u0085ü😀"), "a\\x1b[2J\\x0a\\u{202e}b\\x85ü😀");
  });
});
