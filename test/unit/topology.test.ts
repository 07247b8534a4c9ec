import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SLOT_COUNT } from "../../src/protocol/hash-slot.ts";
import { Topology, type TopologyDescription } from "../../src/topology/topology.ts";

type Node = TopologyDescription["nodes"][number];

const primary = (port: number, host = "10.0.0.1"): Node => ({
  id: `id${port}`,
  host,
  port,
  role: "primary",
  primary: undefined,
  health: "online",
});
const replica = (port: number, of: string | undefined): Node => ({ ...primary(port), role: "replica", primary: of });

/** Three primaries in thirds; the first has two replicas, the second one. */
const THIRDS: TopologyDescription = {
  nodes: [
    primary(7000),
    primary(7001),
    primary(7002),
    replica(7003, "10.0.0.1:7000"),
    replica(7004, "10.0.0.1:7001"),
    replica(7005, "10.0.0.1:7000"),
  ],
  slots: [
    { owner: 0, start: 0, end: 5460 },
    { owner: 1, start: 5461, end: 10922 },
    { owner: 2, start: 10923, end: 16383 },
  ],
};
const at = (port: number) => `10.0.0.1:${port}`;

describe("Topology", () => {
  const thirds = Topology.from(THIRDS);

  it("knows the owner of every slot, both ends of a range included", () => {
    const owners: [number, number][] = [
      [0, 7000],
      [5460, 7000],
      [5461, 7001],
      [10922, 7001],
      [10923, 7002],
      [16383, 7002],
    ];
    for (const [slot, port] of owners) {
      assert.equal(thirds.primaryOf(slot)?.address, at(port), String(slot));
      assert.equal(thirds.nodes[thirds.ownerIndexOf(slot)], thirds.primaryOf(slot));
    }
  });

  it("knows no owner of what is no slot", () => {
    for (const slot of [-1, SLOT_COUNT, 0.5, Number.NaN]) {
      assert.equal(thirds.primaryOf(slot), undefined, String(slot));
      assert.equal(thirds.ownerIndexOf(slot), -1);
      assert.deepEqual(thirds.replicasOf(slot), []);
    }
  });

  it("knows the replicas of a slot's owner", () => {
    const replicas = (slot: number) => thirds.replicasOf(slot).map(({ address }) => address);
    assert.deepEqual(replicas(0), [at(7003), at(7005)]);
    assert.deepEqual(replicas(6000), [at(7004)]);
    assert.deepEqual(replicas(16383), []);
  });

  it("lists all nodes with their addresses, those without slots and lost replicas included", () => {
    const { nodes } = Topology.from({ ...THIRDS, nodes: [...THIRDS.nodes, primary(7006), replica(7007, undefined)] });
    assert.deepEqual(
      nodes.map(({ address, role }) => `${address} ${role}`),
      [7000, 7001, 7002, 7003, 7004, 7005, 7006, 7007].map(
        (port) => `${at(port)} ${[7003, 7004, 7005, 7007].includes(port) ? "replica" : "primary"}`,
      ),
    );
  });

  it("writes IPv6 addresses with brackets", () => {
    const { nodes } = Topology.from({ nodes: [primary(7000, "2001:db8::7")], slots: [] });
    assert.equal(nodes[0]?.address, "[2001:db8::7]:7000");
  });

  it("gives the same snapshot in whatever order a server lists nodes and slots", () => {
    const reversed: TopologyDescription = {
      nodes: THIRDS.nodes.toReversed(),
      slots: THIRDS.slots.map((range) => ({ ...range, owner: 5 - range.owner })).toReversed(),
    };
    assert.ok(Topology.from(reversed).equals(thirds));
    assert.equal(Topology.from(reversed).primaryOf(0)?.address, at(7000));
  });

  it("differs by any change of nodes, roles, health or owners", () => {
    const [first, ...others] = THIRDS.nodes as [Node, ...Node[]];
    const changed: TopologyDescription[] = [
      { ...THIRDS, nodes: [...THIRDS.nodes, primary(7006)] },
      { ...THIRDS, nodes: [{ ...first, health: "fail" }, ...others] },
      { ...THIRDS, nodes: [{ ...first, id: "another" }, ...others] },
      { ...THIRDS, nodes: [{ ...first, port: 6999 }, ...others] },
      { ...THIRDS, nodes: [...THIRDS.nodes.slice(0, 5), replica(7005, at(7001))] },
      { ...THIRDS, slots: THIRDS.slots.slice(1) },
      { ...THIRDS, slots: [...THIRDS.slots, { owner: 0, start: 16383, end: 16383 }] },
    ];
    for (const [index, description] of changed.entries()) {
      assert.equal(Topology.from(description).equals(thirds), false, `change ${index}`);
      assert.equal(thirds.equals(Topology.from(description)), false, `change ${index}`);
    }
    assert.ok(Topology.from(THIRDS).equals(thirds));
  });

  it("has maximal ranges in ascending order, with their replicas", () => {
    const { ranges } = Topology.from({
      ...THIRDS,
      slots: [
        { owner: 1, start: 101, end: 200 },
        { owner: 0, start: 0, end: 50 },
        { owner: 0, start: 51, end: 100 },
        { owner: 2, start: 16383, end: 16383 },
      ],
    });
    assert.deepEqual(
      ranges.map((range) => [range.start, range.end, range.primary.port, range.replicas.map(({ port }) => port)]),
      [
        [0, 100, 7000, [7003, 7005]],
        [101, 200, 7001, [7004]],
        [16383, 16383, 7002, []],
      ],
    );
  });

  it("has no range where nobody owns anything", () => {
    const empty = Topology.from({ nodes: [primary(7000)], slots: [] });
    assert.deepEqual(empty.ranges, []);
    assert.equal(empty.primaryOf(0), undefined);
  });

  it("cannot be altered through its lists of replicas", () => {
    for (const { replicas } of thirds.ranges) assert.ok(Object.isFrozen(replicas));
  });

  it("cannot be altered", () => {
    assert.ok(Object.isFrozen(thirds) && Object.isFrozen(thirds.nodes) && Object.isFrozen(thirds.ranges));
    assert.ok(thirds.nodes.every(Object.isFrozen) && thirds.ranges.every(Object.isFrozen));
  });
});

