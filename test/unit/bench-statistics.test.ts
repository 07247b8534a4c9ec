import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CURVE_SHARES, median, quantile } from "../../bench/support/statistics.ts";

describe("median", () => {
  it("is the middle value, in whatever order", () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([10, 9, 100]), 10);
  });

  it("is the mean of the middle two", () => {
    assert.equal(median([4, 1, 2, 100]), 3);
  });

  it("leaves its argument alone, and is NaN of nothing", () => {
    const values = [3, 1, 2];
    median(values);
    assert.deepEqual(values, [3, 1, 2]);
    assert.ok(Number.isNaN(median([])));
  });
});

describe("quantile", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);

  it("is the value of the nearest rank", () => {
    const expected = { 0: 1, 0.01: 1, 0.07: 7, 0.5: 50, 0.505: 51, 0.99: 99, 0.999: 100, 1: 100 };
    for (const [share, value] of Object.entries(expected)) assert.equal(quantile(hundred, Number(share)), value, share);
  });

  it("is the only value of one, and NaN of nothing", () => {
    for (const share of [0, 0.5, 1]) assert.equal(quantile([7], share), 7);
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });
});

describe("CURVE_SHARES", () => {
  it("go from 0 to 99.9%, through 90 and 99", () => {
    const [first, ...others] = CURVE_SHARES;
    assert.equal(first, 0);
    for (const share of [0.9, 0.99, 0.999]) {
      assert.ok(
        others.some((each) => Math.abs(each - share) < 1e-12),
        String(share),
      );
    }
    assert.ok(CURVE_SHARES.every((share) => share <= 0.999 + 1e-12));
  });
});
