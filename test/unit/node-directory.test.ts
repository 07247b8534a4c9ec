import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClusterNode } from "../../src/routing/cluster-node.ts";
import { NodeDirectory } from "../../src/routing/node-directory.ts";
import { Topology, type TopologyNode } from "../../src/topology/topology.ts";

const HALF = 8192;

/** Primaries by the last number of their host, each with a range of slots or none. */
function topologyOf(ranges: Readonly<Record<number, readonly [start: number, end: number] | undefined>>): Topology {
  const hosts = Object.keys(ranges).map(Number);
  const nodes = hosts.map((host) => ({
    ...{ id: String(host), host: `10.0.0.${host}`, port: 7000 },
    ...{ role: "primary" as const, health: "online" as const, primary: undefined },
  }));
  const slots = hosts.flatMap((host, owner) => {
    const [start, end] = ranges[host] ?? [];
    return start === undefined || end === undefined ? [] : [{ owner, start, end }];
  });
  return Topology.from({ nodes, slots });
}

describe("the directory of nodes", () => {
  it("has the new owners of slots when it tells which nodes are gone: their calls look for a node then", () => {
    const open = (info: TopologyNode) => ({ address: info.address, info, pool: { ready: true } }) as ClusterNode;
    const seen: (string | undefined)[] = [];
    const directory: NodeDirectory = new NodeDirectory({
      open,
      onRemoved: ({ address }) => seen.push(address, directory.ownerOf(HALF)?.address, directory.ownerOf(0)?.address),
    });
    directory.follow(topologyOf({ 1: [0, HALF - 1], 2: [HALF, 16_383], 3: undefined }));
    // The node without slots is now in the place of the one that is gone.
    directory.follow(topologyOf({ 1: [0, HALF - 1], 3: undefined }));
    assert.deepEqual(seen, ["10.0.0.2:7000", undefined, "10.0.0.1:7000"]);
    directory.follow(topologyOf({ 3: [0, 16_383] }));
    assert.deepEqual(seen.slice(3), ["10.0.0.1:7000", "10.0.0.3:7000", "10.0.0.3:7000"]);
  });
});
