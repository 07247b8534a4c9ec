import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { conditionOf, listed, mayPass } from "../../src/cli/study/condition.ts";
import type { ServerState } from "../../src/cli/study/events.ts";

const state = (name: string, more: Partial<ServerState> = {}): ServerState => ({
  address: `h:${name}`,
  name,
  id: name,
  role: "primary",
  primary: null,
  error: null,
  health: "online",
  state: "ok",
  currentEpoch: 2,
  configEpoch: 1,
  slots: name === "A" ? [{ start: 0, end: 9999 }] : [{ start: 10_000, end: 16_383 }],
  open: [],
  suspects: {},
  disagrees: [],
  unknown: [],
  meeting: [],
  keys: 0,
  scripts: {},
  ...more,
});
const a1 = (more: Partial<ServerState> = {}) => state("A1", { role: "replica", primary: "A", slots: [], ...more });
const silent = { role: null, error: "no answer within 1500 ms", state: null } as const;
const migrating = (peer: string, slot = 5) => ({ open: [{ slot, kind: "migrating", peer }] }) as const;
const importing = (peer: string, slot = 5) => ({ open: [{ slot, kind: "importing", peer }] }) as const;

describe("the condition of a cluster", () => {
  it("is without trouble where every slot is served and all agree", () => {
    const { trouble, ranges, unserved, unowned } = conditionOf([state("A"), a1(), state("B")]);
    assert.deepEqual([trouble, unserved, unowned], [null, [], []]);
    assert.deepEqual(ranges, [
      { start: 0, end: 9999, owner: "A" },
      { start: 10_000, end: 16_383, owner: "B" },
    ]);
  });

  const served: [string, ServerState[], string, string | null][] = [
    ["no owner", [state("A", { slots: [] }), state("B")], "0 no-owner", "10000 slots are not served"],
    ["a silent owner", [state("A", silent), state("B")], "0 silent", "10000 slots are not served"],
    [
      "an owner that others take for failed",
      [state("A", silent), state("B", { suspects: { A: "fail" } })],
      "0 failed",
      "10000 slots are not served",
    ],
    ["a suspicion is no failure", [state("A"), state("B", { suspects: { A: "fail?" } })], "", null],
    [
      "a silent replica",
      [state("A"), a1({ ...silent, primary: "A" }), state("B", { suspects: { A1: "fail" } })],
      "",
      null,
    ],
    [
      "an owner that refuses calls",
      [state("A"), state("B", { state: "fail" })],
      "10000 refuses",
      "6384 slots are not served",
    ],
    [
      "all refuse",
      [state("A", { state: "fail" }), state("B", { state: "fail" })],
      "0 refuses, 10000 refuses",
      "no slot is served",
    ],
    ["a replica that refuses", [state("A"), a1({ state: "fail" }), state("B")], "", null],
    [
      "a state that may not be asked for",
      [state("A", { state: null, error: "CLUSTER NODES is refused" }), state("B", { state: null })],
      "",
      null,
    ],
  ];
  for (const [what, states, expected, trouble] of served) {
    it(`knows what is served: ${what}`, () => {
      const condition = conditionOf(states);
      assert.equal(condition.unserved.map(({ start, why }) => `${start} ${why}`).join(", "), expected);
      assert.equal(condition.trouble, trouble);
    });
  }

  it("gives a slot with two owners to the higher epoch, and to a silent node only what no other node takes", () => {
    const twice = [state("A"), state("B", { slots: [{ start: 9000, end: 16_383 }], configEpoch: 7 })];
    assert.deepEqual(conditionOf(twice).ranges, [
      { start: 0, end: 8999, owner: "A" },
      { start: 9000, end: 16_383, owner: "B" },
    ]);
    const promoted = [
      state("A", { ...silent, configEpoch: 99 }),
      state("A1", { slots: [{ start: 0, end: 9999 }] }),
      state("B"),
    ];
    assert.equal(conditionOf(promoted).ranges[0]?.owner, "A1");
  });

  const open: [string, ServerState[], string, boolean][] = [
    ["both ends", [state("A", migrating("B")), state("B", importing("A"))], "both-ends", false],
    [
      "a replica repeats it",
      [state("A", migrating("B")), a1(migrating("B")), state("B", importing("A"))],
      "both-ends",
      false,
    ],
    ["migrating alone", [state("A", migrating("B")), state("B")], "one-end", true],
    ["importing alone", [state("A"), state("B", importing("A"))], "one-end", true],
    ["to a node that is gone", [state("A", migrating("e".repeat(40))), state("B")], "one-end", true],
    ["the other end is silent", [state("A", migrating("B")), state("B", silent)], "unsure", false],
    ["the other end may not say", [state("A", migrating("B")), state("B", { error: "refused" })], "unsure", false],
    [
      "importing from one that is not the owner",
      [state("A"), state("B"), state("C", { slots: [], ...importing("B") })],
      "tangled",
      true,
    ],
    [
      "two importers",
      [state("A", migrating("B")), state("B", importing("A")), state("C", { slots: [], ...importing("A") })],
      "tangled",
      true,
    ],
    [
      "to another than imports it",
      [state("A", migrating("B")), state("B"), state("C", { slots: [], ...importing("A") })],
      "tangled",
      true,
    ],
  ];
  for (const [what, states, expected, isTrouble] of open) {
    it(`knows open slots: ${what}`, () => {
      const condition = conditionOf(states);
      assert.deepEqual(
        condition.open.map(({ slot, state: found }) => [slot, found]),
        [[5, expected]],
      );
      const served = condition.unserved.length === 0;
      if (served) assert.equal(condition.trouble !== null, isTrouble, String(condition.trouble));
      assert.equal(mayPass(condition), isTrouble);
    });
  }

  it("counts keys at both ends, and no keys where they were not counted", () => {
    const [first] = conditionOf([state("A", { ...migrating("B"), keysBySlot: {} }), state("B", importing("A"))]).open;
    assert.deepEqual(
      first?.ends.map(({ node, keys }) => [node, keys]),
      [
        ["A", 0],
        ["B", null],
      ],
    );
  });

  it("tells who says what about which slots", () => {
    const states = [
      state("A"),
      state("B", {
        disagrees: [
          { slots: { start: 3, end: 9 }, says: null, is: "A" },
          { slots: { start: 10, end: 12 }, says: "B", is: "A" },
        ],
      }),
      a1({ disagrees: [{ slots: { start: 3, end: 12 }, says: "B", is: "A" }] }),
      state("C", { ...silent, slots: [] }),
    ];
    const { disagreements, trouble } = conditionOf(states);
    assert.deepEqual(disagreements, [
      {
        start: 3,
        end: 9,
        is: "A",
        says: [
          { owner: "A", by: ["A"] },
          { owner: null, by: ["B"] },
          { owner: "B", by: ["A1"] },
        ],
      },
      {
        start: 10,
        end: 12,
        is: "A",
        says: [
          { owner: "A", by: ["A"] },
          { owner: "B", by: ["B", "A1"] },
        ],
      },
    ]);
    assert.equal(trouble, "the nodes disagree about who owns 10 slots");
  });

  it("tells who does not know whom", () => {
    const { unknown, trouble } = conditionOf([state("A", { unknown: ["B"] }), a1({ unknown: ["B"] }), state("B")]);
    assert.deepEqual(unknown, [{ node: "B", to: ["A", "A1"] }]);
    assert.equal(trouble, "A and A1 do not know B");
  });

  it("lists names as people do", () => {
    const names = (count: number) => Array.from("ABCDEFGHIJ").slice(0, count);
    assert.deepEqual(
      [0, 1, 2, 6, 9].map((count) => listed(names(count))),
      ["", "A", "A and B", "A, B, C, D, E and F", "A, B, C, D, E and 4 more"],
    );
  });
});
