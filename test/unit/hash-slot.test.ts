import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CrossSlotError, InvalidArgumentError } from "../../src/errors.ts";
import { hashTagOf, slotOf, slotOfKeys } from "../../src/protocol/hash-slot.ts";
import type { Argument } from "../../src/protocol/reply.ts";
import { randomKeys } from "../support/random-keys.ts";

/** CRC16 bit by bit (polynomial 0x1021, start 0), for comparison with the table. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

/** The server's rule: what stands between the first `{` and the first `}` after it, if anything does; else all. */
function serversSlot(key: string | Uint8Array): number {
  const bytes = Buffer.from(key as string);
  const open = bytes.indexOf("{");
  const close = open === -1 ? -1 : bytes.indexOf("}", open);
  return crc16(close > open + 1 ? bytes.subarray(open + 1, close) : bytes) & 0x3fff;
}

describe("slotOf", () => {
  const known: [string, number][] = [
    ["", 0],
    ["foo", 12182],
    ["bar", 5061],
    ["hello", 866],
    ["123456789", 0x31c3 & 0x3fff],
    ["foo{bar}{zap}", 5061],
    ["{user1000}.following", 3443],
    ["{user1000}.followers", 3443],
  ];
  for (const [key, slot] of known) {
    it(`of ${JSON.stringify(key)} is ${slot}`, () => {
      assert.equal(slotOf(key), slot);
      assert.equal(slotOf(Buffer.from(key)), slot);
      assert.equal(slotOf(new Uint8Array(Buffer.from(key))), slot);
    });
  }

  const edges = [
    "{}a",
    "{}{a}",
    "{}ab}",
    "a{}b{c}d",
    "{}",
    "{",
    "}",
    "}{",
    "}a{b}",
    "{{}",
    "{{}}",
    "{{a}}",
    "foo{{bar}}zap",
    "foo{}{bar}",
    "{a",
    "a}",
    "{}{}{}",
    "{}{b}{}",
    "x{a}y{b}",
    "{a}{}",
    "\u0000",
    "{\u0000}a",
    "é",
    "{é}x",
    "é{}x{é}",
    "{}é",
    "😀{😀}",
    "\ud83d",
    "{\ude00}",
    "{}\ud83d}",
    "\ude00\ud83d",
    "ab\x7f",
    "ab\x80",
  ];
  for (const key of edges) {
    it(`of ${JSON.stringify(key)} is the server's`, () => {
      assert.equal(slotOf(key), serversSlot(key));
      assert.equal(slotOf(Buffer.from(key)), serversSlot(key));
    });
  }

  it("hashes all of a key with an empty tag, and only the tag of one that has one", () => {
    assert.notEqual(slotOf("{}a"), slotOf("a"));
    assert.notEqual(slotOf("{}{a}"), slotOf("a"));
    assert.equal(slotOf("x{a}y"), slotOf("a"));
    assert.equal(slotOf("{{a}}"), slotOf("{a"));
  });

  it("of a long key is the server's, at every length around its fast path", () => {
    for (const length of [1, 63, 64, 65, 127, 128, 129, 130, 255, 1000, 100_000]) {
      const filler = "k".repeat(length);
      for (const key of [filler, `${filler.slice(1)}é`, `{}${filler}`.slice(0, length), `{a}${filler}`]) {
        assert.equal(slotOf(key), serversSlot(key), `${length} characters`);
      }
    }
  });

  it("is the server's for 25,000 keys full of braces, odd text and bytes", () => {
    for (const key of randomKeys(25_000, 20_240_229)) {
      const slot = slotOf(key);
      if (slot !== serversSlot(key)) assert.fail(`${JSON.stringify(key)}: ${slot}, not ${serversSlot(key)}`);
    }
  });

  it("does not depend on the keys hashed before", () => {
    const keys = ["{}ab", "xyzw", "a{b}", "{}{}", "wxyz"];
    const alone = keys.map(serversSlot);
    for (let round = 0; round < 3; round++) assert.deepEqual(keys.map(slotOf), alone);
  });

  it("leaves a Buffer as it was", () => {
    const key = Buffer.from("{}a{b}");
    slotOf(key);
    assert.equal(key.toString(), "{}a{b}");
  });

  it("of a number or bigint is that of its text", () => {
    assert.equal(slotOf(123456789), 0x31c3 & 0x3fff);
    assert.equal(slotOf(123456789n), 0x31c3 & 0x3fff);
    assert.equal(slotOf(-0), slotOf("0"));
  });

  const refused: [string, unknown][] = [
    ["undefined", undefined],
    ["null", null],
    ["NaN", Number.NaN],
    ["a boolean", false],
    ["an object", {}],
    ["an array", ["a"]],
    ["a Uint16Array", new Uint16Array(1)],
  ];
  for (const [what, key] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => slotOf(key as Argument), InvalidArgumentError);
    });
  }
});

describe("slotOfKeys", () => {
  it("is the one slot of all keys, of whatever kind they are", () => {
    assert.equal(slotOfKeys(["{a}1"]), slotOf("a"));
    assert.equal(slotOfKeys(["{a}1", Buffer.from("{a}2"), new Uint8Array(Buffer.from("a")), "a"]), slotOf("a"));
  });

  it("of keys in several slots throws, naming every key and its slot", () => {
    assert.throws(
      () => slotOfKeys(["foo", Buffer.from("bar"), "{foo}2", 7]),
      (error: unknown) => {
        assert.ok(error instanceof CrossSlotError);
        assert.equal(error.code, "CROSSSLOT");
        assert.equal(error.outcome, "not-executed");
        assert.deepEqual(error.keys, [
          { key: "foo", slot: 12182 },
          { key: "bar", slot: 5061 },
          { key: "{foo}2", slot: 12182 },
          { key: "7", slot: serversSlot("7") },
        ]);
        assert.match(error.message, /"foo" \(slot 12182\), "bar" \(slot 5061\)/);
        return true;
      },
    );
  });

  it("notices one key that is elsewhere, wherever it stands", () => {
    for (let index = 0; index < 4; index++) {
      const keys = ["{a}1", "{a}2", "{a}3", "{a}4"].with(index, "b");
      assert.throws(() => slotOfKeys(keys), CrossSlotError, keys.join(" "));
    }
  });
});

describe("hashTagOf", () => {
  const tags: [string, string | undefined][] = [
    ["a", undefined],
    ["{a}b", "a"],
    ["x{a}{b}", "a"],
    ["{{a}}", "{a"],
    ["{}a", undefined],
    ["{}{a}", undefined],
    ["{a", undefined],
    ["}a{", undefined],
    ["}{a}", "a"],
  ];
  for (const [key, tag] of tags) {
    it(`of ${JSON.stringify(key)} is ${tag === undefined ? "none" : JSON.stringify(tag)}, and what is hashed`, () => {
      assert.equal(hashTagOf(key), tag);
      assert.equal(slotOf(key), crc16(Buffer.from(tag ?? key)) & 0x3fff);
    });
  }
});
