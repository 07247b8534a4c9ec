import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Clearing } from "../../src/cache/clearing.ts";
import { bytesOf, copyOf, Entry, type EntryFacts, freeze, hasError, type Reader } from "../../src/cache/entry.ts";
import { Proofs } from "../../src/cache/freshness.ts";
import { OwnWrites } from "../../src/cache/own-writes.ts";
import { alone, hashOf, Question } from "../../src/cache/question.ts";
import { SlotCounts } from "../../src/cache/slot-counts.ts";
import { Store } from "../../src/cache/store.ts";
import type { Clock } from "../../src/environment.ts";
import type { Argument, Reply } from "../../src/protocol/reply.ts";
import { ALL_KEYS, type Writing, type WrittenKeys } from "../../src/routing/call-extras.ts";

function reader(port: number): Reader {
  const proofs = new Proofs(1000);
  proofs.noteRead(0);
  proofs.notePing(0);
  return { address: `10.0.0.1:${port}`, proofs };
}

function entry(asked: string, of: Partial<EntryFacts> = {}, bytes = 100, until = 1000): Entry {
  const question = new Question(1, [asked], []);
  const facts = {
    question,
    keys: [asked],
    slot: 1,
    reader: of.reader ?? ONE,
    isScript: false,
    mayDerive: false,
    ...of,
  };
  return new Entry(facts, asked, false, until, bytes);
}
function got(store: Store, asked: string): Entry | undefined {
  const found = store.get(1, [asked], []);
  return found?.isFresh(0) ? found : undefined;
}
const ONE = reader(1);
const TWO = reader(2);

