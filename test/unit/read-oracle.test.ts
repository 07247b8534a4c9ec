import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ReadOracle } from "../support/read-oracle.ts";

/** A key "k" that got each value between two moments. */
function oracleOf(
  ...changes: readonly [value: string | null, from: number, by: number, isCertain?: boolean][]
): ReadOracle {
  const oracle = new ReadOracle(() => 0);
  for (const [value, from, by, isCertain = true] of changes) {
    const change = oracle.begin("k", value, from);
    change.by = by;
    change.isCertain = isCertain;
  }
  return oracle;
}

describe("the oracle of reads", () => {
  it("says since when a value is over", () => {
    const oracle = oracleOf(["1", 0, 10], ["2", 100, 110], ["3", 200, 210]);
    assert.equal(oracle.staleFor("k", "1", 105, 106), 0);
    assert.equal(oracle.staleFor("k", "1", 310, 310), 200);
    assert.equal(oracle.staleFor("k", "3", 310, 310), 0);
    assert.equal(oracle.staleFor("k", null, 50, 50), 40);
  });

  it("takes a value that came later, or never, for one that was not read", () => {
    const oracle = oracleOf(["1", 0, 10]);
    assert.equal(oracle.staleFor("k", "2", 20, 20), Number.POSITIVE_INFINITY);
    assert.equal(oracle.staleFor("k", "1", -10, -5), Number.POSITIVE_INFINITY);
  });

  it("lets writes at the same time come in either order", () => {
    const oracle = oracleOf(["1", 0, 100], [null, 50, 60]);
    assert.equal(oracle.staleFor("k", "1", 500, 500), 0);
    assert.equal(oracle.staleFor("k", null, 500, 500), 0);
  });

  it("proves nothing by a write that may be undone", () => {
    const oracle = oracleOf(["1", 0, 10], ["2", 100, 110, false], ["3", 200, Number.POSITIVE_INFINITY]);
    assert.equal(oracle.staleFor("k", "1", 500, 500), 0);
    assert.equal(oracle.staleFor("k", "3", 500, 500), 0);
    oracle.doubt("k", 0, 50);
    assert.equal(oracle.staleFor("k", null, 500, 500), 0);
  });
});
