import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Terminal } from "../../src/cli/terminal.ts";
import { showTopology } from "../../src/cli/topology.ts";
import { type Cluster, connect, defineScript, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, resetStats } from "../support/command-stats.ts";

const getScript = defineScript({
  name: "get",
  source: "return redis.call('get', KEYS[1])",
  numberOfKeys: 1,
  readOnly: true,
});

describe("availability zones", () => {
  let cluster: LocalCluster;
  /** Whether servers know zones at all, and whether one tells those of the others. */
  let knowsZones = false;
  let client: Cluster;
  const keys = Array.from({ length: 60 }, (_, index) => `zone:${index}`);
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    const [first] = cluster.nodes as [string];
    knowsZones = String(await cluster.command(first, "INFO", "server")).includes("availability_zone:");
    if (knowsZones) {
      // Each shard has a node in each zone, and primaries are in both.
      for (const [address, zone] of zonesOf()) await setZone(address, zone);
    }
    client = await connect({ ...cluster.connectOptions, scripts: [getScript], readFrom: { zone: "a" } });
    for (const key of keys) await client.command("SET", key, key);
    // Replication is not awaited by the writer.
    const copies = async () => {
      const sizes = await Promise.all(cluster.nodes.map((address) => cluster.command(address, "DBSIZE")));
      return sizes.reduce<number>((sum, size) => sum + Number(size), 0);
    };
    while ((await copies()) < 2 * keys.length) await pause(20);
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const setZone = (address: string, zone: string) =>
    cluster.command(address, "CONFIG", "SET", "availability-zone", zone);
  /** Primaries and their replicas in turn: the first primary is in zone a, its replica in zone b, the second in b, ... */
  function zonesOf(): [address: string, zone: string][] {
    return cluster.nodes.map((address, index) => [address, index % 2 === 0 ? "a" : "b"]);
  }
  const inZone = (zone: string) => client.topology.nodes.filter((node) => node.zone === zone);

  /** By address: how many of the reads each node has served. */
  async function readAll(): Promise<Map<string, number>> {
    await resetStats(cluster);
    for (const key of keys) {
      assert.equal(await client.run(getScript, [key]), key);
      assert.equal(await client.command("GET", key), key);
    }
    const counts = await Promise.all(
      client.topology.nodes.map(async ({ address }): Promise<[string, number]> => {
        const stats = await commandStats(cluster, address);
        return [address, stats("evalsha_ro").calls + stats("evalsha").calls];
      }),
    );
    return new Map(counts);
  }
  const readsOf = async (zone: string) => {
    const counts = await readAll();
    return inZone(zone).reduce((sum, { address }) => sum + (counts.get(address) ?? 0), 0);
  };
  /** Refreshes until that is so by the word of one node after the other: they tell each other within a few seconds. */
  const refreshUntil = async (isSo: () => boolean) => {
    for (let [start, times] = [performance.now(), 0]; times < 12; times = isSo() ? times + 1 : 0) {
      assert.equal(performance.now() - start < 30_000, true, JSON.stringify(client.topology.nodes));
      await pause(times === 0 ? 100 : 10);
      await client.refreshTopology();
    }
  };

  it("are those that the servers tell, in the topology, of one node, and in `slotwire topology`", async (test) => {
    if (!knowsZones) {
      assert.deepEqual(
        client.topology.nodes.filter(({ zone }) => zone !== undefined),
        [],
      );
      assert.deepEqual((await readAll()).size, 6, "reads are served all the same");
      test.diagnostic("left out: zones, which this server does not know");
      return;
    }
    const zones = new Map(zonesOf());
    await refreshUntil(() => client.topology.nodes.every(({ address, zone }) => zone === zones.get(address)));
    for (const address of cluster.nodes) assert.equal(client.node(address).zone, zones.get(address));
    const shown = await showTopology({ ...cluster.connectOptions }, true, {} as Terminal);
    for (const { address, zone } of JSON.parse(shown).nodes) assert.equal(zone, zones.get(address));
  });

  it("read from: reads stay in the zone, on primaries and replicas alike", async (test) => {
    if (!knowsZones) return test.skip("the server knows no zones");
    const roles = new Set(inZone("a").map(({ role }) => role));
    assert.deepEqual(roles, new Set(["primary", "replica"]));
    assert.equal(await readsOf("a"), keys.length);
  });

  it("that are changed at run time are followed at the next refresh", async (test) => {
    if (!knowsZones) return test.skip("the server knows no zones");
    const before = inZone("a").map(({ address }) => address);
    const changed = new Map(zonesOf().map(([address, zone]) => [address, zone === "a" ? "b" : "a"]));
    for (const [address, zone] of changed) await setZone(address, zone);
    await refreshUntil(() => client.topology.nodes.every(({ address, zone }) => zone === changed.get(address)));
    const counts = await readAll();
    assert.equal(
      before.reduce((sum, address) => sum + (counts.get(address) ?? 0), 0),
      0,
    );
    assert.equal(await readsOf("a"), keys.length);
  });

  it("of which no node of the shard is, or can serve, give way to others, and are returned to", async (test) => {
    if (!knowsZones) return test.skip("the server knows no zones");
    const away = client.with({ readFrom: { zone: "nowhere" } });
    for (const key of keys) assert.equal(await away.run(getScript, [key]), key);
    const replica = inZone("a").find(({ role }) => role === "replica");
    assert.ok(replica, "a replica is in the zone");
    const own = keys.filter((key) => client.topology.replicasOf(slotOf(key)).includes(replica));
    await cluster.pause(replica.address);
    try {
      for (const key of own) assert.equal(await client.run(getScript, [key]), key);
    } finally {
      await cluster.resume(replica.address);
    }
    for (const start = performance.now(); (await readsOf("a")) < keys.length; await pause(100)) {
      assert.equal(performance.now() - start < 20_000, true, "reads come back to the zone");
    }
  });
});