describe("withSlotMoved", () => {
  const before = Topology.from(THIRDS);

  it("moves one slot and no other, in a new snapshot", () => {
    const after = before.withSlotMoved(100, at(7002));
    assert.equal(after.primaryOf(100)?.address, at(7002));
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (slot !== 100) assert.equal(after.ownerIndexOf(slot), before.ownerIndexOf(slot));
    }
    assert.deepEqual(
      after.ranges.map(({ start, end, primary: { port } }) => [start, end, port]),
      [
        [0, 99, 7000],
        [100, 100, 7002],
        [101, 5460, 7000],
        [5461, 10922, 7001],
        [10923, 16383, 7002],
      ],
    );
  });

  it("leaves the snapshot it was made from as it was", () => {
    const old = Topology.from(THIRDS);
    old.withSlotMoved(0, at(7001)).withSlotMoved(1, at(7001));
    assert.ok(old.equals(before));
    assert.equal(old.primaryOf(0)?.address, at(7000));
  });

  it("gives an owner to a slot that had none", () => {
    const empty = Topology.from({ ...THIRDS, slots: [] });
    assert.equal(empty.withSlotMoved(5, at(7001)).primaryOf(5)?.address, at(7001));
  });

  it("is the same snapshot when nothing changes, and an equal one after a move there and back", () => {
    assert.equal(before.withSlotMoved(0, at(7000)), before);
    const back = before.withSlotMoved(0, at(7001)).withSlotMoved(0, at(7000));
    assert.ok(back.equals(before));
    assert.equal(before.withSlotMoved(0, at(7001)).equals(before), false);
  });

  it("is refused for an address that is no node", () => {
    assert.throws(() => before.withSlotMoved(0, "10.9.9.9:1"), RangeError);
  });
});
