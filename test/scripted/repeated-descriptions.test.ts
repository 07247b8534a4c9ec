import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk } from "../support/fake-node.ts";
import { functionsCalled } from "../support/functions-called.ts";

const SLOTS = 16_384;
const REFRESHES = 4;

describe("a cluster of 16,384 ranges that is asked again and again", () => {
  let servers: FakeCluster;
  let offset: number;
  /** The owner of slot 5; every other slot is the first node's if it is even, and the second one's if it is odd. */
  let ownerOfFive: number;
  beforeEach(async () => {
    servers = await FakeCluster.start(2);
    offset = 100;
    ownerOfFive = 1;
    for (const node of servers.nodes) node.shards = () => array(shard(0), shard(1));
  });
  afterEach(() => servers.stop());

  function shard(owner: number): string {
    const bounds: string[] = [];
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((slot === 5 ? ownerOfFive : slot % 2) === owner) bounds.push(`:${slot}\r\n:${slot}\r\n`);
    }
    const node = array(
      ...["id", servers.ids[owner] as string, "endpoint", "127.0.0.1", "role", "master", "health", "online"].map(bulk),
      ...[bulk("port"), `:${servers.node(owner).port}\r\n`, bulk("replication-offset"), `:${offset++}\r\n`],
    );
    return array(bulk("slots"), `*${bounds.length * 2}\r\n${bounds.join("")}`, bulk("nodes"), array(node));
  }

  const asked = () => servers.nodes.map((node) => node.count("CLUSTER SHARDS"));

  it("costs no work for each range where it says what it said, however far replication has come", async () => {
    const cluster = await servers.connect();
    // Either node has described the cluster once on a connection of the client.
    const [first, second] = asked() as [number, number];
    await eventually(async () => {
      await cluster.refreshTopology();
      const [now, then] = asked() as [number, number];
      assert.ok(now > first && then > second, "both nodes were asked");
    });
    const before = servers.queries;
    const calls = await functionsCalled(async () => {
      for (let time = 0; time < REFRESHES; time++) await cluster.refreshTopology();
    });
    // A second node is asked where the first one is slow.
    const each = calls / (servers.queries - before);
    assert.ok(each > 0 && each < 2_000, `${each} functions were called for each question`);
    assert.equal(cluster.topology.ranges.length, SLOTS);
  });

  it("is read where one slot has another owner", async () => {
    const cluster = await servers.connect();
    for (let time = 0; time < 3; time++) await cluster.refreshTopology();
    assert.equal(cluster.topology.primaryOf(5)?.address, servers.node(1).address);
    ownerOfFive = 0;
    await cluster.refreshTopology();
    assert.equal(cluster.topology.primaryOf(5)?.address, servers.node(0).address);
    ownerOfFive = 1;
    await cluster.refreshTopology();
    assert.equal(cluster.topology.primaryOf(5)?.address, servers.node(1).address);
  });
});