describe("the store of a cache", () => {
  it("drops by key, slot and reader, and by nothing else", () => {
    const store = new Store(10_000);
    const fill = () => {
      store.put(entry("a", { keys: ["a", "b"] }));
      store.put(entry("c", { slot: 2 }));
      store.put(entry("d", { reader: TWO, slot: 2 }));
    };
    const left = () => ["a", "c", "d"].filter((lookup) => got(store, lookup) !== undefined).join("");
    fill();
    assert.deepEqual([left(), store.size, store.bytes], ["acd", 3, 300]);
    store.dropKey("b", -1);
    assert.equal(left(), "cd");
    store.dropSlot(ONE, 2, "moved");
    assert.equal(left(), "d");
    fill();
    store.dropReader(ONE, "silent");
    assert.equal(left(), "d");
    assert.deepEqual([store.keyOf(ONE), store.keyOf(TWO)], [undefined, "d"]);
    store.dropAll("closed");
    assert.deepEqual([left(), store.size, store.bytes], ["", 0, 0]);
    assert.deepEqual(store.dropped, { "own-write": 1, moved: 1, replaced: 1, silent: 2, closed: 1 });
  });

  it("does no work for what stays when a key changes", () => {
    const store = new Store(100_000_000);
    const scripts = 20_000;
    for (let index = 0; index < scripts; index++) {
      store.put(entry(`script ${index}`, { keys: [`key ${index}`], isScript: true }));
    }
    const before = process.cpuUsage();
    for (let index = 0; index < 20_000; index++) store.invalidate(ONE, "another", true);
    // It takes 10 ms. A look at each script each time would be 400 million looks.
    assert.equal(
      process.cpuUsage(before).user < 500_000,
      true,
      "an invalidation looks at entries that it does not end",
    );
    assert.equal(store.size, scripts);
  });

  it("ends, by an invalidation, what names the key, and scripts that may have read it unnamed", () => {
    const rows = [
      { key: "k", isExpected: true, left: ["other", "given"] },
      { key: "unnamed", isExpected: true, left: ["k", "other", "script", "given"] },
      { key: "unnamed", isExpected: false, left: ["k", "other"] },
    ];
    for (const { key, isExpected, left } of rows) {
      const store = new Store(10_000);
      store.put(entry("k"));
      store.put(entry("other"));
      store.put(entry("script", { keys: ["k", "s"], isScript: true }));
      store.put(entry("given", { keys: ["s"], isScript: true }));
      store.put(entry("deriving", { keys: ["s"], isScript: true, mayDerive: true }));
      store.put(entry("elsewhere", { reader: TWO, keys: ["t"], isScript: true, mayDerive: true }));
      store.invalidate(ONE, key, isExpected);
      const all = ["k", "other", "script", "given", "deriving"];
      assert.deepEqual(
        all.filter((lookup) => got(store, lookup) !== undefined),
        left,
        key,
      );
      assert.ok(got(store, "elsewhere"), "another node's");
    }
  });

  it("is bounded by bytes: what was read last stays, and what is too large is not kept", () => {
    const store = new Store(1000);
    for (let count = 0; count < 10; count++) store.put(entry(`e${count}`));
    got(store, "e0");
    store.put(entry("new", {}, 200));
    assert.deepEqual([store.size, store.bytes, store.evicted], [9, 1000, 2]);
    assert.ok(got(store, "e0"), "it was read last");
    assert.equal(got(store, "e1"), undefined);
    store.put(entry("huge", {}, 1001));
    assert.equal(got(store, "huge"), undefined);
    assert.deepEqual(store.dropped, { "too-large": 1 });
    for (let count = 0; count < 10_000; count++) store.put(entry(`more${count}`));
    assert.equal(store.bytes <= 1000, true, `${store.bytes} bytes`);
  });

  it("clears away, some at a time, what is over", () => {
    const store = new Store(10_000_000);
    for (let count = 0; count < 3000; count++) store.put(entry(`e${count}`, {}, 100, count % 2 === 0 ? 10 : 1000));
    for (let sweeps = 0; sweeps < 6; sweeps++) store.sweep(500);
    assert.equal(store.size, 1500);
    store.clear(3000);
    assert.deepEqual([store.bytes, store.dropped], [150_000, { expired: 1500 }]);
  });

  it("looks at so many at a time, and not again at what has ended, also where all are of one key", () => {
    const store = new Store(100_000_000);
    const begin = performance.now();
    for (let count = 0; count < 20_000; count++) store.put(entry(`e${count}`, { keys: ["k"] }, 100, 10));
    store.put(entry("other", { keys: ["k"], reader: TWO }));
    store.sweep(500);
    assert.equal(store.size, 19_001);
    store.invalidate(ONE, "k", true);
    assert.deepEqual([store.invalidated, store.size, store.waiting], [19_000, 1, 20_000]);
    const filledMs = performance.now() - begin;
    for (let time = 0; time < 1000; time++) store.invalidate(ONE, "k", true);
    for (let time = 0; time < 30; time++) store.sweep(0);
    const againMs = performance.now() - begin - filledMs;
    assert.equal(againMs < 5 * filledMs, true, `${againMs} ms, and ${filledMs} ms at first`);
    store.dropKey("k", -1);
    store.put(entry("new", { keys: ["k"] }));
    store.clear(30_000);
    assert.deepEqual([store.size, store.waiting, store.bytes], [1, 0, 100]);
    store.dropKey("k", -1);
    assert.equal(store.size, 0);
  });
});

