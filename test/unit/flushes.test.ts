import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Flushes } from "../../src/connection/flushes.ts";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";

/** The flushes of lanes, on a clock whose turns the test makes. */
function stage() {
  const ticks: (() => void)[] = [];
  const reads: (() => void)[] = [];
  const arrivals: (() => void)[] = [];
  const state = { isBehind: false };
  const flushes = new Flushes({
    ...nodeEnvironment.clock,
    nextTick: (callback) => void ticks.push(callback),
    afterReads: (callback) => void reads.push(callback),
    afterArrivals: (callback) => void arrivals.push(callback),
    isBehind: () => state.isBehind,
  });
  const flushed: string[] = [];
  return {
    state,
    ticks,
    reads,
    arrivals,
    /** Takes what was flushed since it was asked last. */
    flushed: () => flushed.splice(0),
    add: (lane: string, written: number, inFlight = 0) =>
      flushes.add(() => {
        flushed.push(lane);
        return written;
      }, inFlight),
    addThrowing: () =>
      flushes.add(() => {
        throw new Error("of the stream");
      }, 0),
    run: (callbacks: (() => void)[]) => {
      for (const callback of callbacks.splice(0)) callback();
    },
  };
}

describe("the flushes of a client's lanes", () => {
  it("are made at the end of the tick, while the client is calm", () => {
    const { add, run, ticks, reads, flushed } = stage();
    for (let time = 0; time < 3; time++) {
      add("a", 1);
      assert.deepEqual([ticks.length, reads.length], [1, 0]);
      run(ticks);
      assert.deepEqual(flushed(), ["a"]);
    }
  });

  it("share one turn behind the reads, for a lane with much in flight", () => {
    const { add, run, ticks, reads, flushed } = stage();
    add("a", 1, 8);
    add("b", 1);
    assert.deepEqual([ticks.length, reads.length], [0, 1]);
    run(reads);
    assert.deepEqual(flushed(), ["a", "b"]);
  });

  it("wait for the reads after a turn in which the lanes wrote much together, and no longer than that", () => {
    const { add, run, ticks, reads, flushed } = stage();
    for (const lane of ["a", "b", "c", "d"]) add(lane, 2);
    run(ticks);
    add("a", 1);
    assert.deepEqual([ticks.length, reads.length], [0, 1], "the client is busy, though no lane is");
    run(reads);
    add("a", 1);
    assert.deepEqual([ticks.length, reads.length], [1, 0], "one call was written");
    run(ticks);
    assert.deepEqual(flushed(), ["a", "b", "c", "d", "a", "a"]);
  });

  it("wait for what has arrived where the process did not read for long", () => {
    const { state, add, run, ticks, arrivals, flushed } = stage();
    state.isBehind = true;
    add("a", 1);
    run(ticks);
    assert.deepEqual(flushed(), []);
    add("b", 1);
    state.isBehind = false;
    run(arrivals);
    assert.deepEqual(flushed(), ["a", "b"]);
    assert.equal(ticks.length, 0, "nothing is due twice");
  });

  it("are made nevertheless when the stream of a lane in front of them throws", () => {
    const { add, addThrowing, run, ticks, reads, flushed } = stage();
    add("a", 1);
    addThrowing();
    add("b", 1);
    assert.throws(() => run(ticks), { message: "of the stream" });
    assert.deepEqual(flushed(), ["a"]);
    run(ticks);
    run(reads);
    assert.deepEqual(flushed(), ["b"]);
  });
});
