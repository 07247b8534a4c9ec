import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, resetStats } from "../support/command-stats.ts";
import { setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const getScript = defineScript({
  name: "get",
  source: "return redis.call('get', KEYS[1])",
  numberOfKeys: 1,
  readOnly: true,
});

describe("readFrom", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  const keys = Array.from({ length: 60 }, (_, index) => `read:${index}`);
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect({ ...cluster.connectOptions, scripts: [getScript, setScript], readFrom: "replica" });
    for (const key of keys) await client.run(setScript, [key], [key]);
    await client.command("WAIT", 1, 1000).catch(() => {});
    await Promise.all(keys.map((key) => eventually(() => client.command("GET", key), key)));
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  async function calls(role: "primary" | "replica", ...commands: string[]): Promise<number> {
    const nodes = client.topology.nodes.filter((node) => node.role === role);
    const stats = await Promise.all(nodes.map(({ address }) => commandStats(cluster, address)));
    return stats.flatMap((stat) => commands.map((command) => stat(command).calls)).reduce((a, b) => a + b, 0);
  }

  it("replica: what only reads runs on replicas, where the script was loaded beforehand; what writes on primaries", async () => {
    await resetStats(cluster);
    for (const key of keys) {
      assert.equal(await client.run(getScript, [key]), key);
      assert.equal(await client.command("GET", key), key);
      assert.equal(await client.run(setScript, [key], [key]), "OK");
    }
    assert.equal(await calls("replica", "evalsha_ro", "evalsha"), keys.length);
    assert.equal(await calls("primary", "evalsha_ro"), 0);
    assert.equal(await calls("primary", "evalsha"), keys.length);
    assert.equal(await calls("replica", "script|load"), 0);
  });

  it("primary, of a view: reads run on the primary", async () => {
    await resetStats(cluster);
    const view = client.with({ readFrom: "primary" });
    for (const key of keys) assert.equal(await view.run(getScript, [key]), key);
    assert.equal(await calls("replica", "evalsha_ro", "evalsha"), 0);
  });

  it("any: reads run on both, those of a slot always on the same node", async () => {
    await resetStats(cluster);
    const view = client.with({ readFrom: "any" });
    await Promise.all(keys.map((key) => view.run(getScript, [key])));
    const onReplicas = await calls("replica", "evalsha_ro", "evalsha");
    assert.ok(onReplicas > 0 && onReplicas < keys.length, `${onReplicas} on replicas`);
    await Promise.all(keys.map((key) => view.run(getScript, [key])));
    assert.equal(await calls("replica", "evalsha_ro", "evalsha"), 2 * onReplicas);
  });

  it("after a flush of the replicas the same recovery, never a plain EVAL", async () => {
    await resetStats(cluster);
    await cluster.flushScripts();
    const replies = await Promise.all(keys.map((key) => client.run(getScript, [key])));
    assert.deepEqual(replies, keys);
    assert.equal(await calls("replica", "eval", "eval_ro"), 0);
    assert.equal(await calls("primary", "evalsha_ro"), 0);
  });

  it("a frozen replica is passed over within the deadline, and other reads do not wait for it", async () => {
    const frozen = client.topology.nodes.find(({ role }) => role === "replica");
    assert.ok(frozen?.primary);
    const [own, others] = [keys, keys].map((all, which) =>
      all.filter((key) => (client.topology.primaryOf(slotOf(key))?.address === frozen.primary) === (which === 0)),
    ) as [string[], string[]];
    assert.ok(own.length > 0 && others.length > 0);
    await cluster.pause(frozen.address);
    try {
      using watch = new Stopwatch();
      const reading = Promise.all(own.map((key) => client.run(getScript, [key])));
      assert.deepEqual(await Promise.all(others.map((key) => client.run(getScript, [key]))), others);
      assert.ok(watch.ms < 250, "other shards' reads waited");
      assert.deepEqual(await reading, own);
      assert.ok(watch.ms < 2000, `took ${watch.ms} ms`);
      using again = new Stopwatch();
      assert.deepEqual(await Promise.all(own.map((key) => client.run(getScript, [key]))), own);
      assert.ok(again.ms < 250, "the replica was tried again");
    } finally {
      await cluster.resume(frozen.address);
    }
  });

  it("a frozen replica is passed over also where only one of its connections is in use", async () => {
    const [key] = keys as [string];
    const [frozen] = client.topology.replicasOf(slotOf(key));
    assert.ok(frozen);
    await using several = await connect({ ...cluster.connectOptions, readFrom: "replica", connectionsPerNode: 2 });
    assert.equal(await several.command("GET", key), key);
    await cluster.pause(frozen.address);
    try {
      for (const limitMs of [2000, 250]) {
        using watch = new Stopwatch();
        assert.equal(await several.command("GET", key), key);
        assert.ok(watch.ms < limitMs, `took ${watch.ms} ms`);
      }
    } finally {
      await cluster.resume(frozen.address);
    }
  });

  it("a replica without a link to its primary, which may not serve stale data, is tried once a second", async () => {
    const replica = client.topology.nodes.find(({ role }) => role === "replica");
    assert.ok(replica?.primary, "the cluster has a replica");
    const own = keys.filter((key) => client.topology.primaryOf(slotOf(key))?.address === replica.primary);
    const command = (address: string, ...args: string[]) => cluster.command(address, ...(args as [string]));
    const { primary } = replica;
    await command(replica.address, "CONFIG", "SET", "replica-serve-stale-data", "no");
    // Its connection stands, and its replica cannot log in any more.
    await command(primary, "ACL", "SETUSER", "default", "-psync", "-sync", "-replconf");
    try {
      const isRefused = async () => String(await command(replica.address, "INFO", "replication")).includes(":down");
      while (!(await isRefused())) {
        await command(primary, "CLIENT", "KILL", "TYPE", "replica");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await command(replica.address, "CONFIG", "RESETSTAT");
      const refreshes = () => client.metrics().counters.topologyRefreshes;
      const before = refreshes();
      const start = performance.now();
      let reads = 0;
      while (performance.now() - start < 3000) {
        for (const key of own) assert.equal(await client.command("GET", key), key);
        reads += own.length;
      }
      const seconds = (performance.now() - start) / 1000;
      const tried = (await commandStats(cluster, replica.address))("get").failed;
      assert.equal(tried <= 2 + seconds && tried > 0, true, `${tried} of ${reads} reads in ${seconds} s`);
      const asked = refreshes() - before;
      assert.equal(asked <= 10 + 2 * seconds, true, `${asked} topology queries in ${seconds} s`);
    } finally {
      await command(primary, "ACL", "SETUSER", "default", "+@all");
      await command(replica.address, "CONFIG", "SET", "replica-serve-stale-data", "yes");
    }
  });

  it("works through a failover, and takes the primary when no replica is left", async () => {
    const replica = client.topology.nodes.find(({ role }) => role === "replica");
    assert.ok(replica?.primary);
    await cluster.kill(replica.address);
    for (let round = 0; round < 30; round++) {
      assert.deepEqual(await Promise.all(keys.map((key) => client.run(getScript, [key]))), keys);
    }
    const other = client.topology.nodes.find(({ role, address }) => role === "replica" && address !== replica.address);
    assert.ok(other);
    const failing = cluster.failover(other.address);
    for (let round = 0; round < 30; round++) {
      assert.deepEqual(await Promise.all(keys.map((key) => client.run(getScript, [key]))), keys);
    }
    await failing;
  });

  it("is refused with what is accepted when it is something else", async () => {
    const error = {
      code: "INVALID_ARGUMENT",
      message: /readFrom is "slave"; accepted are "primary", "replica", "any" and \{ zone: "a" \}/,
    };
    assert.throws(() => client.with({ readFrom: "slave" as never }), error);
    await assert.rejects(connect({ ...cluster.connectOptions, readFrom: "slave" as never }), error);
  });
});

/** Replication is not awaited by the writer. */
async function eventually(read: () => Promise<unknown>, expected: string): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    if ((await read()) === expected) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`never read ${expected}`);
}
