import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RecentMoves } from "../../src/topology/recent-moves.ts";
import { Topology } from "../../src/topology/topology.ts";

const [A, B, C] = ["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"];

/** A view in which slot 5 belongs to the node with this number. */
function view(owner: number | undefined, failed?: number): Topology {
  const nodes = [1, 2, 3].map((number) => ({
    id: String(number).repeat(40),
    host: `10.0.0.${number}`,
    port: 7000,
    role: "primary" as const,
    primary: undefined,
    health: number === failed ? ("fail" as const) : ("online" as const),
  }));
  return Topology.from({ nodes, slots: owner === undefined ? [] : [{ owner: owner - 1, start: 5, end: 5 }] });
}

/** The slot's owner after the moves, each with its time, and a view of nodes that were asked at `askedAt`. */
function ownerBy(
  moves: readonly [from: string | undefined, to: string, at: number][],
  seen: Topology,
  askedAt: number,
) {
  const recent = new RecentMoves();
  for (const [from, to, at] of moves) recent.note(5, from, to, at);
  return recent.upheldIn(seen, askedAt).primaryOf(5)?.address;
}

describe("what a node says by MOVED", () => {
  it("is not undone by a view that has the owner of before", () => {
    assert.equal(ownerBy([[A, B, 100]], view(1), 150), B);
  });

  it("is not undone by a view of before it", () => {
    assert.equal(ownerBy([[A, B, 100]], view(1), 50), B);
  });

  it("is undone by nodes that were asked a second after it", () => {
    assert.equal(ownerBy([[A, B, 100]], view(1), 1099), B);
    assert.equal(ownerBy([[A, B, 100]], view(1), 1100), A);
  });

  it("does not hold against a third owner", () => {
    assert.equal(ownerBy([[A, B, 100]], view(3), 150), C);
  });

  it("gives an owner to a slot that had none", () => {
    assert.equal(ownerBy([[undefined, B, 100]], view(undefined), 150), B);
  });

  it("does not lead to a node that has failed", () => {
    assert.equal(ownerBy([[A, B, 100]], view(1, 2), 150), A);
  });

  it("is replaced by the next one, also by the way back", () => {
    const back: [string, string, number][] = [
      [A, B, 100],
      [B, A, 110],
    ];
    assert.equal(ownerBy(back, view(2), 150), A);
    assert.equal(ownerBy(back, view(1), 150), A);
  });

  it("counts from the last time when it is said again", () => {
    const twice: [string, string, number][] = [
      [A, B, 100],
      [B, B, 1000],
    ];
    assert.equal(ownerBy(twice, view(1), 1500), B);
  });

  it("leaves a view that knows it as it is", () => {
    const seen = view(2);
    const recent = new RecentMoves();
    recent.note(5, A, B, 100);
    assert.equal(recent.upheldIn(seen, 150), seen);
  });
});
