import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawBench } from "../../src/cli/draw-bench.ts";
import { drawCounts, drawMatrix } from "../../src/cli/draw-matrix.ts";
import { columnsOf, cut } from "../../src/cli/draw-text.ts";
import { barOf, drawTopology, unownedOf } from "../../src/cli/draw-topology.ts";
import { printable } from "../../src/cli/printable.ts";
import { COLOURS, PLAIN } from "../../src/cli/terminal.ts";
import { Topology, type TopologyDescription } from "../../src/topology/topology.ts";

type Node = TopologyDescription["nodes"][number];

const node = (port: number, primary?: number, more: Partial<Node> = {}): Node => ({
  id: `id-${port}`,
  host: "10.0.0.1",
  port,
  role: primary === undefined ? "primary" : "replica",
  primary: primary === undefined ? undefined : `10.0.0.1:${primary}`,
  health: "online",
  ...more,
});
const reachable = () => undefined;

/** Three primaries, a slot of the last with the first, a hole, a primary without slots, replicas in all states. */
const mixed = Topology.from({
  nodes: [
    node(7000),
    node(7001),
    node(7002),
    node(7003, 7000),
    node(7004, 7001, { health: "fail" }),
    node(7005, 7002, { health: "loading" }),
    node(7006),
    node(7007, 7999),
  ],
  slots: [
    { owner: 1, start: 0, end: 5460 },
    { owner: 0, start: 5461, end: 10_922 },
    { owner: 2, start: 11_000, end: 16_383 },
    { owner: 0, start: 12_182, end: 12_182 },
  ],
});

describe("the drawing of a topology", () => {
  it("has bars in the order of the slots, with nodes, replicas, their health, and slots of nobody", () => {
    const cause = ({ port }: { port: number }) => (port === 7003 ? "connect ECONNREFUSED" : undefined);
    assert.equal(
      drawTopology(mixed, 80, PLAIN, cause).join("\n"),
      `
4 primaries, 4 replicas; 77 slots have no owner

                slots   0                                                 16383
10.0.0.1:7001    5461  │██████████████████░                                    │
                       0-5460
  10.0.0.1:7004        replica, fail
10.0.0.1:7000    5463  │                  ▓█████████████████▓   ░              │
                       5461-10922, 12182
  10.0.0.1:7003        replica, not reachable from here: connect ECONNREFUSED
10.0.0.1:7002    5383  │                                    ░███▓██████████████│
                       11000-12181, 12183-16383
  10.0.0.1:7005        replica, loading
10.0.0.1:7006       0  │                                                       │
                       no slots
nobody             77  │                                    ░                  │
                       10923-10999
10.0.0.1:7007          replica, online
`.slice(1, -1),
    );
  });

  it("fits a narrow terminal, a wide one, and long names", () => {
    assert.equal(
      drawTopology(mixed, 44, PLAIN, reachable).join("\n"),
      `
4 primaries, 4 replicas; 77 slots have no o…

   0                                  16383
10.0.0.1:7001    5461
  │█████████████░                          │
  0-5460
  10.0.0.1:7004        replica, fail
10.0.0.1:7000    5463
  │             ▓████████████▓  ░          │
  5461-10922, 12182
  10.0.0.1:7003        replica, online
10.0.0.1:7002    5383
  │                          ░██▓██████████│
  11000-12181, 12183-16383
  10.0.0.1:7005        replica, loading
10.0.0.1:7006       0
  │                                        │
  no slots
nobody             77
  │                          ░             │
  10923-10999
10.0.0.1:7007          replica, online
`.slice(1, -1),
    );
    const named = Topology.from({
      nodes: [node(6379, undefined, { host: "cache-0001-001.cache.abcdef.euc1.cache.example.com" })],
      slots: [{ owner: 0, start: 0, end: 16_383 }],
    });
    assert.equal(
      drawTopology(named, 80, PLAIN, reachable).join("\n"),
      `
1 primary, 0 replicas; every slot has an owner

   0                                                                      16383
cache-0001-001.cache.abcdef.euc1.cache.example.com:6379   16384
  │████████████████████████████████████████████████████████████████████████████│
  0-16383
`.slice(1, -1),
    );
    for (const width of [40, 60, 80, 200]) {
      for (const topology of [mixed, named]) {
        for (const line of drawTopology(topology, width, COLOURS, reachable)) assert.ok(columnsOf(line) <= width, line);
      }
    }
  });

  it("says that a single server has no cluster mode", () => {
    const single = Topology.from({
      nodes: [node(6379, undefined, { id: "" })],
      slots: [{ owner: 0, start: 0, end: 16_383 }],
    });
    assert.equal(
      drawTopology(single, 80, PLAIN, reachable)[0],
      "10.0.0.1:6379 is a single server without cluster mode: it owns every slot",
    );
  });

  it("shows the least slot in a bar, and fills no cell that is not full", () => {
    assert.equal(barOf([{ start: 0, end: 0 }], 4), "░   ");
    assert.equal(barOf([{ start: 16_383, end: 16_383 }], 4), "   ░");
    assert.equal(barOf([{ start: 0, end: 8190 }], 4), "█▓  ");
    assert.equal(barOf([{ start: 0, end: 16_383 }], 7), "███████");
    assert.equal(barOf([], 3), "   ");
  });

  it("finds the slots of nobody, at both ends as well", () => {
    const topology = Topology.from({ nodes: [node(7000)], slots: [{ owner: 0, start: 1, end: 16_382 }] });
    assert.deepEqual(unownedOf(topology), [
      { start: 0, end: 0 },
      { start: 16_383, end: 16_383 },
    ]);
    assert.deepEqual(unownedOf(Topology.from({ nodes: [], slots: [] })), [{ start: 0, end: 16_383 }]);
  });
});

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
