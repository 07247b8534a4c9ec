import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster, ConnectOptions } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk, error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

/** Slots whose reads begin with different nodes. */
const KEYS = Array.from({ length: 12 }, (_, slot) => keyForSlot(slot));
const IN_ZONE_A = { zone: "a" };

describe("reads from an availability zone", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(4);
    cluster.ranges = [[0, 16_383, 0]];
    for (const replica of [1, 2, 3]) cluster.primaryOf.set(replica, 0);
    for (const [index, node] of cluster.nodes.entries()) node.always("GET", () => bulk(String(index)));
  });
  afterEach(() => cluster.stop());

  const open = async (options: Partial<ConnectOptions>) => {
    client = await cluster.connect({ commandTimeout: 20_000, ...options });
  };
  const setZones = (...zones: string[]) => cluster.zones.splice(0, cluster.zones.length, ...zones);
  /** Which nodes serve the reads of all keys. */
  const readers = async (view = client) => {
    const replies = await Promise.all(KEYS.map((key) => view.command("GET", key)));
    return [...new Set(replies)].sort().join(" ");
  };
  const readUntil = async (wanted: string, view = client) => {
    const start = performance.now();
    for (let seen = ""; seen !== wanted; seen = await readers(view)) {
      assert.equal(performance.now() - start < 20_000, true, `${wanted} serve, not ${seen}`);
      await sleep(5);
    }
  };
  const infos = () => cluster.nodes.map((node) => node.count("INFO"));

  it("are served by all its nodes, primary and replicas alike, and by no other while one of them can", async () => {
    setZones("a", "a", "a", "b");
    await open({ readFrom: IN_ZONE_A });
    await readUntil("0 1 2");
    for (let time = 0; time < 10; time++) assert.equal(await readers(), "0 1 2");
    assert.equal(await readers(client.with({ readFrom: { zone: "b" } })), "3");
    assert.deepEqual(infos(), [0, 0, 0, 0], "nobody is asked for what CLUSTER SHARDS tells");
    const zones = client.topology.nodes.map(({ address, zone }) => [address, zone]);
    assert.deepEqual(new Map(zones as []), new Map(cluster.nodes.map(({ address }, at) => [address, "aaab"[at]])));
  });

  it("follow a change at the next refresh", async () => {
    setZones("b", "a", "a", "b");
    await open({ readFrom: IN_ZONE_A });
    await readUntil("1 2");
    const changed = new Promise<void>((resolve) => client.once("topology", () => resolve()));
    setZones("b", "b", "b", "a");
    assert.equal(await readers(), "1 2");
    await client.refreshTopology();
    await changed;
    assert.equal(await readers(), "3");
    assert.equal(client.node(cluster.node(3).address).zone, "a");
    setZones("b", "b", "b");
    await client.refreshTopology();
    assert.equal(client.node(cluster.node(3).address).zone, undefined);
    assert.equal(await readers(), "0 1 2 3", "no node is in the zone, so all serve");
  });

  it("leave it while none of its nodes can serve, and come back", async () => {
    setZones("b", "a", "b", "b");
    await open({ readFrom: IN_ZONE_A });
    await readUntil("1");
    cluster.node(1).always("GET", () => error("LOADING Redis is loading the dataset in memory"));
    await readUntil("0 2 3");
    cluster.node(1).always("GET", () => bulk("1"));
    await readUntil("1");
  });

  it("are hedged by another node of the zone, or of any zone where there is none", async () => {
    setZones("b", "a", "a", "b");
    await open({ readFrom: IN_ZONE_A });
    await readUntil("1 2");
    const view = client.with({ hedge: { after: 20, budget: 1 } });
    cluster.node(1).always("GET", () => "hang");
    assert.equal(await readers(view), "2");
    cluster.node(2).always("GET", () => "hang");
    const rest = await Promise.all(KEYS.map((key) => view.command("GET", key)));
    for (const reply of rest) assert.match(String(reply), /^[03]$/);
  });

  describe("of servers that do not tell zones in CLUSTER SHARDS", () => {
    beforeEach(() => {
      for (const [index, node] of cluster.nodes.entries()) {
        node.always("INFO", () => bulk(`# Server\r\navailability_zone:${"abba"[index]}\r\nrun_id:x\r\n`));
      }
    });

    it("ask the nodes by INFO before connect resolves, and at each refresh", async () => {
      await open({ readFrom: IN_ZONE_A });
      assert.deepEqual(infos(), [1, 1, 1, 1]);
      await readUntil("0 3");
      const zones = client.topology.nodes.map(({ address, zone }) => [address, zone]);
      assert.deepEqual(new Map(zones as []), new Map(cluster.nodes.map(({ address }, at) => [address, "abba"[at]])));
      cluster.node(1).always("INFO", () => bulk("# Server\r\navailability_zone:a\r\n"));
      cluster.node(0).always("INFO", () => bulk("# Server\r\navailability_zone:\r\n"));
      await client.refreshTopology();
      assert.equal(await readers(), "1 3");
      const { topologyChanges } = client.metrics().counters;
      await client.refreshTopology();
      assert.equal(client.metrics().counters.topologyChanges, topologyChanges, "nothing has changed");
    });

    it("are asked nothing while nobody reads by zones", async () => {
      await open({ readFrom: "any" });
      await client.refreshTopology();
      assert.deepEqual(infos(), [0, 0, 0, 0]);
      assert.equal(client.node(cluster.node(0).address).zone, undefined);
      const view = client.with({ readFrom: IN_ZONE_A });
      await readUntil("0 3", view);
      assert.deepEqual(infos(), [1, 1, 1, 1]);
    });

    it("are served by all nodes where INFO is refused, or tells no zone", async () => {
      for (const node of cluster.nodes) node.always("INFO", () => error("NOPERM User x has no permissions"));
      cluster.node(3).always("INFO", () => bulk("# Server\r\nredis_version:7.0.15\r\n"));
      await open({ readFrom: IN_ZONE_A });
      await readUntil("0 1 2 3");
    });
  });

  it("are refused with what is accepted where the zone is wrong", async () => {
    await open({});
    for (const [readFrom, message] of [
      [{ zone: "" }, /with: readFrom\.zone is empty; accepted is the name of an availability zone/],
      [{ zone: 1 }, /readFrom\.zone is the number 1|readFrom\.zone is a number/],
      [{}, /readFrom\.zone is undefined/],
      [
        { zone: "a", region: "b" },
        /readFrom is of type object; accepted are "primary", "replica", "any" and \{ zone: "a" \}/,
      ],
    ] as const) {
      assert.throws(() => client.with({ readFrom: readFrom as never }), { code: "INVALID_ARGUMENT", message });
    }
    await assert.rejects(cluster.connect({ readFrom: { zone: "" } }), { code: "INVALID_ARGUMENT" });
  });
});