describe("what has ended in the store of a cache", () => {
  const SLOTS = 500;
  /** Entries that `ONE` has read, and one of `TWO`. */
  function filled(count: number, of: Partial<EntryFacts> = {}): Store {
    const store = new Store(2 * count * 100);
    for (let index = 0; index < count; index++) store.put(entry(`e${index}`, { slot: index % SLOTS, ...of }));
    store.put(entry("elsewhere", { reader: TWO }));
    return store;
  }
  const hits = (store: Store, count: number) =>
    Array.from({ length: count }, (_, index) => got(store, `e${index}`)).filter(Boolean).length;
  const isOdd = (slot: number) => slot % 2 === 1;
  type Row = [
    what: string,
    drop: (store: Store) => void,
    of: Partial<EntryFacts>,
    left: number,
    why: string,
    count?: number,
  ];
  const rows: Row[] = [
    ["a reader's", (store) => store.dropReader(ONE, "flushed"), {}, 0, "flushed", 100_000],
    ["a slot's", (store) => store.dropSlot(ONE, 3, "moved"), { slot: 3 }, 0, "moved"],
    ["many slots'", (store) => store.dropSlots(ONE, isOdd, "topology"), {}, 0.5, "topology"],
    ["scripts'", (store) => store.invalidate(ONE, "any", true), { isScript: true, mayDerive: true }, 0, "derived-key"],
    ["given keys'", (store) => store.invalidate(ONE, "any", false), { isScript: true }, 0, "derived-key"],
    ["a key's", (store) => store.invalidate(ONE, "k", true), { keys: ["k"] }, 0, "invalidated"],
    ["a written key's", (store) => store.dropKey("k", -1), { keys: ["k"] }, 0, "own-write"],
  ];

  for (const [what, drop, of, share, why, count = 4000] of rows) {
    it(`is served no more, and not one entry is cleared away in the same step: ${what}`, () => {
      const store = filled(count, of);
      const full = store.bytes;
      const left = count * share;
      const ended = () => ({ ...store.dropped, ...(store.invalidated > 0 && { invalidated: store.invalidated }) });
      drop(store);
      assert.deepEqual([store.size, store.waiting, store.bytes], [left + 1, count - left, full]);
      assert.deepEqual(ended(), { [why]: count - left });
      assert.equal(hits(store, count), left);
      assert.ok(got(store, "elsewhere"), "another reader's");
      store.clear(1000);
      assert.deepEqual([store.size, store.waiting > count - left - 1010], [left + 1, true]);
      while (store.waiting > 0) store.clear(1000);
      assert.deepEqual([store.size, store.bytes, hits(store, count)], [left + 1, (left + 1) * 100, left]);
      assert.deepEqual(ended(), { [why]: count - left }, "counted once");
    });
  }

  it("is let go of at once, and not entry by entry, where nothing else is kept", () => {
    for (const isAll of [true, false]) {
      const count = 4000;
      const store = filled(count);
      const old = Array.from({ length: 10 }, (_, index) => store.get(1, [`e${index}`], []) as Entry);
      if (isAll) store.dropAll("closed");
      else {
        store.dropReader(TWO, "closed");
        store.dropReader(ONE, "closed");
      }
      assert.deepEqual([store.size, store.waiting, store.bytes, hits(store, count)], [0, 0, 0, 0]);
      assert.deepEqual(store.dropped, { closed: count + 1 });
      assert.ok(!old.some((each) => each.isFresh(0)), "one that somebody holds");
      store.put(entry("e1"));
      assert.deepEqual([store.size, store.bytes, store.keyOf(ONE)], [1, 100, "e1"]);
      store.dropKey("e1", -1);
      assert.equal(store.size, 0);
    }
  });

  it("does not take with it what is kept again, of the same question, key, slot and reader", () => {
    const all = Array.from({ length: 120 }, (_, index) => `e${index}`);
    const fill = (store: Store) => {
      for (const [index, name] of all.entries()) {
        store.put(entry(name, { keys: ["k", name], isScript: index % 2 === 0, mayDerive: index % 4 === 0 }));
      }
    };
    const ends: ((store: Store) => void)[] = [
      (store) => store.dropReader(ONE, "own-write"),
      (store) => store.dropSlot(ONE, 1, "own-write"),
      (store) => store.dropKey("k", -1),
    ];
    for (const end of ends) {
      const store = new Store(20_000);
      store.put(entry("elsewhere", { reader: TWO }));
      fill(store);
      end(store);
      store.put(entry("e3", { keys: ["k"] }));
      assert.deepEqual([store.size, store.waiting], [2, 119]);
      end(store);
      fill(store);
      assert.deepEqual([store.size, store.waiting, store.bytes], [121, 0, 12_100], "all are replaced");
      store.clear(1000);
      const isThere = all.every((name) => got(store, name));
      assert.equal(isThere, true, "something was cleared with what it replaces");
      assert.deepEqual(store.dropped, { "own-write": 121 }, "what had ended is not replaced");
      store.dropReader(ONE, "silent");
      assert.deepEqual([store.size, store.keyOf(ONE)], [1, undefined]);
    }
  });

  it("ends one time, however often it is dropped", () => {
    const store = new Store(10_000);
    store.put(entry("elsewhere", { reader: TWO }));
    for (let index = 0; index < 10; index++) store.put(entry(`e${index}`, { keys: ["k"] }, 100, index < 5 ? 10 : 1000));
    store.dropReader(ONE, "flushed");
    store.invalidate(ONE, "k", true);
    store.dropSlot(ONE, 1, "moved");
    store.dropReader(ONE, "silent");
    assert.deepEqual([store.invalidated, store.dropped, store.size], [0, { flushed: 10 }, 1]);
    store.sweep(500);
    store.dropKey("k", -1);
    assert.deepEqual([store.dropped, store.waiting, store.bytes], [{ flushed: 10 }, 0, 100]);
    store.clear(10);
    assert.equal(store.size, 1);
  });

  it("makes room before anything is evicted, so that all that is held stays within its bound", () => {
    const store = new Store(1000);
    for (let index = 0; index < 4; index++) store.put(entry(`kept${index}`, { reader: TWO }));
    for (let index = 0; index < 6; index++) store.put(entry(`e${index}`));
    // What is kept was read before what ends.
    store.dropReader(ONE, "flushed");
    for (let index = 0; index < 6; index++) {
      store.put(entry(`new${index}`));
      assert.equal(store.bytes <= 1000, true, `${store.bytes} bytes`);
    }
    assert.deepEqual([store.evicted, store.size, store.waiting], [0, 10, 0]);
    store.put(entry("one more"));
    assert.deepEqual([store.evicted, got(store, "kept0"), store.bytes], [1, undefined, 1000]);
    store.dropReader(ONE, "flushed");
    store.put(entry("huge", {}, 1001));
    assert.deepEqual([store.waiting, store.bytes], [7, 1000], "what is not kept needs no room");
  });

  it("is no key that proves anything; the turn goes on with other slots", () => {
    const store = new Store(10_000);
    for (const slot of [1, 2, 3]) {
      store.put(entry(`plain${slot}`, { slot }));
      store.put(entry(`script${slot}`, { slot, isScript: true, mayDerive: true }));
    }
    const turn = () => Array.from({ length: 6 }, () => store.keyOf(ONE));
    assert.deepEqual(turn().sort(), ["plain1", "plain2", "plain3", "script1", "script2", "script3"]);
    assert.equal(store.keyOf(ONE), "plain1");
    store.dropSlot(ONE, 2, "moved");
    store.invalidate(ONE, "any", true);
    assert.deepEqual([store.keyOf(ONE), store.keyOf(ONE), store.keyOf(ONE)], ["plain3", "plain1", "plain3"]);
    store.dropReader(ONE, "flushed");
    assert.equal(store.keyOf(ONE), undefined);
  });
});

