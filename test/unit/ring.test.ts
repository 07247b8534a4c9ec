import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ring } from "../../src/protocol/ring.ts";
import { seeded } from "../support/random-keys.ts";

const items = (count: number) => Array.from({ length: count }, (_, number) => ({ number }));

describe("Ring", () => {
  it("gives back what was pushed, oldest first", () => {
    const ring = new Ring<{ number: number }>();
    const pushed = items(5);
    for (const item of pushed) ring.push(item);
    assert.deepEqual(
      pushed.map(() => ring.shift()),
      pushed,
    );
  });

  it("is empty without complaint", () => {
    const ring = new Ring<object>(2);
    assert.equal(ring.size, 0);
    assert.equal(ring.peek(), undefined);
    assert.equal(ring.shift(), undefined);
    assert.deepEqual(ring.takeAll(), []);
    assert.equal(ring.size, 0);
  });

  it("keeps the order when it grows with its head anywhere", () => {
    for (let head = 0; head < 4; head++) {
      const ring = new Ring<{ number: number }>(4);
      for (const item of items(head)) {
        ring.push(item);
        ring.shift();
      }
      const pushed = items(9);
      for (const item of pushed) ring.push(item);
      assert.equal(ring.size, 9);
      assert.deepEqual(ring.takeAll(), pushed, `head at ${head}`);
    }
  });

  it("keeps the order over many segments, and finds an item in any of them", () => {
    const ring = new Ring<{ number: number }>();
    const pushed = items(5000);
    for (const item of pushed) ring.push(item);
    for (const number of [0, 15, 16, 700, 4999]) {
      assert.equal(
        ring.some((item) => item.number === number),
        true,
        `item ${number}`,
      );
    }
    for (const item of pushed.slice(0, 4000)) assert.equal(ring.shift(), item);
    assert.equal(
      ring.some(({ number }) => number < 4000),
      false,
    );
    assert.deepEqual(ring.takeAll(), pushed.slice(4000));
  });

  it("peeks at the oldest without taking it", () => {
    const ring = new Ring<{ number: number }>();
    const [first, second] = items(2) as [{ number: number }, { number: number }];
    ring.push(first);
    ring.push(second);
    assert.equal(ring.peek(), first);
    assert.equal(ring.shift(), first);
    assert.equal(ring.peek(), second);
  });

  it("can be used on after takeAll", () => {
    const ring = new Ring<{ number: number }>(2);
    for (const item of items(3)) ring.push(item);
    assert.equal(ring.takeAll().length, 3);
    assert.equal(ring.size, 0);
    const again = items(6);
    for (const item of again) ring.push(item);
    assert.deepEqual(ring.takeAll(), again);
  });

  it("holds nothing that was taken out, however often it goes round", () => {
    const ring = new Ring<object>(4);
    for (let turn = 0; turn < 8; turn++) {
      assert.equal(ring.peek(), undefined);
      ring.push({});
      ring.shift();
    }
  });

  it("does what a plain array does, over 20,000 random steps", () => {
    const random = seeded(42);
    const ring = new Ring<{ number: number }>(1);
    let model: { number: number }[] = [];
    for (let step = 0; step < 20_000; step++) {
      const chance = random();
      if (chance < 0.55) {
        const item = { number: step };
        ring.push(item);
        model.push(item);
      } else if (chance < 0.999) {
        assert.equal(ring.peek(), model[0]);
        assert.equal(ring.shift(), model.shift());
      } else {
        assert.deepEqual(ring.takeAll(), model);
        model = [];
      }
      assert.equal(ring.size, model.length);
    }
  });
});
