import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { sourceOf } from "../../bench/support/bench-script.ts";
import { givenScript, ownScript } from "../../bench/support/called-script.ts";
import { asLibrary } from "../../bench/support/other-ways.ts";
import { planOf } from "../../bench/support/plan.ts";
import { measureInTurns } from "../../bench/support/turns.ts";
import { LEAST_ROUNDS } from "../../src/cli/bench/estimate.ts";
import { Latencies } from "../../src/cli/bench/latency.ts";
import { RoundSeries, type Way } from "../../src/cli/bench/rounds.ts";

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

describe("a script of one's own", () => {
  const file = join(mkdtempSync(join(tmpdir(), "slotwire-bench-")), "take.lua");
  after(() => rmSync(dirname(file), { recursive: true }));
  const lua = "#!lua flags=no-writes\nreturn redis.call('get', KEYS[1])";
  writeFileSync(file, lua);

  it("is called with the call's number in place of __rand_int__", () => {
    const { keysOf, argsOf, title, bytes } = givenScript(file, ["{user:__rand_int__}", "b"], ["x"]);
    assert.deepEqual([keysOf(7), keysOf(8), argsOf(7)], [["{user:7}", "b"], ["{user:8}", "b"], ["x"]]);
    assert.deepEqual([title, bytes], ["take", lua.length]);
  });

  it("becomes a function with its flags, and without its first line", () => {
    const { source, functions } = asLibrary(givenScript(file, ["a"], []));
    assert.match(source, /^#!lua name=slotwire_bench\n/);
    assert.equal(source.match(/#!/g)?.length, 1);
    assert.match(source, /flags = \{'no-writes'\}.*callback = function\(KEYS, ARGV\)\n\nreturn redis/);
    assert.equal(functions.f?.readOnly, true);
  });
});

describe("the plan", () => {
  it("covers 100 B to 64 KB at 1, 64 and 1,024 in flight, with comment where there is room", () => {
    const { situations } = planOf({ quick: false });
    const names = situations.map(({ called, inFlight }) => `${called.script.name} at ${inFlight}`);
    assert.equal(names.length, 3 * 7);
    assert.equal(new Set(names).size, names.length);
    for (const expected of ["100 B at 1", "64 KB, comment at 1024", "10 KB, comment at 64"]) {
      assert.ok(names.includes(expected), expected);
    }
  });

  it("leaves a quick run without what takes long: comment, and 1,024 calls of 64 KB", () => {
    const names = planOf({ quick: true }).situations.map(
      ({ called, inFlight }) => `${called.script.name} at ${inFlight}`,
    );
    assert.equal(names.length, 3 * 4 - 1);
    assert.ok(!names.includes("64 KB at 1024"), names.join(", "));
  });

  it("has each situation of one's own script, and other ways to run it", () => {
    const given = ownScript(200);
    const { situations, otherWays, cold } = planOf({ quick: true, given, inFlight: [8, 32] });
    assert.deepEqual(situations, [
      { called: given, inFlight: 8 },
      { called: given, inFlight: 32 },
    ]);
    assert.deepEqual(otherWays, [{ called: given, inFlight: 8 }]);
    assert.deepEqual(cold, situations);
  });
});

describe("measuring in turns", () => {
  /** Ways that take no time. */
  const turnOf = (title: string, speed: () => number) => {
    const way = (name: string, calls: () => number): Way => ({
      name,
      async slice() {
        await new Promise(setImmediate);
        return { calls: calls(), seconds: 1, latencies: new Latencies(), costs: {} };
      },
    });
    return { title, series: new RoundSeries([way("EVAL", () => 100), way("EVALSHA", speed)]) };
  };

  it("gives every comparison a few rounds at a time, in an order that changes", async () => {
    const turns = ["a", "b", "c", "d"].map((title) => turnOf(title, () => 200));
    const order: string[] = [];
    let state = 4711;
    const random = () => {
      state = (state * 16_807) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    await measureInTurns(turns, { seconds: 0, random, progress: ({ title }) => order.push(title) });
    for (const { series } of turns) assert.equal(series.rounds.length, LEAST_ROUNDS);
    const passes = Array.from({ length: order.length / 4 }, (_, pass) => order.slice(4 * pass, 4 * pass + 4));
    assert.ok(passes.length > 1, "rounds are made a few at a time");
    for (const pass of passes) assert.deepEqual([...pass].sort(), ["a", "b", "c", "d"]);
    assert.ok(new Set(passes.map((pass) => pass.join())).size > 1, passes.join(" "));
  });

  it("goes on with those alone whose ratio is not known well enough", async () => {
    let seen = 0;
    const unsteady = () => (++seen < 60 && seen % 3 === 0 ? 900 : 200);
    const turns = [turnOf("steady", () => 200), turnOf("unsteady", unsteady)];
    await measureInTurns(turns, { seconds: 0, until: 0.05 });
    const [steady, other] = turns.map(({ series }) => series.rounds.length) as [number, number];
    assert.equal(steady, LEAST_ROUNDS);
    assert.ok(other > LEAST_ROUNDS, `${other} rounds`);
  });
});