describe("the clearing of a cache", () => {
  /** A clock on which each look takes some time. */
  class SlowClock {
    time = 0;
    readonly timers: { callback: () => void; at: number; background: boolean | undefined }[] = [];
    readonly perLook: number;
    constructor(perLook: number) {
      this.perLook = perLook;
    }
    now = () => {
      this.time += this.perLook;
      return this.time;
    };
    setTimer: Clock["setTimer"] = (callback, delayMs, background) => {
      const timer = { callback, at: this.time + delayMs, background };
      this.timers.push(timer);
      return { cancel: () => void this.timers.splice(this.timers.indexOf(timer), 1) };
    };
    fire(): void {
      const [timer] = this.timers.splice(0, 1);
      this.time = Math.max(this.time, timer?.at ?? 0);
      timer?.callback();
    }
  }
  function begun(perLook: number): { clock: SlowClock; store: Store; clearing: Clearing } {
    const clock = new SlowClock(perLook);
    const store = new Store(10_000_000, undefined, () => clearing.begin());
    const clearing = new Clearing(clock as never, store);
    store.put(entry("elsewhere", { reader: TWO }));
    for (let index = 0; index < 20_000; index++) store.put(entry(`e${index}`));
    store.dropReader(ONE, "flushed");
    return { clock, store, clearing };
  }

  it("goes on in slices of 1 ms, with pauses, until nothing waits", () => {
    // The second look at the clock ends a slice, or none does: a clock may stand still.
    for (const [perLook, most] of [
      [1, 16],
      [0, 1024],
    ] as const) {
      const { clock, store } = begun(perLook);
      assert.equal(store.waiting, 20_000, "nothing is cleared in the step itself");
      for (let waiting = 20_000; waiting > 0; waiting -= most) {
        assert.deepEqual([store.waiting, clock.timers.length, clock.timers[0]?.background], [waiting, 1, true]);
        const { time } = clock;
        clock.fire();
        assert.equal(clock.time - time > 1, true, "without a pause");
      }
      assert.deepEqual([store.waiting, store.size, clock.timers.length], [0, 1, 0]);
    }
  });

  it("ends with the cache", () => {
    const { clock, clearing } = begun(1);
    clock.fire();
    clearing.end();
    assert.equal(clock.timers.length, 0);
  });
});

