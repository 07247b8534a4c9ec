import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { bytesOf, copyOf, Entry, type EntryFacts, freeze, hasError, type Reader } from "../../src/cache/entry.ts";
import { Proofs } from "../../src/cache/freshness.ts";
import { OwnWrites } from "../../src/cache/own-writes.ts";
import { alone, hashOf, Question } from "../../src/cache/question.ts";
import { SlotCounts } from "../../src/cache/slot-counts.ts";
import { Store } from "../../src/cache/store.ts";
import type { Argument, Reply } from "../../src/protocol/reply.ts";
import { ALL_KEYS, type Writing, type WrittenKeys } from "../../src/routing/call-extras.ts";

const reader = (port: number): Reader => ({ address: `10.0.0.1:${port}`, proofs: new Proofs(1000) });

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
const got = (store: Store, asked: string) => store.get(1, [asked], []);
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
    assert.deepEqual(store.slotsOf(ONE), []);
    assert.deepEqual([store.slotsOf(TWO), store.keyIn(TWO, 2)], [[2], "d"]);
    store.dropAll("closed");
    assert.deepEqual([store.size, store.bytes], [0, 0]);
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
