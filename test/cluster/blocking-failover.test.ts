import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { CLIENT_NAME, untilBlocked as untilBlockedOn } from "../support/blocked.ts";
import { Stopwatch } from "../support/stopwatch.ts";

describe("a command that blocks, when its primary", () => {
  const PATIENT = { commandTimeout: 20_000, connectionName: CLIENT_NAME };
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args: ["--cluster-node-timeout", "2000"] });
    client = await connect({ ...cluster.connectOptions, ...PATIENT });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const ownerOf = (key: string) => client.topology.primaryOf(slotOf(key))?.address as string;

  const untilBlocked = (key: string, count: number) => untilBlockedOn(cluster, () => ownerOf(key), count);

  it("has its replicas waited for, keeps nobody waiting", async () => {
    const key = "{waited}";
    await client.command("SET", key, 1);
    assert.equal(await client.command("WAIT", 1, 5000), 1);
    // Without waiting: how many are as far at that moment, which a replica that is slow to say so is not.
    while ((await client.command("WAIT", 0, 0)) !== 1);
    const [replica] = client.topology.replicasOf(slotOf(key));
    assert.ok(replica);
    await cluster.pause(replica.address);
    try {
      await client.command("SET", key, 2);
      const start = performance.now();
      using watch = new Stopwatch();
      const waited = client.command<number>("WAIT", 1, 600);
      for (let reads = 0; reads < 50; reads++) {
        const readAt = watch.ms;
        assert.equal(await client.command("GET", key), "2");
        assert.ok(watch.ms - readAt < 250);
      }
      assert.equal(await waited, 0, "what the frozen replica does not have is not counted");
      assert.ok(performance.now() - start >= 599 && watch.ms < 1500, `${watch.ms} ms`);
    } finally {
      await cluster.resume(replica.address);
    }
    assert.equal(await client.command("WAIT", 1, 10_000), 1);
    for (const args of [[], [1], [-1, 0], [1, "x"], [1, 1, 1]]) {
      await assert.rejects(client.command("WAIT", ...args), { code: "INVALID_ARGUMENT" });
    }
    const abort = new AbortController();
    const endless = client.with({ signal: abort.signal }).command("WAIT", 9, 0);
    setTimeout(() => abort.abort(), 50);
    await assert.rejects(endless, { code: "ABORTED" });
  });

  it("becomes a replica, goes on at the new one", async () => {
    const key = "{demoted}";
    const popped = client.command("BLPOP", key, 0);
    await untilBlocked(key, 1);
    const [replica] = client.topology.replicasOf(slotOf(key));
    assert.ok(replica);
    await cluster.failover(replica.address);
    await client.command("RPUSH", key, "v");
    assert.deepEqual(await popped, [key, "v"]);
    assert.equal(ownerOf(key), replica.address);
  });

  it("is frozen and replaced, is in doubt after a while; one that only reads goes on", async () => {
    const key = "{frozen}";
    const owner = ownerOf(key);
    const popped = client.command("BLPOP", key, 0);
    const read = client.command("XREAD", "BLOCK", 0, "STREAMS", `${key}:s`, "$");
    await untilBlocked(key, 2);
    const lost = assert.rejects(popped, { code: "CONNECTION_LOST", outcome: "unknown" });
    await cluster.pause(owner);
    try {
      await lost;
      assert.notEqual(ownerOf(key), owner);
      await untilBlocked(key, 1);
      await client.command("XADD", `${key}:s`, "1-1", "f", "v");
      assert.match(JSON.stringify(await read), /1-1/);
    } finally {
      await cluster.resume(owner);
    }
  });

  it("dies, is in doubt; one that waits for a connection is not, and one that only reads goes on", async () => {
    const key = "{killed}";
    const popped = client.command("BLPOP", key, 0);
    const read = client.command("XREAD", "BLOCK", 0, "STREAMS", `${key}:s`, "$");
    await untilBlocked(key, 2);
    const lost = assert.rejects(popped, { code: "CONNECTION_LOST", outcome: "unknown" });
    await cluster.kill(ownerOf(key));
    await lost;
    // Connections that were free are known to be gone by then.
    await sleep(20);
    const unsent = client.command("BLPOP", `${key}:unsent`, 0);
    await client.command("RPUSH", `${key}:unsent`, "v");
    assert.deepEqual(await unsent, [`${key}:unsent`, "v"]);
    await untilBlocked(key, 1);
    await client.command("XADD", `${key}:s`, "1-1", "f", "v");
    assert.match(JSON.stringify(await read), /1-1/);
  });
});
