import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Nameable, NodeNames } from "../../src/cli/study/node-names.ts";

const primary = (id: string, firstSlot: number | undefined, address = `h:${id}`): Nameable => ({
  id,
  address,
  firstSlot,
  primary: null,
  isPrimary: true,
});
const replica = (id: string, of: string | null, address = `h:${id}`): Nameable => ({
  id,
  address,
  primary: of,
  isPrimary: false,
  firstSlot: undefined,
});

describe("the names of nodes", () => {
  it("are letters in the order of the first slots, and numbers by address for replicas", () => {
    const nodes = [
      primary("z", undefined),
      replica("r10", "x", "h:10"),
      primary("y", 0),
      replica("r9", "x", "h:9"),
      primary("x", 5),
    ];
    const names = new NodeNames().follow(nodes);
    assert.deepEqual(
      ["y", "x", "r9", "r10", "z"].map((id) => names.of(id)),
      ["A", "B", "B1", "B2", "C"],
    );
    assert.equal(names.of("unheard of"), undefined);
  });

  it("stay through promotion, moved slots and departure, and are never given twice", () => {
    const names = new NodeNames().follow([primary("a", 0), primary("b", 9), replica("a1", "a")]);
    names.follow([replica("a", "a1"), primary("a1", 0), primary("b", undefined)]);
    assert.deepEqual(
      ["a", "a1", "b"].map((id) => names.of(id)),
      ["A", "A1", "B"],
    );
    // The second is a replica of A1, so it is of A's family. B has left, and its letter is not given again.
    names.follow([primary("a1", 0), primary("c", 9), replica("a2", "a1"), replica("lost", null)]);
    assert.deepEqual(
      ["c", "a2", "lost"].map((id) => names.of(id)),
      ["C", "A2", "D"],
    );
  });

  it("go on behind Z", () => {
    const many = Array.from({ length: 703 }, (_, index) => primary(String(index), index));
    const names = new NodeNames().follow(many);
    assert.deepEqual(
      [25, 26, 51, 52, 701, 702].map((index) => names.of(String(index))),
      ["Z", "AA", "AZ", "BA", "ZZ", "AAA"],
    );
  });
});
