import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawSlots } from "../../src/cli/draw-slot.ts";
import { columnsOf, wrapped } from "../../src/cli/draw-text.ts";
import { barOf, drawTopology } from "../../src/cli/draw-topology.ts";
import { ownershipOf } from "../../src/cli/slot.ts";
import { conditionOf } from "../../src/cli/study/condition.ts";
import type { ServerState } from "../../src/cli/study/events.ts";
import { COLOURS, type Paint, PLAIN } from "../../src/cli/terminal.ts";

const state = (name: string, port: number, more: Partial<ServerState> = {}): ServerState => ({
  address: `10.0.0.1:${port}`,
  name,
  id: `id-${port}`,
  role: name.length > 1 ? "replica" : "primary",
  primary: name.length > 1 ? (name[0] as string) : null,
  error: null,
  health: "online",
  state: "ok",
  currentEpoch: 9,
  configEpoch: name.charCodeAt(0) - 64,
  slots: [],
  open: [],
  suspects: {},
  disagrees: [],
  unknown: [],
  meeting: [],
  keys: 0,
  keysBySlot: {},
  scripts: {},
  ...more,
});
const silent = { role: null, error: "connect ECONNREFUSED", state: null, keys: null, health: "fail" } as const;
const [A, B, C] = [
  [{ start: 0, end: 5460 }],
  [
    { start: 5461, end: 10_922 },
    { start: 12_182, end: 12_182 },
  ],
  [
    { start: 10_923, end: 12_181 },
    { start: 12_183, end: 16_383 },
  ],
] as const;
const healthy = [
  state("A", 7001, { slots: A }),
  state("A1", 7004),
  state("B", 7000, { slots: B }),
  state("B1", 7003),
  state("C", 7002, { slots: C }),
  state("C1", 7005, { health: "loading" }),
];
const changed = (change: Readonly<Record<string, Partial<ServerState>>>) => {
  return healthy.map((each) => ({ ...each, ...change[each.name] }));
};
const draw = (states: readonly ServerState[], width: number, paint: Paint = PLAIN) => {
  return drawTopology({ states, condition: conditionOf(states), advice: "To end the move: pray." }, width, paint);
};
const below = (states: readonly ServerState[], width = 80) => {
  const text = draw(states, width).join("\n");
  return text.slice(text.search(/\n\n(Not served|Open slots|The nodes disagree)/) + 2);
};
/** Everything that can be wrong at once. */
const broken = changed({
  A: {
    slots: [{ start: 0, end: 5400 }],
    open: [{ slot: 5, kind: "migrating", peer: "B" }],
    keysBySlot: { 5: 1 },
    state: "fail",
    disagrees: [{ slots: { start: 5461, end: 5470 }, says: "C", is: "B" }],
    unknown: ["C1"],
    meeting: ["10.0.0.1:7009"],
  },
  A1: { error: "CLUSTER NODES is refused, so its open slots and epochs are not known (NOPERM)" },
  B1: { ...silent, suspects: {} },
  C: { ...silent },
  C1: { suspects: { C: "fail?" } },
  B: { suspects: { C: "fail", B1: "fail?" } },
});

describe("names that are wider than the terminal", () => {
  const host = "a-rather-long-hostname.of-a-cluster.example.com";
  const named = healthy.map((each) => ({ ...each, address: each.address.replace("10.0.0.1", host) }));
  it("are broken, and neither the port nor the number of slots is cut", () => {
    for (const width of [20, 40, 60]) {
      const lines = draw(named, width);
      const text = lines.join("").replace(/\s/g, "");
      for (const each of named) assert.ok(text.includes(each.address), `${width}: ${lines.join("\n")}`);
      assert.ok(!lines.some((line) => line.includes("…") || columnsOf(line) > width), lines.join("\n"));
      assert.ok(/\b5461\b/.test(lines.join("\n")), lines.join("\n"));
    }
  });
  it("of nodes of which none answered do not agree", () => {
    const text = draw(
      healthy.map((each) => ({ ...each, ...silent })),
      80,
    ).join("\n");
    assert.match(text, /0 of 6 answered\.$/m);
  });
});

