import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, SlotwireError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

/** Of the first and of the last of three nodes. */
const [FIRST, LAST] = [keyForSlot(0), keyForSlot(16_000)];

describe("a view", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  let describeAll: () => ReturnType<FakeCluster["nodes"][number]["shards"]>;
  beforeEach(async () => {
    cluster = await FakeCluster.start(3);
    describeAll = cluster.node(0).shards;
    client = await cluster.connect();
  });
  afterEach(() => cluster.stop());

  /** What node `index` says from now on: the owners of the three thirds, by index, and how many nodes it lists. */
  const says = (index: number, owners: readonly (number | undefined)[], announced = 3) => {
    const all = [cluster.announced, cluster.ranges] as const;
    const thirds = [0, 5461, 10_922, 16_384];
    cluster.announced = announced;
    cluster.ranges = owners.flatMap((owner, third) =>
      owner === undefined ? [] : [[thirds[third] as number, (thirds[third + 1] as number) - 1, owner]],
    );
    const said = describeAll();
    [cluster.announced, cluster.ranges] = all;
    const node = cluster.node(index);
    node.shards = () => said;
  };
  const epochs = (...of: number[]) => {
    const lines = of.map((epoch, index) => `${cluster.ids[index]} 127.0.0.1:1@2 master - 0 0 ${epoch} connected`);
    for (const node of cluster.nodes) node.always("CLUSTER NODES", () => bulk(lines.join("\n")));
  };
  const refresh = async (times: number) => {
    for (let time = 0; time < times; time++) await client.refreshTopology();
  };
  const owners = () => [0, 6000, 16_000].map((slot) => client.topology.primaryOf(slot)?.address);
  const addresses = () => cluster.nodes.map(({ address }) => address);

  it("of one node that lacks a node is outvoted: the topology stays, and calls go on", async () => {
    says(0, [0, 1, undefined], 2);
    await refresh(10);
    assert.deepEqual(owners(), addresses());
    assert.equal(await client.command("GET", LAST), "OK");
  });

  it("of two nodes that lack a node counts", async () => {
    says(0, [0, 1, 1], 2);
    says(1, [0, 1, 1], 2);
    await refresh(10);
    assert.equal(client.topology.nodes.length, 2);
  });

  it("of one node that has an older owner is outvoted: its epoch is lower", async () => {
    epochs(1, 2, 3);
    says(1, [1, 1, 0]);
    await refresh(10);
    assert.deepEqual(owners(), addresses());
  });

  it("of one node that has a new owner of a higher epoch counts at once, as after a failover", async () => {
    epochs(1, 2, 3);
    says(2, [2, 1, 2]);
    for (let time = 0; time < 50 && owners()[0] !== cluster.node(2).address; time++) await refresh(1);
    assert.equal(owners()[0], cluster.node(2).address);
  });

  it("of nodes whose cluster is down does not count while others' is up", async () => {
    for (const index of [0, 1]) {
      says(index, [0, 1, undefined]);
      cluster.node(index).always("CLUSTER INFO", () => bulk("cluster_enabled:1\r\ncluster_state:fail\r\n"));
    }
    await refresh(10);
    assert.deepEqual(owners(), addresses());
    cluster.node(2).always("CLUSTER INFO", () => bulk("cluster_state:fail\r\n"));
    says(2, [0, 1, undefined]);
    await refresh(1);
    assert.equal(owners()[2], undefined);
  });

  it("of the only node within reach counts when it has said the same for 200 ms", async () => {
    for (const index of [1, 2]) await cluster.node(index).stop();
    says(0, [0, 0, undefined]);
    const start = performance.now();
    while (owners()[1] !== cluster.node(0).address) await refresh(1);
    assert.ok(performance.now() - start >= 195, `${performance.now() - start} ms`);
  });

  it("costs an ordinary refresh one question to one node", async () => {
    const before = cluster.queries;
    await refresh(5);
    assert.equal(cluster.queries - before, 5);
  });

  describe("in which a slot has no owner", () => {
    const lose = () => {
      for (const index of [0, 1, 2]) says(index, [0, 1, undefined]);
    };

    it("makes its calls wait for 200 ms, then UNAVAILABLE, long before their deadline", async () => {
      lose();
      await refresh(1);
      const start = performance.now();
      const error = await client.command("GET", LAST).catch((cause: unknown) => cause);
      assert.ok(error instanceof SlotwireError);
      assert.deepEqual([error.code, error.outcome], ["UNAVAILABLE", "not-executed"]);
      const took = performance.now() - start;
      assert.ok(took >= 195 && took < 2000, `${took} ms`);
    });

    it("makes its calls wait longer while no two nodes say so alike", async () => {
      lose();
      await refresh(1);
      says(1, [0, undefined, undefined]);
      says(2, [undefined, 1, undefined]);
      const call = client.command("GET", LAST);
      await Promise.race([call.catch(() => assert.fail("it was given up")), sleep(700)]);
      assert.deepEqual(owners().slice(0, 2), addresses().slice(0, 2));
      for (const index of [0, 1, 2]) says(index, [0, 1, 2]);
      assert.equal(await call, "OK");
    });

    it("makes its calls wait for an owner, and serves them in order when there is one", async () => {
      lose();
      await refresh(1);
      assert.equal(owners()[2], undefined);
      const calls = Array.from({ length: 20 }, (_, index) => client.command("SET", LAST, index));
      await sleep(20);
      for (const index of [0, 1, 2]) says(index, [0, 1, 2]);
      calls.push(...Array.from({ length: 20 }, (_, index) => client.command("SET", LAST, 20 + index)));
      let late: Promise<unknown> | undefined;
      client.on("topology", () => {
        late ??= client.command("SET", LAST, 40);
      });
      assert.deepEqual(new Set(await Promise.all(calls)), new Set(["OK"]));
      await late;
      const ran = cluster.node(2).received.filter(({ args }) => args[0] === "SET");
      assert.deepEqual(
        ran.map(({ args }) => Number(args[2])),
        Array.from({ length: 41 }, (_, index) => index),
      );
      assert.equal(await client.command("GET", FIRST), "OK");
    });
  });
});
