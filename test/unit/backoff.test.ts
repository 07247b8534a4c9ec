import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backoffMs } from "../../src/connection/backoff.ts";

const RANGE = { firstMs: 20, mostMs: 500 };
const LARGEST = 0.999;

describe("backoffMs", () => {
  it("doubles its ceiling with each attempt, up to the most", () => {
    const ceilings = Array.from({ length: 8 }, (_, attempt) => backoffMs(attempt, RANGE, 1));
    assert.deepEqual(ceilings, [20, 40, 80, 160, 320, 500, 500, 500]);
  });

  it("is half fixed and half chance", () => {
    assert.equal(backoffMs(1, RANGE, 0), 20);
    assert.equal(backoffMs(1, RANGE, 0.5), 30);
    assert.ok(backoffMs(1, RANGE, LARGEST) < 40);
  });

  it("stays within its range after any number of attempts", () => {
    for (const attempt of [0, 1, 29, 30, 31, 1000, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
      for (const random of [0, 0.25, LARGEST]) {
        const waitMs = backoffMs(attempt, RANGE, random);
        assert.ok(waitMs >= RANGE.firstMs / 2 && waitMs <= RANGE.mostMs, `attempt ${attempt}: ${waitMs}`);
      }
    }
  });

  it("never waits longer than the most, even the first time", () => {
    assert.equal(backoffMs(0, { firstMs: 100, mostMs: 10 }, 1), 10);
  });
});
