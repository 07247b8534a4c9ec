import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { slotOf } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk } from "../support/fake-node.ts";

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
