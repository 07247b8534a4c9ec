import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Deadlines, type Expiring } from "../../src/routing/deadlines.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { seeded } from "../support/random-keys.ts";

/** Something that notes when it expired. */
class Item implements Expiring {
  moment: Expiring["moment"] = undefined;
  earlier: Expiring | undefined = undefined;
  later: Expiring | undefined = undefined;
  readonly name: string;
  readonly #onExpire: (name: string) => void;

  constructor(name: string, onExpire: (name: string) => void) {
    this.name = name;
    this.#onExpire = onExpire;
  }

  expire(): void {
    this.#onExpire(this.name);
  }
}

describe("Deadlines", () => {
  let clock: FakeClock;
  let deadlines: Deadlines;
  let expired: string[];

  beforeEach(() => {
    clock = new FakeClock();
    deadlines = new Deadlines(clock);
    expired = [];
  });

  const add = (name: string, timeoutMs: number): Item => {
    const item = new Item(name, (each) => expired.push(`${each} at ${clock.time}`));
    deadlines.add(item, timeoutMs);
    return item;
  };

  it("added between a deadline that is due and its expiry delay no other deadline", () => {
    add("a", 1000);
    clock.advance(500);
    add("b", 1000);
    clock.onReads = () => {
      if (clock.time < 1000) return;
      clock.onReads = () => {};
      add("c", 1000);
    };
    clock.advance(1000);
    assert.deepEqual(expired, ["a at 1000", "b at 1500"]);
    clock.advance(500);
    assert.deepEqual(expired, ["a at 1000", "b at 1500", "c at 2000"]);
  });

  it("of a timeout that is used no more leave nothing behind", () => {
    for (let timeoutMs = 1; timeoutMs <= 100; timeoutMs++) add(String(timeoutMs), timeoutMs);
    clock.advance(500);
    assert.equal(expired.length, 100);
    assert.equal(clock.pending.size, 0);
  });

  it("expire after their timeout, once, and not before", () => {
    add("a", 1000);
    clock.advance(999);
    assert.deepEqual(expired, []);
    clock.advance(1);
    assert.deepEqual(expired, ["a at 1000"]);
    clock.advance(10_000);
    assert.deepEqual(expired, ["a at 1000"]);
    assert.equal(clock.pending.size, 0);
  });

  it("expire in the order in which they were made", () => {
    for (const name of ["a", "b", "c"]) add(name, 50);
    clock.advance(50);
    assert.deepEqual(expired, ["a at 50", "b at 50", "c at 50"]);
  });

  it("of different timeouts do not wait for each other", () => {
    add("long", 1000);
    add("short", 10);
    clock.advance(5);
    add("shorter", 1);
    add("long too", 1000);
    clock.advance(2000);
    assert.deepEqual(expired, ["shorter at 6", "short at 10", "long at 1000", "long too at 1005"]);
  });

  it("each come at their own time behind one timer", () => {
    for (const name of ["a", "b", "c"]) {
      add(name, 100);
      clock.advance(30);
    }
    assert.equal(clock.pending.size, 1);
    clock.advance(1000);
    assert.deepEqual(expired, ["a at 100", "b at 130", "c at 160"]);
  });

  it("that are removed never come, wherever they stood", () => {
    for (const position of [0, 1, 2]) {
      expired = [];
      const items = ["a", "b", "c"].map((name) => add(name, 100));
      const [removed] = items.splice(position, 1) as [Item];
      removed.moment?.list.remove(removed);
      clock.advance(100);
      assert.deepEqual(
        expired.map((each) => each[0]),
        items.map(({ name }) => name),
      );
    }
  });

  it("let go of an item that is removed or has expired", () => {
    const items = ["a", "b", "c"].map((name) => add(name, 100)) as [Item, Item, Item];
    items[1].moment?.list.remove(items[1]);
    clock.advance(100);
    for (const { moment, earlier, later } of items) {
      assert.deepEqual([moment, earlier, later], [undefined, undefined, undefined]);
    }
  });

  it("of an item that is added again after its removal count from then", () => {
    const item = add("a", 100);
    clock.advance(60);
    item.moment?.list.remove(item);
    deadlines.add(item, 100);
    clock.advance(99);
    assert.deepEqual(expired, []);
    clock.advance(1);
    assert.deepEqual(expired, ["a at 160"]);
  });

  it("lose against a reply that has arrived when they are due", () => {
    const answered = add("answered", 100);
    add("silent", 100);
    clock.onReads = () => {
      if (clock.time === 100) answered.moment?.list.remove(answered);
    };
    clock.advance(100);
    assert.deepEqual(expired, ["silent at 100"]);
  });

  it("that passed while the event loop was busy lose against replies, too", () => {
    const answered = add("answered", 100);
    add("silent", 100);
    clock.advance(0);
    clock.time = 5000;
    clock.onReads = () => answered.moment?.list.remove(answered);
    clock.advance(0);
    assert.deepEqual(expired, ["silent at 5000"]);
  });

  it("never come early when the clock has fractions of a millisecond", () => {
    clock.time = 0.4;
    const { expiresAt = 0 } = add("a", 10).moment ?? {};
    clock.advance(9.99);
    assert.deepEqual(expired, []);
    clock.advance(2);
    assert.equal(expired.length, 1);
    assert.ok(expiresAt >= 10.4 && expiresAt <= 11.4, `expires at ${expiresAt}`);
  });

  it("need one timer for each timeout, however many items wait, and none that keeps the process alive", () => {
    for (let index = 0; index < 1000; index++) add("a", index % 2 === 0 ? 100 : 200);
    assert.equal(clock.pending.size, 2);
    assert.ok([...clock.pending].every(({ background }) => background));
  });

  it("count from the end of a long tick: what was written late may be answered late", () => {
    add("early", 300);
    clock.time = 400;
    const late = add("late", 300);
    clock.advance(0);
    assert.equal(late.moment?.expiresAt, 700);
    clock.advance(299);
    assert.deepEqual(expired, []);
    clock.advance(1);
    assert.deepEqual(expired, ["early at 700", "late at 700"]);
  });

  it("read the clock twice a tick, however many there are", () => {
    for (let index = 0; index < 100; index++) add("a", 1000);
    assert.equal(clock.readings, 1);
    clock.advance(7);
    const late = add("late", 1000);
    assert.equal(clock.readings, 3);
    assert.equal(late.moment?.expiresAt, 1007);
  });

  it("keep few timers for timeouts that are computed and differ each time, and lose none that is waited for", () => {
    const kept = add("kept", 50_000);
    for (let index = 0; index < 1000; index++) {
      const item = add("done", 60_000 + index);
      item.moment?.list.remove(item);
      assert.ok(clock.pending.size <= 64, `${clock.pending.size} timers`);
    }
    assert.equal(kept.moment?.expiresAt, 50_000);
    clock.advance(50_000);
    assert.deepEqual(expired, ["kept at 50000"]);
  });

  it("cancel their timers when closed", () => {
    add("a", 100);
    add("b", 200);
    deadlines.close();
    assert.equal(clock.pending.size, 0);
    clock.advance(1000);
    assert.deepEqual(expired, []);
  });

  it("come exactly at their time over 5,000 random additions and removals", () => {
    const random = seeded(3);
    const due = new Map<Item, number>();
    const seen: [name: string, late: number][] = [];
    for (let step = 0; step < 5000; step++) {
      const timeoutMs = [1, 20, 20, 300][Math.floor(random() * 4)] as number;
      const item: Item = new Item(String(step), (name) => {
        seen.push([name, clock.time - (due.get(item) as number)]);
        due.delete(item);
      });
      deadlines.add(item, timeoutMs);
      due.set(item, clock.time + timeoutMs);
      const [first] = due.keys();
      if (first && random() < 0.4) {
        first.moment?.list.remove(first);
        due.delete(first);
      }
      if (random() < 0.5) clock.advance(Math.floor(random() * 12));
    }
    clock.advance(1000);
    assert.equal(due.size, 0);
    assert.ok(seen.length > 1000);
    assert.deepEqual(
      seen.filter(([, late]) => late !== 0),
      [],
    );
  });
});
