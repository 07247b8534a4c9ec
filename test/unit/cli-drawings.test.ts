import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawBench } from "../../src/cli/draw-bench.ts";
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
  it("compares", () => {
    const figures = { calls: 61_234, callsPerSecond: 30_617.2, p50: 1.987, p99: 4.1, bytesReceivedPerCall: 22.4 };
    const result = {
      primaries: 3,
      inFlight: 64,
      seconds: 2,
      script: { name: "quota", bytes: 456 },
      replies: 123_456,
      evalsha: { ...figures, bytesSentPerCall: 116 },
      eval: { ...figures, callsPerSecond: 20_000, bytesSentPerCall: 1530 },
    };
    assert.equal(
      drawBench(result, PLAIN).join("\n"),
      `
3 primaries, 64 calls in flight, 2 s each; quota has 456 bytes

           calls/s   p50 ms   p99 ms    sent  received
EVALSHA     30,617     1.99     4.10     116        22
EVAL        20,000     1.99     4.10   1,530        22

EVALSHA: 1.53 times the calls a second, 8 % of the bytes sent.
123,456 replies were counted, with those of the warm-up; none was wrong.
`.slice(1, -1),
    );
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
