import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openLoop } from "../../src/cli/bench/open-loop.ts";

/** Keeps the event loop from turning. */
function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

describe("an open loop", () => {
  it("counts a stall in every call that it delays", async () => {
    const slice = await openLoop(
      async (number) => {
        if (number === 50) block(50);
      },
      { rate: 1000, milliseconds: 200 },
    );
    assert.equal(slice.due, 200);
    assert.equal(slice.latencies.calls, 200);
    // Of the 50 calls that were due meanwhile, 40 were made 10 ms late or more: a fifth of all.
    for (const [what, times] of Object.entries({ latency: slice.latencies, lateness: slice.lateness })) {
      const late = times.quantile(0.85) ?? 0;
      assert.ok(late >= 10, `${what}: ${late} ms`);
    }
  });

  it("counts a stall of the callee in every call that waits for it, and makes the others in time", async () => {
    let stalled: Promise<unknown> = Promise.resolve();
    const slice = await openLoop(
      async (number) => {
        if (number === 50) stalled = sleep(60);
        await stalled;
      },
      { rate: 1000, milliseconds: 200 },
    );
    assert.equal(slice.latencies.calls, 200);
    const slow = slice.latencies.quantile(0.85) ?? 0;
    assert.ok(slow >= 10, `${slow} ms`);
    assert.ok(slice.waiting >= 2, `${slice.waiting} waited`);
  });

  it("makes calls late by much less than a timer's millisecond", async () => {
    const seen: number[] = [];
    // Other processes take the processor for milliseconds. A tenth of the calls that are due while we have it suffices. With a
    // timer of 1 ms the earliest tenth is 0.1 ms late.
    while (seen.length < 200 && Math.min(...seen) >= 0.03) {
      const { lateness } = await openLoop(async () => {}, { rate: 5000, milliseconds: 20 });
      seen.push(lateness.quantile(0.1) ?? Number.NaN);
    }
    assert.ok(Math.min(...seen) < 0.03, `the earliest tenth was late by ms: ${seen.join(", ")}`);
  });

  it("sleeps while the next call is far away, and still is in time", async () => {
    const before = process.cpuUsage();
    const slice = await openLoop(async () => {}, { rate: 20, milliseconds: 400 });
    const { user, system } = process.cpuUsage(before);
    // Time in which other processes had the processor is not in it.
    const utilization = (user + system) / 400_000;
    assert.equal(slice.due, 8);
    assert.equal(slice.lateness.calls, 8);
    assert.ok(utilization < 0.8, `it took ${utilization} of a processor`);
  });

  it("makes no more calls when as many wait as may, and says so", async () => {
    const answers: (() => void)[] = [];
    const slice = await openLoop(
      () =>
        new Promise<void>((resolve) => {
          const all = answers.push(resolve) === 100;
          if (all) setTimeout(() => answers.forEach((answer) => void answer()), 20);
        }),
      { rate: 10_000, milliseconds: 1000, mostWaiting: 100 },
    );
    assert.equal(answers.length, 100);
    assert.deepEqual([slice.stopped, slice.waiting, slice.latencies.calls], ["waiting", 100, 100]);
    assert.equal(slice.due, 10_000);
  });

  it("ends in bounded time when calls cannot be made in time", async () => {
    let made = 0;
    const slice = await openLoop(
      async () => {
        made++;
        block(10);
      },
      { rate: 1000, milliseconds: 200 },
    );
    assert.equal(slice.stopped, "late");
    assert.ok(slice.made <= 20 + 1, `${slice.made} made in time`);
    // A second more than the time is over after 120 calls.
    assert.ok(made <= 120 + 1, `${made} made`);
  });

  it("stops when the client refuses calls because it has too much to do", async () => {
    let made = 0;
    const slice = await openLoop(
      async () => {
        if (++made > 10) throw Object.assign(new Error("full"), { code: "QUEUE_FULL" });
      },
      { rate: 100_000, milliseconds: 200 },
    );
    assert.equal(slice.stopped, "refused");
    assert.equal(slice.latencies.calls, 10);
  });

  it("rejects when a reply is wrong, after the other calls have ended", async () => {
    let ended = 0;
    const loop = openLoop(
      async (number) => {
        if (number === 12) throw new Error("call 12 was wrong");
        await sleep(30);
        ended++;
      },
      { rate: 1000, milliseconds: 50, from: 10 },
    );
    await assert.rejects(loop, /^Error: call 12 was wrong$/);
    assert.ok(ended >= 2, `${ended} had ended`);
  });

  it("sees that answers pile up, and does not mistake a constant delay for it", async () => {
    const steady: number[] = [];
    // Another process can take the processor just before the end, so one slice of many suffices.
    while (steady.length < 10 && Math.max(...steady) < 95) {
      steady.push((await openLoop(() => sleep(40), { rate: 500, milliseconds: 400 })).answeredLately);
    }
    assert.ok(Math.max(...steady) >= 95, `of 100 were answered: ${steady.join(", ")}`);
    // Answers one call at a time, 250 a second.
    let last: Promise<unknown> = Promise.resolve();
    const piling = await openLoop(
      () => {
        last = last.then(() => sleep(4));
        return last;
      },
      { rate: 1000, milliseconds: 400 },
    );
    assert.equal(piling.dueLately, 200);
    assert.ok(piling.answeredLately <= 51, `${piling.answeredLately} answered`);
    assert.ok(piling.waiting >= 150, `${piling.waiting} waited`);
  });
});