describe("own writes", () => {
  const begun = (writes: OwnWrites, written: WrittenKeys, slot = 7): Writing => {
    const writing: Writing = { written, slot };
    writes.begin(writing);
    return writing;
  };
  const concerned = (writes: OwnWrites, keys: string, slot = 7) =>
    [...keys].filter((key) => writes.concern([key], slot)).join("");

  it("concern their keys until the last of them is answered", () => {
    const writes = new OwnWrites();
    const first = begun(writes, "a");
    const second = begun(writes, ["a", "b"]);
    assert.equal(concerned(writes, "abc"), "ab");
    assert.deepEqual([writes.concern(["x", "b"], 7), concerned(writes, "abc", 8)], [true, ""]);
    writes.end(second);
    assert.equal(concerned(writes, "abc"), "a");
    const ofAll = begun(writes, ALL_KEYS, -1);
    assert.equal(concerned(writes, "abc"), "abc");
    writes.end(ofAll);
    writes.end(first);
    assert.equal(concerned(writes, "abc"), "");
  });

  it("concern their keys in every slot, if theirs is not known", () => {
    const writes = new OwnWrites();
    const writing = begun(writes, ["a", "b"], -1);
    assert.deepEqual([concerned(writes, "abc"), concerned(writes, "abc", 9)], ["ab", "ab"]);
    writes.end(writing);
    assert.equal(concerned(writes, "abc"), "");
  });

  it("end once, and not before they begin", () => {
    const writes = new OwnWrites();
    for (const written of ["a", ["a", "b"], ALL_KEYS] as const) {
      const early: Writing = { written, slot: 7 };
      writes.end(early);
      assert.equal(early.written, written);
      const writing = begun(writes, written);
      const other = begun(writes, written);
      writes.end(writing);
      writes.end(writing);
      assert.equal(writes.concern(["a"], 7), true);
      writes.end(other);
      assert.equal(writes.concern(["a"], 7), false);
    }
  });

  it("are told apart by the thousand, in whatever order they end", () => {
    const writes = new OwnWrites();
    const all = new Map<string, Writing>();
    for (let index = 0; index < 3000; index++) {
      all.set(`{tag}${index}`, begun(writes, `{tag}${index}`));
      const ends = `{tag}${(index * 7919) % 3000}`;
      const ended = all.get(ends);
      if (ended !== undefined) writes.end(ended);
      all.delete(ends);
      assert.equal(writes.concern([ends], 7), false);
      if (index % 50 > 0) continue;
      for (const key of all.keys()) assert.equal(writes.concern([key], 7), true, key);
    }
    assert.equal(all.size > 1000, true, `${all.size} are under way`);
    for (const writing of all.values()) writes.end(writing);
    for (const key of all.keys()) assert.equal(writes.concern([key], 7), false, key);
  });

  it("concern their keys as before, when a crowd has ended", () => {
    const writes = new OwnWrites();
    for (let round = 0; round < 2; round++) {
      const crowd = Array.from({ length: 5000 }, (_, index) => begun(writes, `k${index}`));
      assert.equal(writes.concern(["k4999"], 7), true);
      for (const each of crowd) writes.end(each);
      assert.equal(writes.concern(["k4999"], 7), false);
    }
    begun(writes, "a");
    assert.equal(concerned(writes, "ab"), "a");
  });

  it("are not looked through one by one for each read, when a crowd was under way and one of it still is", () => {
    const writes = new OwnWrites();
    const few = new OwnWrites();
    for (let index = 0; index < 500; index++) begun(few, `k${index}`);
    const crowd = Array.from({ length: 100_000 }, (_, index) => begun(writes, `k${index}`));
    assert.equal(writes.concern(["k5"], 7), true);
    for (const each of crowd.slice(1)) writes.end(each);
    assert.deepEqual([writes.concern(["k0"], 7), writes.concern(["k5"], 7)], [true, false]);
    const again = begun(writes, ["k5", "k5"]);
    assert.equal(writes.concern(["k5"], 7), true);
    writes.end(again);
    assert.equal(writes.concern(["k5"], 7), false);
    const msOf = (of: OwnWrites) => {
      const begin = performance.now();
      for (let index = 0; index < 300; index++) of.concern([`x${index}`], 7);
      return performance.now() - begin;
    };
    msOf(few);
    const [ofFew, ofCrowd] = [msOf(few), msOf(writes)];
    assert.equal(ofCrowd < 20 * ofFew + 20, true, `${ofCrowd} ms, and ${ofFew} ms with few under way`);
  });
});

