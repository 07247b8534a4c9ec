import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { asEntries, asObject, asPairs, InvalidArgumentError, type Reply } from "../../src/index.ts";

const bytes = (text: string) => Buffer.from(text);
const INVALID_UTF8 = Buffer.from([0xff, 0xfe]);

/** As `{ ...object }`, so that objects without prototype are compared by their properties alone. */
const plain = (object: object | null) => object && Object.fromEntries(Object.entries(object));

describe("asObject", () => {
  it("makes an object of names and values, in their order", () => {
    const object = asObject(["b", "1", "a", "2"]);
    assert.deepEqual(Object.entries(object), [
      ["b", "1"],
      ["a", "2"],
    ]);
    assert.deepEqual(Object.keys(asObject([])), []);
  });

  it("takes any field for a field: __proto__ and the names of Object.prototype", () => {
    const object = asObject(["__proto__", "1", "constructor", "2"]);
    assert.equal(Object.getPrototypeOf(object), null);
    assert.deepEqual(Object.entries(object), [
      ["__proto__", "1"],
      ["constructor", "2"],
    ]);
    const inherited: unknown = asObject(["a", "1"]).toString;
    assert.equal(inherited, undefined);
    assert.equal(({} as { a?: string }).a, undefined);
  });

  it("keeps values of any kind, and Buffers as they are under names of text", () => {
    const value = Buffer.from([0xff]);
    assert.equal(asObject([bytes("ä"), value]).ä, value);
    assert.deepEqual(plain(asObject<Reply>(["length", 2, "first", null, "nested", ["a"]])), {
      length: 2,
      first: null,
      nested: ["a"],
    });
  });

  it("refuses what is not flat pairs, and says what is wrong", () => {
    const refused = (reply: unknown, message: RegExp) =>
      assert.throws(() => asObject(reply as Reply[]), { name: "InvalidArgumentError", message }, String(message));
    refused(null, /asObject: the reply is null; accepted is a flat array of names and values in turn\./);
    refused("text", /the reply is of type string/);
    refused(["a"], /the reply has 1 elements, so the last one has no value/);
    refused([["a", "1"], null], /element 0 is an array; accepted is a name/);
    refused(["a", "1", 5, "2"], /element 2 is a number/);
    refused([INVALID_UTF8, "1"], /element 0 is a name that is not UTF-8; accepted is text; asPairs takes any bytes/);
  });
});

describe("asPairs", () => {
  it("keeps the order and what comes twice, and takes any bytes", () => {
    assert.deepEqual(asPairs(["a", "1", "b", "2.5", "a", "3"]), [
      ["a", "1"],
      ["b", "2.5"],
      ["a", "3"],
    ]);
    assert.deepEqual(asPairs([INVALID_UTF8, bytes("1")]), [[INVALID_UTF8, bytes("1")]]);
    assert.deepEqual(asPairs([]), []);
  });

  it("refuses what is not flat pairs", () => {
    assert.throws(() => asPairs(["a", "1", "b"]), InvalidArgumentError);
    assert.throws(() => asPairs(null as never), /asPairs: the reply is null/);
  });
});

describe("asEntries", () => {
  it("makes objects of entries; null for the fields of a deleted one, nothing for a deleted entry", () => {
    const entries = asEntries([["1-0", ["a", "1", "__proto__", "2"]], ["2-0", null], null, ["3-0", [], 1000, 2]]);
    assert.deepEqual(
      entries.map(({ id, fields }) => [id, fields && Object.entries(fields)]),
      [
        [
          "1-0",
          [
            ["a", "1"],
            ["__proto__", "2"],
          ],
        ],
        ["2-0", null],
        ["3-0", []],
      ],
    );
  });

  it("keeps Buffers as values", () => {
    const [entry] = asEntries([[bytes("1-0"), [bytes("a"), INVALID_UTF8]]]);
    assert.equal(entry?.id, "1-0");
    assert.equal(entry?.fields?.a, INVALID_UTF8);
  });

  it("refuses what is no array of entries", () => {
    const refused = (reply: unknown, message: RegExp) =>
      assert.throws(() => asEntries(reply as never), { name: "InvalidArgumentError", message }, String(message));
    refused(null, /asEntries: the reply is null; accepted is an array of entries/);
    refused(["1-0", "2-0"], /element 0 is no entry/);
    // A reply of XREAD is one of streams.
    refused([["stream", [["1-0", ["a", "1"]]]]], /asEntries: the reply has 1 elements/);
    refused([["1-0"]], /element 0 is no entry/);
    refused([[5, []]], /element 0 is no entry/);
    refused([["1-0", ["a"]]], /has 1 elements/);
  });
});
