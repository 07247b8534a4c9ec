import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, SlotwireError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, resetStats } from "../support/command-stats.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { incrScript } from "../support/scripts.ts";
import { steadyLoad } from "../support/steady-load.ts";

const SLOT = 500;

describe("failover", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript], commandTimeout: 15_000 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("on command: every call succeeds, and the promoted replica never misses the script", async () => {
    const old = client.topology.primaryOf(SLOT)?.address as string;
    const promoted = client.topology.replicasOf(SLOT)[0]?.address as string;
    await resetStats(cluster);
    const key = keyForSlot(SLOT, "failover");
    const load = steadyLoad(500, () => client.run(incrScript, [key]));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await cluster.failover(promoted);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const { calls, errors } = await load.stop();
    assert.deepEqual(errors, []);
    assert.equal(Number(await client.command("GET", key)), calls);
    assert.equal(client.topology.primaryOf(SLOT)?.address, promoted);
    assert.notEqual(promoted, old);
    await assertNeverMissing(promoted);
  });

  it("by SIGKILL: calls are held until the promotion; only calls in flight at the kill are in doubt", async () => {
    await client.refreshTopology();
    const killed = client.topology.primaryOf(SLOT)?.address as string;
    const promoted = client.topology.replicasOf(SLOT)[0]?.address as string;
    assert.ok(promoted);
    await resetStats(cluster);
    const keys = [SLOT, 6000, 12_000].map((slot) => keyForSlot(slot, "kill"));
    const load = steadyLoad(300, (index) => client.run(incrScript, [keys[index % 3] as string]));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await cluster.kill(killed);
    const deadline = Date.now() + 12_000;
    while (client.topology.primaryOf(SLOT)?.address !== promoted && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { calls, errors } = await load.stop();
    for (const error of errors) {
      assert.ok(error instanceof SlotwireError);
      assert.equal(error.outcome, "unknown", String(error));
      assert.equal(error.code, "CONNECTION_LOST");
    }
    assert.ok(errors.length <= 5, `${errors.length} errors`);
    assert.ok(calls > 600, `${calls} calls: the load went on through the promotion`);
    await assertNeverMissing(promoted);
  });

  async function assertNeverMissing(address: string): Promise<void> {
    assert.ok((await commandStats(cluster, address))("evalsha").calls > 0);
    assert.doesNotMatch((await cluster.command(address, "INFO", "errorstats")) as string, /NOSCRIPT/);
  }
});