describe("the number of things of each slot", () => {
  it("shows whether there are any", () => {
    const slots = new SlotCounts();
    const has = () => [0, 31, 32, 16383].filter((slot) => slots.mayHave(slot));
    for (const slot of [31, 31, 16383]) slots.add(slot);
    assert.deepEqual(has(), [31, 16383]);
    slots.remove(31);
    slots.remove(16383);
    assert.deepEqual(has(), [31]);
    slots.remove(31);
    assert.deepEqual(has(), []);
    assert.equal(slots.mayHave(-1), true, "any slot");
  });
});

describe("what is kept of a reply", () => {
  it("is frozen to its depth; Buffers are copied", () => {
    const reply: Reply = ["a", ["b", null], Buffer.from("c")];
    assert.equal(freeze(reply), true);
    assert.throws(() => (reply[1] as Reply[]).push("x"), TypeError);
    const copy = copyOf(reply) as Reply[];
    (copy[2] as Buffer).fill("x");
    assert.equal(String(reply[2]), "c");
    assert.ok(Object.isFrozen(copy) && Object.isFrozen(copy[1]), "frozen");
    assert.equal(freeze(["a", [1]]), false);
  });

  it("is no error, at any depth", () => {
    const rows: [Reply, boolean][] = [
      ["a", false],
      [[1, ["b"]], false],
      [[1, [new Error("x")]], true],
    ];
    for (const [reply, is] of rows) assert.equal(hasError(reply), is);
  });

  it("is counted by its bytes", () => {
    assert.equal(bytesOf("x".repeat(1000)), 1024);
    assert.equal(bytesOf("\u{1f600}".repeat(500)), 2024);
    assert.equal(bytesOf([Buffer.alloc(1000)]), 1160);
  });
});

