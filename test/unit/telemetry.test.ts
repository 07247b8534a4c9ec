import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { commandNameOf } from "../../src/protocol/command-name.ts";
import { Durations } from "../../src/telemetry/counters.ts";
import { Topology, type TopologyDescription } from "../../src/topology/topology.ts";
import { differenceOf } from "../../src/topology/topology-difference.ts";

describe("Durations", () => {
  it("put a call into the bucket whose upper end is not below it", () => {
    const durations = new Durations();
    for (const ms of [0, 0.1, 0.11, 1, 10_000, 10_000.1]) durations.add("GET", null, ms);
    const [histogram, ...others] = durations.histograms;
    assert.deepEqual(others, []);
    const inBucket = Object.fromEntries(
      (histogram?.counts ?? []).flatMap((count, at) => (count === 0 ? [] : [[histogram?.bounds[at] ?? "more", count]])),
    );
    assert.deepEqual(inBucket, { 0.1: 2, 0.25: 1, 1: 1, 10000: 1, more: 1 });
    assert.equal(histogram?.counts.length, (histogram?.bounds.length ?? 0) + 1);
    assert.equal(histogram?.count, 6);
    assert.ok(Math.abs((histogram?.sum ?? 0) - 20_001.31) < 1e-6);
  });

  it("are kept by command and script", () => {
    const durations = new Durations();
    durations.add("EVALSHA", "a", 1);
    durations.add("EVALSHA", "b", 1);
    durations.add("EVALSHA", "a", 1);
    const kept = durations.histograms.map(({ command, script, count }) => [command, script, count]);
    assert.deepEqual(kept, [
      ["EVALSHA", "a", 2],
      ["EVALSHA", "b", 1],
    ]);
  });

  it("are bounded, whatever names there are", () => {
    const durations = new Durations();
    for (let index = 0; index < 5000; index++) durations.add(`COMMAND${index}`, null, 1);
    const { histograms } = durations;
    assert.equal(histograms.length, 1001);
    assert.deepEqual([histograms.at(-1)?.command, histograms.at(-1)?.count], ["other", 4000]);
  });

  it("give copies", () => {
    const durations = new Durations();
    durations.add("GET", null, 1);
    const [before] = durations.histograms;
    durations.add("GET", null, 1);
    assert.equal(before?.count, 1);
    assert.equal(
      before?.counts.reduce((a, b) => a + b, 0),
      1,
    );
  });
});

describe("commandNameOf", () => {
  for (const [frame, name] of [
    ["*2\r\n$3\r\nget\r\n$1\r\na\r\n", "get"],
    ["*1\r\n$11\r\nFT.ALTERING\r\n", "FT.ALTERING"],
    ["*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n", "MULTI"],
  ] as const) {
    it(`is ${name} of ${JSON.stringify(frame)}`, () => assert.equal(commandNameOf(frame), name));
  }
});

describe("differenceOf", () => {
  const node = (port: number, role: "primary" | "replica" = "primary") =>
    ({
      id: String(port),
      host: "h",
      port,
      role,
      primary: role === "replica" ? "h:1" : undefined,
      health: "online",
    }) as const;
  const topology = (nodes: TopologyDescription["nodes"], slots: TopologyDescription["slots"]) =>
    Topology.from({ nodes, slots });

  it("tells of a node whose health is another one, and of no move", () => {
    const slots = [{ owner: 0, start: 0, end: 99 }];
    const difference = differenceOf(topology([{ ...node(1), health: "fail" }], slots), topology([node(1)], slots));
    assert.deepEqual([difference.changed, difference.moved, difference.added], [["h:1"], [], []]);
  });

  it("tells who came, went and was promoted, and how many slots have another owner", () => {
    const before = topology(
      [node(1), node(2), node(3, "replica")],
      [
        { owner: 0, start: 0, end: 99 },
        { owner: 1, start: 100, end: 199 },
      ],
    );
    const after = topology(
      [node(2), node(3), node(4)],
      [
        { owner: 1, start: 0, end: 99 },
        { owner: 0, start: 100, end: 189 },
      ],
    );
    assert.deepEqual(differenceOf(after, before), {
      nodes: [2, 3, 4].map((port) => ({
        address: `h:${port}`,
        role: "primary",
        id: String(port),
        primary: undefined,
        health: "online",
      })),
      added: ["h:4"],
      removed: ["h:1"],
      promoted: ["h:3"],
      changed: ["h:3"],
      moved: [
        { start: 0, end: 99, from: "h:1", to: "h:3" },
        { start: 190, end: 199, from: "h:2", to: undefined },
      ],
      movedSlots: 110,
      leftOut: [],
    });
  });
});
