import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { canaryOf, slotOfCanary } from "../../src/cache/canary.ts";
import { endOf, LapseClock, Proofs, provenUntil } from "../../src/cache/freshness.ts";
import { slotOf } from "../../src/index.ts";

describe("the proofs of a pair of connections", () => {
  const rows = [
    { read: 100, ping: 100, until: 1098, what: "both at one time" },
    { read: 100, ping: 500, until: 1098, what: "the read is older" },
    { read: 500, ping: 100, until: 1098, what: "the PING is older" },
    { read: Number.NEGATIVE_INFINITY, ping: 100, until: Number.NEGATIVE_INFINITY, what: "no read" },
    { read: 100, ping: Number.NEGATIVE_INFINITY, until: Number.NEGATIVE_INFINITY, what: "no PING" },
    { read: 100.9, ping: 200, until: 1098, what: "a fraction is given away" },
  ];
  for (const { read, ping, until, what } of rows) {
    it(`last for maxStaleness from the older one: ${what}`, () => assert.equal(provenUntil(read, ping, 1000), until));
  }

  it("prove nothing before there are both, and nothing after the end", () => {
    const proofs = new Proofs(1000);
    proofs.noteRead(100);
    assert.equal(proofs.until, 0);
    proofs.notePing(200);
    assert.equal(proofs.until, 1098);
    proofs.noteRead(300);
    assert.equal(proofs.until, 1198);
    proofs.end();
    proofs.noteRead(400);
    proofs.notePing(400);
    assert.equal(proofs.until, 0);
  });
});

describe("the end of an entry", () => {
  const rows = [
    { ttl: Number.POSITIVE_INFINITY, until: 60_100, what: "no time to live: maxAge" },
    { ttl: 500, until: 598, what: "the time to live counts from when the read was sent" },
    { ttl: 90_000, until: 60_100, what: "maxAge comes first" },
    { ttl: 0, until: 98, what: "it ends at once" },
  ];
  for (const { ttl, until, what } of rows) it(what, () => assert.equal(endOf(100, ttl, 60_000), until));
});

describe("the clock that shows the larger lapse", () => {
  /** Lapses of the monotonic and the wall clock in turn, and what has passed since the beginning, at least and at most. */
  const rows: { readonly what: string; readonly lapses: [mono: number, wall: number][]; readonly passed: number }[] = [
    { what: "both go alike", lapses: [[1000, 1000]], passed: 1000 },
    { what: "the machine was suspended", lapses: [[10, 3600_000]], passed: 3600_000 },
    { what: "the wall clock is set back", lapses: [[500, -3600_000]], passed: 500 },
    {
      what: "it is set back, and forward again",
      lapses: [
        [500, -10_000],
        [500, 10_000],
      ],
      passed: 10_500,
    },
    {
      what: "it was suspended twice",
      lapses: [
        [1, 1000],
        [1, 2000],
      ],
      passed: 3000,
    },
    {
      what: "the clocks drift",
      lapses: Array.from({ length: 1000 }, (): [number, number] => [1, 1.001]),
      passed: 1001,
    },
    {
      what: "the wall clock tells whole milliseconds",
      lapses: Array.from({ length: 1000 }, (_, at): [number, number] => [0.5, at % 2]),
      passed: 500,
    },
  ];
  for (const { what, lapses, passed } of rows) {
    it(what, () => {
      let [mono, wall] = [5000, 1_700_000_000_000];
      const clock = new LapseClock(
        () => mono,
        () => wall,
      );
      const began = clock.now();
      let last = began;
      for (const [monoMs, wallMs] of lapses) {
        mono += monoMs;
        wall += wallMs;
        const now = clock.now();
        assert.equal(now >= last, true, "never back");
        last = now;
      }
      assert.equal(Math.abs(last - began - passed) <= 2, true, `${last - began} ms`);
    });
  }
});

describe("the clock of who asks again and again", () => {
  function clocks() {
    const state = { mono: 5000, wall: 1_700_000_000_000, looks: 0 };
    const mono = () => {
      state.looks++;
      return state.mono;
    };
    const clock = new LapseClock(mono, () => Math.floor(state.wall));
    const pass = (ms: number) => {
      state.mono += ms;
      state.wall += ms;
    };
    return { state, clock, pass };
  }

  it("is never behind, by one clock within a millisecond", () => {
    const { state, clock, pass } = clocks();
    state.looks = 0;
    for (let asked = 0; asked < 10_000; asked++) {
      pass(0.1);
      const ahead = clock.soon() - state.mono;
      assert.equal(ahead >= 0 && ahead <= 3, true, `${ahead} ms`);
    }
    assert.equal(state.looks <= 1002, true, `${state.looks} looks at the other clock`);
  });

  it("sees at once that the machine was suspended", () => {
    const { state, clock } = clocks();
    const before = clock.soon();
    state.wall += 60_000;
    assert.equal(clock.soon() - before >= 59_997, true, "a minute");
  });

  it("believes a wall clock that comes back to the same millisecond a few times, and not when the other was read", () => {
    const { state, clock } = clocks();
    const before = clock.soon();
    state.mono += 300;
    const asked = Array.from({ length: 20 }, () => clock.soon());
    assert.equal(asked.filter((time) => time === before).length, 16);
    assert.equal(asked.at(-1), before + 300);
    state.mono += 300;
    clock.now();
    assert.equal(clock.soon(), before + 600);
  });
});

describe("the canary of a slot", () => {
  it("is a channel of that slot", () => {
    for (let slot = 0; slot < 16384; slot++) {
      const name = canaryOf(slot);
      assert.deepEqual([slotOf(name), slotOfCanary(name)], [slot, slot]);
    }
    assert.equal(slotOfCanary("somebody's"), undefined);
  });
});