describe("the drawing of a topology", () => {
  it("has bars in the order of the slots, with names, replicas and their health", () => {
    assert.equal(
      draw(healthy, 80).join("\n"),
      `
3 primaries, 3 replicas; every slot is served
Each node was asked for its own view: all 6 answered, and they agree.

                  slots   0                                               16383
A   10.0.0.1:7001  5461  │█████████████████▓                                   │
                         0-5460
A1  10.0.0.1:7004        replica, online
B   10.0.0.1:7000  5463  │                 ░█████████████████░   ░             │
                         5461-10922, 12182
B1  10.0.0.1:7003        replica, online
C   10.0.0.1:7002  5460  │                                   ▓███▓█████████████│
                         10923-12181, 12183-16383
C1  10.0.0.1:7005        replica, loading
`.slice(1, -1),
    );
  });

  it("puts bars below the names in a narrow terminal", () => {
    assert.equal(
      draw(healthy, 40).slice(0, 10).join("\n"),
      `
3 primaries, 3 replicas; every slot is
served
Each node was asked for its own view:
all 6 answered, and they agree.

   0                              16383
A   10.0.0.1:7001  5461
  │███████████▓                        │
  0-5460
A1  10.0.0.1:7004  replica, online
`.slice(1, -1),
    );
    const address = "cache-0001-001.cache.abcdef.euc1.cache.example.com:6379";
    const [, , , , row, bar] = draw([state("A", 1, { address, slots: [{ start: 0, end: 16_383 }] })], 80);
    assert.equal(row, `A  ${address} 16384`);
    assert.match(bar as string, /^ {2}│█{76}│$/);
  });

  it("tells what is wrong in lines that fit, and cuts none of it", () => {
    for (const width of [40, 80, 120, 200]) {
      const plain = draw(broken, width);
      for (const line of plain) assert.ok(columnsOf(line) <= width, `${width}: ${line}`);
      const words = plain.join(" ").replace(/\s+/g, " ");
      for (const said of [
        "not reachable from here: connect ECONNREFUSED",
        "its own cluster_state is fail",
        "FAIL by B",
        "PFAIL by C1",
        "still in a handshake with 10.0.0.1:7009",
        "CLUSTER NODES is refused, so its open slots and epochs are not known (NOPERM)",
        "To end the move: pray.",
        "4 of 6 answered",
      ]) {
        assert.ok(words.includes(said), `${width}: ${said}\n${plain.join("\n")}`);
      }
    }
    const failed = "3 primaries (1 failed), 3 replicas (1 failed); 10921 of 16384 slots are not served";
    assert.equal(draw(broken, 120)[0], failed);
    assert.equal(
      below(broken),
      `
Not served
  0-5400                    A answers CLUSTERDOWN, because its own cluster_state
                            is fail
  5401-5460                 no node takes them for its own
  10923-12181, 12183-16383  C has failed, and C1 has not taken over

Open slots
  5  A (1 key) is migrating it to B, which is not importing it: a call for a
     missing key is sent to and fro
  To end the move: pray.

The nodes disagree
  5461-5470  A1, B and C1 say B (epoch 2); A says C (epoch 3); the owner is B,
             by its own word
  C1         A does not know it
`.slice(1, -1),
    );
  });

  it("gives each name its colour, wherever it stands, and none without colours", () => {
    const hues = (states: readonly ServerState[], name: string) => {
      const line = draw(states, 100, COLOURS).find((each) => each.includes(`m${name} `)) ?? "";
      return /38;5;(\d+)m/.exec(line)?.[1];
    };
    const moved = changed({ A: { slots: C }, C: { slots: A } });
    for (const name of ["A", "B", "C"]) {
      assert.notEqual(hues(healthy, name), undefined, name);
      assert.equal(hues(healthy, name), hues(moved, name), name);
      assert.equal(hues(healthy, name), hues(healthy, `${name}1`), name);
    }
    assert.equal(new Set(["A", "B", "C"].map((name) => hues(healthy, name))).size, 3);
    assert.ok(!draw(broken, 80).join("").includes("\x1b"));
    assert.deepEqual(draw(broken, 80, COLOURS).map(columnsOf), draw(broken, 80).map(columnsOf));
  });

  it("says that a single server has no cluster mode", () => {
    const single = state("A", 6379, { id: "", slots: [{ start: 0, end: 16_383 }] });
    assert.equal(draw([single], 80)[0], "10.0.0.1:6379 is a single server without cluster mode: it owns every slot");
    assert.equal(conditionOf([single]).trouble, null);
  });

  it("shows the least slot in a bar, and fills no cell that is not full", () => {
    assert.equal(barOf([{ start: 0, end: 0 }], 4), "░   ");
    assert.equal(barOf([{ start: 16_383, end: 16_383 }], 4), "   ░");
    assert.equal(barOf([{ start: 0, end: 8190 }], 4), "█▓  ");
    assert.equal(barOf([{ start: 0, end: 16_383 }], 7), "███████");
    assert.equal(barOf([], 3), "   ");
  });

  it("wraps at spaces, and breaks what has none", () => {
    assert.deepEqual(wrapped("one two three", 9, "- "), ["- one two", "  three"]);
    assert.deepEqual(wrapped("abcdefgh i", 4), ["abcd", "efgh", "i"]);
    assert.deepEqual(wrapped("", 4), []);
  });
});

describe("the drawing of keys and the owners of their slots", () => {
  const drawn = (states: readonly ServerState[], slot: number, width = 80) => {
    const condition = conditionOf(states);
    return drawSlots([{ key: "k", slot, tag: null, ...ownershipOf(slot, { states, condition }) }], width, PLAIN);
  };

  it("names the owner, its replicas, and both ends of an open slot", () => {
    const half = changed({
      A: { open: [{ slot: 5, kind: "migrating", peer: "C" }], keysBySlot: { 5: 2 } },
      C: { open: [{ slot: 5, kind: "importing", peer: "A" }], keysBySlot: { 5: 1 } },
    });
    assert.deepEqual(drawn(half, 5), [
      "    5  k",
      "       owner A at 10.0.0.1:7001, replica A1 at 10.0.0.1:7004",
      "       half-way from A (2 keys) to C (1 key); both know it: for a missing key, A",
      "       answers ASK",
    ]);
    assert.deepEqual(drawn(healthy, 12_182)[1], "       owner B at 10.0.0.1:7000, replica B1 at 10.0.0.1:7003");
  });

  it("tells a slot that is not served, and one that nodes disagree about", () => {
    assert.deepEqual(drawn(broken, 5401).slice(1), ["       no node takes the slot for its own"]);
    assert.deepEqual(drawn(broken, 11_000).slice(1), [
      "       owner C at 10.0.0.1:7002, replica C1 at 10.0.0.1:7005",
      "       not served: the owner has failed",
    ]);
    assert.deepEqual(drawn(broken, 5461).slice(1), [
      "       owner B at 10.0.0.1:7000, replica B1 at 10.0.0.1:7003",
      "       the nodes disagree: A1, B and C1: B; A: C",
    ]);
    for (const line of drawn(broken, 5461, 40)) assert.ok(columnsOf(line) <= 40, line);
  });
});
