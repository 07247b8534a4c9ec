import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Cluster, connect, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { again, atLeast, type ChainReport, pushScript, sendChains } from "../support/chains.ts";
import { commandStats, resetStats } from "../support/command-stats.ts";

describe("the order of a key's calls in a batch", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  const tags = Array.from({ length: 60 }, (_, index) => `chain ${index}`);
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, scripts: [pushScript], commandTimeout: 30_000 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  /** Servers before 6.2 cannot pause writes alone. */
  async function canPause(test: TestContext): Promise<boolean> {
    const [first] = cluster.nodes as [string];
    const can = await cluster.command(first, "CLIENT", "PAUSE", 1, "WRITE").then(
      () => true,
      () => false,
    );
    if (!can) test.skip("the server cannot pause writes");
    return can;
  }

  function isKept({ chains, outOfOrder, miscounted, failed }: ChainReport): void {
    assert.ok(chains >= 100, `${chains} chains`);
    assert.deepEqual({ outOfOrder, miscounted, failed }, { outOfOrder: 0, miscounted: 0, failed: 0 });
  }

  it("is kept when writes are paused, and scripts are flushed meanwhile", async (test) => {
    if (!(await canPause(test))) return;
    for (const address of cluster.nodes) await cluster.command(address, "CLIENT", "PAUSE", 400, "WRITE");
    const batch = client.batch().run(pushScript, ["k"], [1]).command("RPUSH", "k", 2);
    const done = batch.run(pushScript, ["k"], [3]).command("RPUSH", "k", 4).exec();
    await pause(100);
    await cluster.flushScripts();
    await done;
    assert.deepEqual(await client.command("LRANGE", "k", 0, -1), ["1", "2", "3", "4"]);
  });

  it("is kept while others flush and load scripts all the time", async () => {
    let flushes = 0;
    const time = atLeast(1500, () => flushes >= 10);
    const flushing = again(() => cluster.flushScripts().then(() => flushes++), 1, time);
    const other = await connect({ ...cluster.connectOptions });
    const loading = again(() => other.run(pushScript, ["other"], ["x"]), 1, time);
    isKept(await sendChains(client, tags, time));
    await Promise.all([flushing, loading]);
    await other.close();
  });

  it("is kept while writes are paused again and again, and scripts are flushed", async (test) => {
    if (!(await canPause(test))) return;
    let [pauses, flushes] = [0, 0];
    const time = atLeast(2000, () => pauses >= 10 && flushes >= 10);
    const [first] = cluster.nodes as [string];
    const pausing = again(() => cluster.command(first, "CLIENT", "PAUSE", 20, "WRITE").then(() => pauses++), 21, time);
    const flushing = again(() => cluster.flushScripts().then(() => flushes++), 2, time);
    isKept(await sendChains(client, tags, time));
    await Promise.all([pausing, flushing]);
  });

  it("is kept while a slot is half here and half there, through TRYAGAIN", async () => {
    const [a, b] = ["{half}a", "{half}b"];
    const slot = slotOf(a);
    const from = client.topology.primaryOf(slot)?.address as string;
    const to = cluster.nodes.find((address) => address !== from) as string;
    const idOf = async (address: string) => String(await cluster.command(address, "CLUSTER", "MYID"));
    await client.command("MSET", a, 0, b, 0);
    await cluster.command(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(from));
    await cluster.command(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", await idOf(to));
    const [host = "", port = ""] = to.split(":");
    await cluster.command(from, "MIGRATE", host, port, b, 0, 1000);
    const done = client.batch().command("MSET", a, "first", b, "first").command("SET", a, "second").exec();
    await pause(100);
    await cluster.command(from, "MIGRATE", host, port, a, 0, 1000);
    for (const address of [to, from])
      await cluster.command(address, "CLUSTER", "SETSLOT", slot, "NODE", await idOf(to));
    assert.deepEqual(await done, ["OK", "OK"]);
    assert.deepEqual(await client.command("MGET", a, b), ["second", "first"]);
  });

  it("is kept while slots move", async () => {
    const few = tags.slice(0, 12);
    const [to] = cluster.nodes as [string];
    const isElsewhere = (slot: number) => client.topology.primaryOf(slot)?.address !== to;
    const slots = [...new Set(few.map(slotOf))].filter(isElsewhere);
    const moving = cluster.moveSlots({ slots, to, pause: 3 });
    const settled = moving.then(() => pause(300));
    isKept(await sendChains(client, few, settled));
  });
});

describe("a batch of a view that reads from replicas", () => {
  it("sees its own writes", async () => {
    const cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    const client = await connect({ ...cluster.connectOptions, readFrom: "replica" });
    try {
      const keys = Array.from({ length: 200 }, (_, index) => `own:${index}`);
      await resetStats(cluster);
      const batch = client.batch();
      for (const key of keys) batch.command("SET", key, key).command("GET", key);
      assert.deepEqual(
        await batch.exec(),
        keys.flatMap((key) => ["OK", key]),
      );
      const replicas = client.topology.nodes.filter(({ role }) => role === "replica");
      const reads = () =>
        Promise.all(replicas.map(async ({ address }) => (await commandStats(cluster, address))("get").calls));
      assert.deepEqual(await reads(), [0, 0, 0]);
      const reading = client.batch();
      for (const key of keys) reading.command("GET", key);
      await reading.exec();
      assert.equal(
        (await reads()).reduce((sum, each) => sum + each, 0),
        keys.length,
      );
    } finally {
      client.destroy();
      await cluster.stop();
    }
  });
});
