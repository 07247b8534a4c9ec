import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, slotOf } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { setScript } from "../support/scripts.ts";

describe("a replica that is promoted", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(3);
    cluster.ranges = [[0, 16_383, 0]];
    for (const replica of [1, 2]) cluster.primaryOf.set(replica, 0);
  });
  afterEach(() => cluster.stop());

  const refreshes = (client: Cluster) => client.metrics().counters.topologyRefreshes;

  /** Node 1 takes over, and node 2 has not heard of it yet. */
  function promote(): void {
    cluster.ranges = [[0, 16_383, 1]];
    cluster.primaryOf.delete(1);
    cluster.primaryOf.set(0, 1);
  }

  it("is asked at once which scripts it has, and gets those that it lost", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    // Now every node is asked which scripts it has; it is a second until refreshes in the background ask again.
    await client.refreshTopology();
    cluster.node(1).scripts.clear();
    promote();
    let refreshesBefore = 0;
    client.on("topology", () => {
      refreshesBefore = refreshes(client);
    });
    cluster.node(0).always("GET", () => error("CLUSTERDOWN The cluster is down"));
    assert.equal(await client.command("GET", "k"), "OK");
    assert.equal(client.topology.primaryOf(slotOf("k"))?.address, cluster.node(1).address);
    await until(() => cluster.node(1).scripts.has(setScript.sha));
    assert.equal(refreshes(client), refreshesBefore + 1, "it was not only asked with a later refresh");
    assert.equal(cluster.node(1).count("EVALSHA"), 0);
  });

  it("is a reason to ask for the topology once more, when the nodes have agreed on it", async () => {
    const client = await cluster.connect();
    promote();
    await client.refreshTopology();
    const replicas = () => client.topology.replicasOf(0).map(({ address }) => address);
    assert.deepEqual(replicas(), [cluster.node(0).address]);
    cluster.primaryOf.set(2, 1);
    await until(() => replicas().length === 2);
    assert.deepEqual(replicas().sort(), [0, 2].map((index) => cluster.node(index).address).sort());
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds(); ) {
    assert.ok(Date.now() < deadline, String(holds));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
