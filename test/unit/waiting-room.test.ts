import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Environment } from "../../src/environment.ts";
import type { Call } from "../../src/routing/call.ts";
import { WaitingRoom } from "../../src/routing/waiting-room.ts";
import { idleCall } from "../support/calls.ts";
import { FakeClock } from "../support/fake-clock.ts";

function enter(room: WaitingRoom, call: Call, attempt: number): void {
  room.enter(call, room.draw(call.slot, attempt));
}

describe("WaitingRoom", () => {
  let clock: FakeClock;
  let chance: number;
  let left: { call: Call; at: number }[];
  let room: WaitingRoom;

  beforeEach(() => {
    clock = new FakeClock();
    chance = 0;
    left = [];
    const environment: Environment = {
      clock,
      random: () => chance,
      open: () => assert.fail("nothing is connected here"),
    };
    room = new WaitingRoom(environment, (call) => left.push({ call, at: clock.time }));
  });

  it("lets a call go after a backoff that grows with its attempts, up to 100 ms", () => {
    const waits = [0, 1, 2, 3, 10].map((attempt) => {
      const from = clock.time;
      enter(room, idleCall(1), attempt);
      clock.advance(1000);
      return (left.at(-1)?.at ?? 0) - from;
    });
    assert.deepEqual(waits, [2, 4, 8, 16, 50]);
    chance = 0.999;
    enter(room, idleCall(1), 10);
    const from = clock.time;
    clock.advance(1000);
    const longest = (left.at(-1)?.at ?? 0) - from;
    assert.ok(longest > 99 && longest < 100, String(longest));
  });

  it("lets calls of one slot go together, in the order of their refusals", () => {
    const calls = [idleCall(7), idleCall(7), idleCall(7)];
    enter(room, calls[0] as Call, 3);
    clock.advance(5);
    enter(room, calls[1] as Call, 0);
    clock.advance(5);
    enter(room, calls[2] as Call, 9);
    clock.advance(1000);
    assert.deepEqual(
      left.map(({ call, at }) => [calls.indexOf(call), at]),
      [
        [0, 16],
        [1, 16],
        [2, 16],
      ],
    );
  });

  it("draws for a call what is left of the wait of others of its slot", () => {
    enter(room, idleCall(7), 3);
    clock.advance(5);
    assert.deepEqual([room.draw(7, 0), room.draw(8, 0)], [11, 2]);
  });

  it("keeps slots apart", () => {
    const [slow, fast] = [idleCall(1), idleCall(2)];
    enter(room, slow, 4);
    enter(room, fast, 0);
    clock.advance(1000);
    assert.deepEqual(left, [
      { call: fast, at: 2 },
      { call: slow, at: 32 },
    ]);
  });

  it("holds calls without keys like those of one more slot", () => {
    const calls = [idleCall(-1), idleCall(-1)];
    for (const call of calls) enter(room, call, 0);
    clock.advance(2);
    assert.deepEqual(
      left.map(({ call }) => call),
      calls,
    );
  });

  it("lets everyone go at once when something has changed, each once, and leaves no timer", () => {
    const calls = [idleCall(1), idleCall(2), idleCall(1)];
    for (const call of calls) enter(room, call, 9);
    room.releaseAll();
    assert.deepEqual(
      left.map(({ call }) => calls.indexOf(call)),
      [0, 2, 1],
    );
    assert.equal(clock.pending.size, 0);
    clock.advance(1000);
    assert.equal(left.length, 3);
  });

  it("has nothing to release when nobody waits", () => {
    room.releaseAll();
    assert.deepEqual(left, []);
  });

  it("makes a call that comes back while its slot leaves wait anew", () => {
    const environment: Environment = { clock, random: () => 0, open: () => assert.fail("nothing is connected here") };
    const times: number[] = [];
    const again = new WaitingRoom(environment, (call) => {
      times.push(clock.time);
      if (times.length < 4) enter(again, call, times.length);
    });
    enter(again, idleCall(1), 0);
    clock.advance(1000);
    assert.deepEqual(times, [2, 6, 14, 30]);
    assert.equal(clock.pending.size, 0);
  });
});
