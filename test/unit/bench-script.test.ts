import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sourceOf } from "../../bench/support/bench-script.ts";
import { closedLoop } from "../../bench/support/closed-loop.ts";
import { FULL, QUICK, SITUATIONS } from "../../bench/support/plan.ts";

describe("sourceOf", () => {
  it("gives every size to the byte, of both fillings", () => {
    for (const bytes of [100, 101, 1024, 10_240, 65_536]) {
      for (const filling of ["code", "comment"] as const) assert.equal(sourceOf(bytes, filling).length, bytes);
    }
  });

  it("fills with code, or with one line of comment in front of the same work", () => {
    const work = "redis.call('set', KEYS[1], ARGV[1]) return 1";
    assert.match(sourceOf(65_536, "comment"), /^--x+\n[^\n]+$/);
    assert.ok(sourceOf(65_536, "comment").endsWith(`\n${work}`));
    const code = sourceOf(65_536, "code").trimEnd();
    assert.ok(code.endsWith(`end ${work}`));
    assert.ok(!code.includes("--"));
    assert.equal(code.match(/\bif\b/g)?.length, code.match(/\bend\b/g)?.length);
  });
});

describe("closedLoop", () => {
  it("makes the calls it is told, never more at once, and times each", async () => {
    let pending = 0;
    let most = 0;
    const indexes: number[] = [];
    const burst = await closedLoop(
      async (index) => {
        indexes.push(index);
        most = Math.max(most, ++pending);
        await new Promise(setImmediate);
        pending--;
        return 1;
      },
      7,
      50,
    );
    assert.equal(most, 7);
    assert.deepEqual(indexes, [...Array(50).keys()]);
    assert.equal(burst.calls, 50);
    assert.ok(burst.seconds > 0 && burst.latencies.every((latency) => latency > 0));
  });

  it("fails on a single reply that is not the script's", async () => {
    await assert.rejects(
      closedLoop(async (index) => (index === 3 ? "1" : 1), 2, 10),
      /1 of 10 calls got another reply than 1/,
    );
  });
});

describe("the plan", () => {
  it("covers 100 B to 64 KB at 1, 64 and 1,024 in flight, with comment where there is room", () => {
    const names = SITUATIONS.map(({ bytes, filling, inFlight }) => `${bytes} ${filling} ${inFlight}`);
    assert.equal(names.length, 3 * 7);
    assert.equal(new Set(names).size, names.length);
    for (const expected of ["100 code 1", "65536 comment 1024", "10240 comment 64"]) {
      assert.ok(names.includes(expected), expected);
    }
  });

  it("makes at least two calls a caller in each burst", () => {
    for (const plan of [FULL, QUICK]) {
      for (const situation of SITUATIONS) assert.ok(plan.callsOf(situation) >= 2 * situation.inFlight);
    }
  });
});
