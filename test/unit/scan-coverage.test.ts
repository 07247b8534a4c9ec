import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ScanCoverage } from "../../src/calls/scan-coverage.ts";
import { parseHoldings, type SlotHoldings } from "../../src/topology/slot-holdings.ts";

/** What node `id` says of its slots. */
const has = (id: string, slots: string, epoch = 1) =>
  parseHoldings(`${id} 127.0.0.1:7000@17000 myself,master - 0 0 ${epoch} connected ${slots}\n`) as SlotHoldings;

/** A pass over a node, which says each time what it has. The slots that are open afterwards, of 0 to 3. */
const pass = (coverage: ScanCoverage, ...said: readonly [SlotHoldings, ...SlotHoldings[]]) => {
  const [first, ...later] = said;
  const run = coverage.pass(first);
  const settled = later.map((holdings) => run.observe(holdings));
  coverage.complete(run);
  return { open: [0, 1, 2, 3].filter((slot) => coverage.open.has(slot)), settled };
};

describe("what a node says of its slots", () => {
  it("is read of its own line: ranges, single slots, and those on their way", () => {
    const reply = [
      "id1 127.0.0.1:1@2 master - 0 0 7 connected 0-99",
      "id2 127.0.0.1:3@4,host myself,master - 0 0 9 connected 100-102 200 [101->-id1] [50-<-id1]",
    ].join("\n");
    const { id, epoch, owned, leaving, arriving } = parseHoldings(reply) as SlotHoldings;
    assert.deepEqual([id, epoch], ["id2", "9"]);
    assert.deepEqual(
      [...owned.entries()].filter(([, own]) => own === 1).map(([slot]) => slot),
      [100, 101, 102, 200],
    );
    assert.deepEqual([[...leaving], [...arriving]], [[[101, "id1"]], [50]]);
  });

  it("is nothing in what is no such reply", () => {
    for (const text of ["", "null", "OK", "id 1 master"]) assert.equal(parseHoldings(text), undefined);
  });
});

describe("a slot is scanned", () => {
  it("by a pass over its owner, which has it all the time", () => {
    const coverage = new ScanCoverage();
    assert.deepEqual(pass(coverage, has("a", "0-1"), has("a", "0-1")).open, [2, 3]);
    assert.deepEqual(pass(coverage, has("b", "2-16383"), has("b", "2-16383")).open, []);
    assert.equal(coverage.open.size, 0);
  });

  it("not by one that lost it meanwhile, or got it", () => {
    const coverage = new ScanCoverage();
    assert.deepEqual(pass(coverage, has("a", "0-1"), has("a", "0"), has("a", "0-2")).open, [1, 2, 3]);
  });

  it("not by one within which it was on its way and is not any more: keys may be left where it went", () => {
    const coverage = new ScanCoverage();
    assert.deepEqual(pass(coverage, has("a", "0-1 [1->-b]"), has("a", "0-1")).open, [1, 2, 3]);
    assert.deepEqual(pass(coverage, has("a", "0-1 [1->-b]"), has("a", "0-1 [1->-c]")).open, [1, 2, 3]);
    assert.equal(coverage.targetOf(1), undefined);
  });

  it("when it is on its way, by a pass over where it comes from and one over where it goes to", () => {
    for (const last of ["2-3 [1-<-a]", "1-3"]) {
      const coverage = new ScanCoverage();
      pass(coverage, has("a", "0-1"), has("a", "0-1 [1->-b]"));
      assert.equal(coverage.targetOf(1), "b");
      assert.deepEqual(pass(coverage, has("b", "2-3 [1-<-a]"), has("b", last)).open, []);
    }
  });

  it("not by one over where it goes to only, or before the one over where it comes from", () => {
    const coverage = new ScanCoverage();
    pass(coverage, has("b", "2-3 [1-<-a]"), has("b", "2-3 [1-<-a]"));
    assert.deepEqual(pass(coverage, has("a", "0-1 [1->-b]")).open, [1]);
  });

  it("from the beginning when where it went to does not have it, or is no node any more", () => {
    const coverage = new ScanCoverage();
    pass(coverage, has("a", "0-1 [1->-b]"));
    assert.deepEqual(pass(coverage, has("b", "2-3")).open, [1]);
    assert.equal(coverage.targetOf(1), undefined);
    pass(coverage, has("a", "0-1 [1->-b]"));
    coverage.reopen(1);
    assert.deepEqual(pass(coverage, has("a", "0-1")).open, []);
  });

  it("when it goes on from there, by a third one", () => {
    const coverage = new ScanCoverage();
    pass(coverage, has("a", "0-1 [1->-b]"));
    assert.deepEqual(pass(coverage, has("b", "1-3 [1->-c]")).open, [1]);
    assert.deepEqual(pass(coverage, has("c", "[1-<-b]")).open, []);
  });

  it("and steps are taken back within which the node got slots: any slot may have gone and come back", () => {
    const coverage = new ScanCoverage();
    const steps = [has("a", "0-1"), has("a", "0-2", 2), has("a", "0-2", 2), has("a", "0-2", 3)] as const;
    assert.deepEqual(pass(coverage, ...steps), { open: [2, 3], settled: [false, true, false] });
  });
});
