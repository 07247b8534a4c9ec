import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  decideAfterAsking,
  decideAfterLook,
  decideAfterPass,
  decideAfterQuestion,
  pauseMs,
} from "../../src/calls/scan-decisions.ts";

describe("after a pass of a scan", () => {
  const rows: readonly [fruitless: number, hadNode: boolean, next: string][] = [
    [0, true, "go-on"],
    [1, true, "settle"],
    [30, true, "settle"],
    [31, true, "give-up"],
    [5, false, "settle"],
    [6, false, "give-up"],
  ];
  for (const [fruitless, hadNode, next] of rows) {
    it(`${fruitless} without a slot done, ${hadNode ? "of a node" : "without a node"}: ${next}`, () => {
      assert.equal(decideAfterPass(fruitless, hadNode), next);
    });
  }

  it("the pause doubles up to a second, and is jittered by up to a half", () => {
    assert.deepEqual([pauseMs(1, 0), pauseMs(1, 1), pauseMs(3, 1), pauseMs(30, 1)], [10, 20, 80, 1000]);
  });
});

describe("a question of a scan", () => {
  it("that is refused goes without an answer, one that is lost is asked three times more", () => {
    assert.equal(decideAfterQuestion("refused", 0), "none");
    assert.deepEqual(
      [0, 2, 3].map((repeats) => decideAfterQuestion("lost", repeats)),
      ["repeat", "repeat", "reject"],
    );
    assert.equal(decideAfterQuestion("other", 0), "reject");
  });

  it("to a node that serves no slots any more ends the pass, unless the user or the client ended it", () => {
    const decided = [decideAfterAsking(false, true), decideAfterAsking(false, false), decideAfterAsking(true, false)];
    assert.deepEqual(decided, ["reject", "abandon", "reject"]);
  });
});

describe("a look at the slots of a node", () => {
  it("lets the scan go on while the node gets no slots", () => {
    assert.deepEqual(decideAfterLook(true, 0), { takesAgain: false, careful: 0 });
    assert.deepEqual(decideAfterLook(true, 20), { takesAgain: false, careful: 19 });
  });

  it("takes steps again when the node has got slots, and has the next 20 followed by a look each", () => {
    assert.deepEqual(decideAfterLook(false, 3), { takesAgain: true, careful: 20 });
  });
});
