import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Reply } from "../../src/protocol/reply.ts";
import type { TopologyDescription } from "../../src/topology/topology.ts";
import { parseClusterNodes, parseClusterShards } from "../../src/topology/topology-reply.ts";

const ASKED = { host: "10.0.0.9", port: 7000 };
const LAST = { host: "10.0.0.1", port: 7001 };
const lastAddress = (id: string) => (id === "gone" ? LAST : undefined);

const shards = (...extra: Reply[]): Reply => [
  [
    ["slots", [0, 99]],
    ["nodes", [["id", "gone", "ip", "", "endpoint", "", "role", "master", "health", "online"], entry("replica", 7002)]],
  ].flat(),
  ["slots", [100, 16_383], "nodes", [entry("living", 7003, "master")]],
  ...extra,
];
function entry(id: string, port: number, role = "replica"): Reply {
  return ["id", id, "port", port, "ip", "10.0.0.1", "endpoint", "10.0.0.1", "role", role, "health", "online"];
}
const lines = (...extra: string[]) =>
  [
    "gone :0@0 master,noaddr - 0 0 1 disconnected 0-99",
    "replica 10.0.0.1:7002@17002 slave gone 0 0 1 connected",
    "living 10.0.0.1:7003@17003 myself,master - 0 0 2 connected 100-16383",
    ...extra,
  ].join("\n");
/** The nodes with their health and the number of their slots. */
const shown = ({ nodes, slots }: TopologyDescription) =>
  nodes.map(({ id, host, port, health, primary }, index) => {
    const ranges = slots.filter(({ owner }) => owner === index).map(({ start, end }) => `${start}-${end}`);
    return [id, `${host}:${port}`, health, primary, ranges.join()].join(" ");
  });

/** The servers forget the address of a node when another node answers there. */
describe("a node whose address the servers have forgotten", () => {
  const expected = [
    "gone 10.0.0.1:7001 fail  0-99",
    "replica 10.0.0.1:7002 online 10.0.0.1:7001 ",
    "living 10.0.0.1:7003 online  100-16383",
  ];

  it("keeps its slots and its last address, and counts as failed (CLUSTER SHARDS)", () => {
    assert.deepEqual(shown(parseClusterShards(shards(), ASKED, false, lastAddress)), expected);
  });

  it("keeps its slots and its last address, and counts as failed (CLUSTER NODES)", () => {
    assert.deepEqual(shown(parseClusterNodes(lines(), ASKED, lastAddress)), expected);
  });

  it("is left out where nobody knows where it was", () => {
    const [byShards, byNodes] = [parseClusterShards(shards(), ASKED, false), parseClusterNodes(lines(), ASKED)];
    for (const { nodes } of [byShards, byNodes]) {
      assert.deepEqual(
        nodes.map(({ id }) => id),
        ["replica", "living"],
      );
    }
  });

  it("does not take the address from a node that is there under another id", () => {
    const heir = ["slots", [], "nodes", [entry("heir", LAST.port, "master")]];
    const byShards = parseClusterShards(shards(heir), ASKED, false, lastAddress);
    const byNodes = parseClusterNodes(lines("heir 10.0.0.1:7001@17001 master - 0 0 3 connected"), ASKED, lastAddress);
    for (const { nodes } of [byShards, byNodes]) {
      assert.deepEqual(
        nodes.filter(({ port }) => port === LAST.port).map(({ id, health }) => [id, health]),
        [["heir", "online"]],
      );
    }
  });
});
