import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Pace } from "../../src/topology/pace.ts";

/** When rounds begin, if somebody asks again at every `everyMs` for `forMs`. */
function rounds(pace: Pace, everyMs: number, forMs: number, from = 0, random = () => 0): number[] {
  const begun: number[] = [];
  let at = Number.POSITIVE_INFINITY;
  for (let now = from; now < from + forMs; now += everyMs) {
    if (at <= now) {
      begun.push(at);
      pace.noteBegun(at, random());
      at = Number.POSITIVE_INFINITY;
    }
    at = Math.min(at, pace.inTrouble(now));
    if (at === now) {
      begun.push(now);
      pace.noteBegun(now, random());
      at = Number.POSITIVE_INFINITY;
    }
  }
  return begun;
}

describe("the pace of topology queries", () => {
  it("is at once, each 100 ms for a second, then each 500 ms", () => {
    const begun = rounds(new Pace(), 1, 3100);
    assert.deepEqual(begun, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1400, 1900, 2400, 2900]);
  });

  it("is jittered: two clients that begin at one moment drift apart, and none is faster than the pace", () => {
    const one = rounds(new Pace(), 1, 3000, 0, () => 0.9);
    const other = rounds(new Pace(), 1, 3000, 0, () => 0.1);
    assert.equal(one.length < other.length, true, `${one} / ${other}`);
    assert.notDeepEqual(one.slice(1, 3), other.slice(1, 3));
    for (const [index, at] of one.slice(1).entries()) {
      assert.equal(at - (one[index] as number) >= 100, true, `${one}`);
    }
  });

  it("begins anew with trouble after 2 s of calm, and not before", () => {
    const pace = new Pace();
    rounds(pace, 1, 1500);
    const soon = pace.inTrouble(3400);
    assert.equal(soon, 3400);
    pace.noteBegun(soon, 0);
    assert.equal(pace.inTrouble(3410), 3900, "it lasts");
    assert.equal(pace.inTrouble(5420), 5420);
    pace.noteBegun(5420, 0);
    assert.equal(pace.inTrouble(5430), 5520, "it is young");
  });

  it("leaves 100 ms between the rounds that users ask for, whatever else is the matter", () => {
    const pace = new Pace();
    assert.equal(pace.onRequest(7), 7);
    pace.noteBegun(7, 0);
    assert.equal(pace.onRequest(8), 107);
    rounds(pace, 1, 2000, 8);
    pace.noteBegun(3000, 0);
    assert.equal(pace.onRequest(3001), 3100);
  });
});
