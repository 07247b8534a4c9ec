import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keysOf as keysOfCall } from "../../src/calls/call-factory.ts";
import { type CallKeys, findOrder } from "../../src/routing/batch-order.ts";
import { passOn, type Turn, turnsOf } from "../../src/routing/batch-turns.ts";

/** `R` reads its keys, `W` may write them. All keys are in one slot, unless another one is given. */
const call = (what: string, settled = false, slot = 0) => {
  const [kind, ...keys] = what.split(" ");
  const known: CallKeys | undefined = keys.length < 2 ? keys[0] : keys;
  return { kind: { reads: kind === "R" }, keys: known, slot: keys.length === 0 ? -1 : slot, settled };
};
type TestCall = ReturnType<typeof call>;

const keysOf = (calls: readonly TestCall[]) => calls.map(({ keys }) => keys);
const turns = (calls: readonly TestCall[]) => turnsOf(calls, keysOf(calls));

const TABLE: readonly {
  readonly calls: readonly string[];
  /** For each call the calls that it waits for. */
  readonly waits: readonly (readonly number[])[];
  readonly behindWrite?: readonly number[];
}[] = [
  { calls: ["W a", "W b", "R c"], waits: [[], [], []] },
  { calls: ["W a", "W a", "W a"], waits: [[], [0], [1]], behindWrite: [1, 2] },
  { calls: ["R a", "R a", "R a"], waits: [[], [], []] },
  { calls: ["R a", "R a", "W a"], waits: [[], [], [0, 1]] },
  { calls: ["W a", "R a", "R a"], waits: [[], [0], [0]], behindWrite: [1, 2] },
  { calls: ["W a", "R a", "W a", "R a"], waits: [[], [0], [1], [2]], behindWrite: [1, 2, 3] },
  { calls: ["W a b", "W a", "W b", "R a b"], waits: [[], [0], [0], [1, 2]], behindWrite: [1, 2, 3] },
  { calls: ["R a", "W a b", "R b"], waits: [[], [0], [1]], behindWrite: [2] },
  { calls: ["W a b", "R a b"], waits: [[], [0]], behindWrite: [1] },
  { calls: ["W a a", "R a a", "R a a", "W a a"], waits: [[], [0], [0], [1, 2]], behindWrite: [1, 2, 3] },
  { calls: ["W", "W", "R"], waits: [[], [], []] },
  { calls: ["W constructor", "R constructor", "R __proto__"], waits: [[], [0], []], behindWrite: [1] },
];

describe("the order in a batch", () => {
  for (const { calls, waits, behindWrite = [] } of TABLE) {
    it(`of ${calls.join(", ")}`, () => {
      const made = calls.map((each) => call(each));
      const found = findOrder(made, keysOf(made));
      assert.deepEqual(
        found.map((before) => before?.calls ?? []),
        waits,
      );
      const behind = found.flatMap((before, index) => (before?.isBehindWrite ? [index] : []));
      assert.deepEqual(behind, behindWrite);
    });
  }

  it("knows a key as text, as bytes, and beside others", () => {
    const calls = Array.from({ length: 3 }, () => call("W any"));
    const keys = [[Buffer.from("é")], ["é"], [Buffer.from("other"), "é"]].map((each) => keysOfCall(each));
    assert.deepEqual(
      findOrder(calls, keys).map((before) => before?.calls ?? []),
      [[], [0], [1]],
    );
    const changed = Buffer.from("é");
    const copied = [keysOfCall([changed]), "é"];
    changed.fill("x");
    assert.deepEqual(findOrder(calls.slice(1), copied)[1]?.calls, [0]);
  });

  it("gives a turn only to calls that wait or are waited for", () => {
    const calls = ["W a", "W b", "R a"].map((each) => call(each));
    assert.deepEqual(
      turns(calls)?.map((turn) => turn?.waitsFor),
      [0, undefined, 1],
    );
    assert.equal(turns(["W a", "W b"].map((each) => call(each))), undefined);
    assert.equal(turns([call("W a")]), undefined);
  });

  it("is found among calls of many slots, batch after batch", () => {
    for (let batch = 0; batch < 3; batch++) {
      const calls = Array.from({ length: 50 }, (_, slot) => call(`W key${slot}`, false, slot));
      assert.equal(turns(calls), undefined);
      // Two calls share a slot and no key; two others share a key.
      calls.push(call("W other", false, 7), call("R key9", false, 9));
      const waiting = turns(calls)?.map((turn) => turn?.waitsFor);
      assert.deepEqual(
        waiting?.map((waits, at) => [at, waits]).filter(([, waits]) => waits !== undefined),
        [
          [9, 0],
          [51, 1],
        ],
      );
    }
  });
});

describe("the turns of calls", () => {
  const end = (turn: Turn<ReturnType<typeof call>> | undefined, calls: readonly unknown[]): number[] => {
    const released: number[] = [];
    assert.ok(turn, "the call has a turn");
    passOn(turn, (next) => released.push(calls.indexOf(next.call)));
    return released;
  };

  it("come when the last call ends that they wait for", () => {
    const calls = ["R a", "R a", "W a", "R a", "R a"].map((each) => call(each));
    const found = turns(calls) ?? [];
    assert.deepEqual(end(found[1], calls), []);
    assert.deepEqual(end(found[0], calls), [2]);
    assert.deepEqual(end(found[2], calls), [3, 4]);
  });

  it("are not passed by a call that ended before its own turn", () => {
    const calls = ["W a", "W a", "W a"].map((each) => call(each));
    const found = turns(calls) ?? [];
    Object.assign(calls[1] as object, { settled: true });
    assert.deepEqual(end(found[1], calls), [], "the third call would overtake the first");
    assert.deepEqual(end(found[0], calls), [2]);
  });

  it("come for no call that was sent already", () => {
    const calls = ["W a", "W a"].map((each) => call(each));
    const found = turns(calls) ?? [];
    Object.assign(found[1] as object, { isSent: true });
    assert.deepEqual(end(found[0], calls), []);
  });

  it("pass along a chain of any length", () => {
    const calls = Array.from({ length: 100_000 }, (_, index) => call("W a", index > 0 && index < 99_999));
    assert.deepEqual(end(turns(calls)?.[0], calls), [99_999]);
  });
});
