import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, slotOf } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk, error } from "../support/fake-node.ts";

describe("a shard with two living primaries, as servers from 7.2 on show during a failover", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
  });
  afterEach(() => cluster.stop());

  /** One shard, without the slots that its second node has by now. */
  const showRivals = () => {
    const entries = cluster.nodes.map(({ port }, index) => {
      const fields = [
        "id",
        cluster.node(index).id as string,
        "endpoint",
        "127.0.0.1",
        "role",
        "master",
        "health",
        "online",
      ];
      return array(...fields.map(bulk), bulk("port"), `:${port}\r\n`);
    });
    const shard = array(bulk("slots"), array(), bulk("nodes"), array(...entries));
    for (const node of cluster.nodes) node.shards = () => array(shard);
  };
  const nodesReply = () =>
    bulk(
      cluster.nodes
        .map(
          ({ port }, index) =>
            `${cluster.node(index).id} 127.0.0.1:${port}@1 master - 0 0 1 connected${index === 1 ? " 0-16383" : ""}`,
        )
        .join("\n"),
    );

  it("has its slots where CLUSTER NODES has them: no call is told that nobody owns its slot", async () => {
    const client = await cluster.connect();
    showRivals();
    for (const node of cluster.nodes) node.always("CLUSTER NODES", nodesReply);
    await client.refreshTopology();
    assert.equal(client.topology.primaryOf(slotOf("k"))?.address, cluster.node(1).address);
    cluster.node(1).expect("GET", bulk("v"));
    assert.equal(await client.command("GET", "k"), "v");
  });

  it("is believed as it is shown where CLUSTER NODES is forbidden", async () => {
    const client = await cluster.connect();
    showRivals();
    for (const node of cluster.nodes) node.always("CLUSTER NODES", () => "-NOPERM no permissions\r\n");
    await client.refreshTopology();
    assert.equal(client.topology.nodes.length, 2);
  });
});

describe("a shard without a living node, whose slots CLUSTER SHARDS of Redis 8 keeps back", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    client = await cluster.connect();
    const shard = (index: number, slots: number[], health: string) => {
      const { id, port } = cluster.node(index);
      const fields = ["id", id as string, "endpoint", "127.0.0.1", "role", "master", "health", health].map(bulk);
      const entry = array(...fields, bulk("port"), `:${port}\r\n`);
      return array(bulk("slots"), array(...slots.map((slot) => `:${slot}\r\n`)), bulk("nodes"), array(entry));
    };
    for (const node of cluster.nodes) node.shards = () => array(shard(0, [0, 8191], "online"), shard(1, [], "fail"));
  });
  afterEach(() => cluster.stop());

  const NODES = () =>
    bulk(
      [
        `${cluster.node(0).id} 127.0.0.1:${cluster.node(0).port}@1 myself,master - 0 0 1 connected 0-8191`,
        `${cluster.node(1).id} 127.0.0.1:${cluster.node(1).port}@1 master,fail - 0 0 2 disconnected 8192-16383`,
      ].join("\n"),
    );
  const SLOTS = () => {
    const entry = (index: number, start: number, end: number) => {
      const { id, port } = cluster.node(index);
      return array(`:${start}\r\n`, `:${end}\r\n`, array(bulk("127.0.0.1"), `:${port}\r\n`, bulk(id as string)));
    };
    return array(entry(0, 0, 8191), entry(1, 8192, 16383));
  };
  const forbidden = () => error("NOPERM this user has no permissions");

  /** The owner of the last slot after a refresh, and its health. */
  async function ownerAfter(nodes: () => string, slots: () => string): Promise<readonly [string, string] | undefined> {
    for (const node of cluster.nodes) {
      node.always("CLUSTER NODES", nodes);
      node.always("CLUSTER SLOTS", slots);
    }
    await client.refreshTopology();
    const owner = client.topology.primaryOf(16_383);
    return owner && [owner.address, owner.health];
  }

  it("keeps its slots, as CLUSTER NODES has them", async () => {
    assert.deepEqual(await ownerAfter(NODES, forbidden), [cluster.node(1).address, "fail"]);
  });

  it("keeps its slots, as CLUSTER SLOTS has them, where CLUSTER NODES is forbidden", async () => {
    assert.deepEqual(await ownerAfter(forbidden, SLOTS), [cluster.node(1).address, "fail"]);
  });

  it("is believed as it is shown where both are forbidden", async () => {
    assert.equal(await ownerAfter(forbidden, forbidden), undefined);
  });
});