describe("what was asked", () => {
  const lists: Argument[][] = [
    [],
    ["a"],
    ["a", "b"],
    ["ab"],
    ["a,1:b"],
    ["a", ",1:b"],
    ["1"],
    [Buffer.from("a")],
    ["b;1:a"],
    ["\0a\0"],
    ["a", Buffer.from("b")],
    ["", ""],
    [""],
    ["a", "b", ""],
  ];

  it("is the same only for the same bytes", () => {
    const all = lists.flatMap((list) =>
      [...list, undefined].map((_, keys) => new Question(1, list.slice(0, keys), list.slice(keys))),
    );
    for (const one of all) assert.equal(all.filter((other) => one.isSameAs(other)).length, 1);
    for (const { keys, args, hash } of all) assert.equal(hashOf(1, keys, args), hash);
    const question = new Question(1, ["k"], ["1", "2", Buffer.from("b")]);
    assert.equal(question.isOf(1, ["k"], [1, 2n, new Uint8Array([98])]), true);
    assert.equal(question.hash, hashOf(1, ["k"], [1, 2n, new Uint8Array([98])]));
    assert.equal(question.isOf(2, ["k"], ["1", "2", Buffer.from("b")]), false);
  });

  it("does not change with the caller's bytes", () => {
    const key = Buffer.from("a");
    const question = new Question(1, [key], []);
    key.fill("b");
    assert.equal(question.isOf(1, [Buffer.from("a")], []), true);
  });

  it("is nobody's where a value is no argument, so that the ordinary checks see it", () => {
    const question = new Question(1, ["k"], ["NaN", "undefined", "true", ""]);
    for (const bad of [undefined, null, {}, [], Number.NaN, true]) {
      for (let place = 0; place < 4; place++) {
        const args = question.args.with(place, bad as never);
        assert.equal(question.isOf(1, ["k"], args), false);
        assert.equal(Number.isInteger(hashOf(1, ["k"], args)), true, "a number");
      }
    }
  });

  it("has a number that is spread well: a hundred thousand keys share few", () => {
    const makers = [
      (index: number) => [`user:${index}`],
      (index: number) => [`{order:${index}}:a`, `{order:${index}}:b`],
      (index: number) => [String.fromCharCode(index & 0xff, index >> 8), index],
    ];
    for (const make of makers) {
      const seen = new Set(Array.from({ length: 100_000 }, (_, index) => hashOf(1, make(index), [])));
      // By chance it is one or two pairs.
      assert.equal(seen.size > 99_980, true, `${seen.size} of 100,000`);
    }
  });

  it("holds no text in memory of which its keys are parts", () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    collect();
    const { heapUsed } = process.memoryUsage();
    const kept = Array.from({ length: 50 }, (_, index) => {
      const text = Buffer.alloc(1_000_000, 97 + (index % 26)).toString();
      const key = text.slice(0, 30);
      return { question: new Question(1, [key], [key]), binary: alone(key) };
    });
    collect();
    const held = process.memoryUsage().heapUsed - heapUsed;
    assert.equal(held < 10_000_000, true, `${held} bytes for ${kept.length} questions`);
    assert.equal(kept[1]?.question.isOf(1, ["b".repeat(30)], ["b".repeat(30)]), true);
  });

  it("takes the place of another question with the same number, and is not taken for it", () => {
    const [one, other] = twins();
    const store = new Store(10_000);
    store.put(entry(one));
    assert.equal(got(store, other), undefined);
    store.put(entry(other));
    assert.deepEqual([got(store, one), got(store, other)?.reply, store.size], [undefined, other, 1]);
    store.dropKey(one, -1);
    assert.equal(got(store, other)?.reply, other);
  });
});

/** Two keys with the same number, the first that are found. */
function twins(): readonly [string, string] {
  const seen = new Map<number, string>();
  for (let index = 0; ; index++) {
    const key = index.toString(36);
    const hash = hashOf(1, [key], []);
    const earlier = seen.get(hash);
    if (earlier !== undefined) return [earlier, key];
    seen.set(hash, key);
  }
}
