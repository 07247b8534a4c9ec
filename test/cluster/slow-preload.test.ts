import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, connect, defineScript, type Script, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, counts, resetStats } from "../support/command-stats.ts";
import { SlowProxy } from "../support/slow-proxy.ts";

const scriptOf = (bytes: number, value: number): Script =>
  defineScript({ name: `s${value}`, source: `return ${value} --${"z".repeat(bytes)}`, numberOfKeys: 1 });
const many = Array.from({ length: 20 }, (_, index) => scriptOf(50_000, index));
const large = scriptOf(600_000, 600);

describe("scripts over a slow link", () => {
  let cluster: LocalCluster;
  let links: Map<string, SlowProxy>;
  let client: Cluster | undefined;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
  });
  after(() => cluster?.stop());
  afterEach(async () => {
    client?.destroy();
    for (const link of links.values()) await link.stop();
    await cluster.flushScripts();
  });

  async function slowly(bytesPerMs: number, options: Partial<ConnectOptions> = {}): Promise<Cluster> {
    links = new Map();
    for (const address of cluster.nodes) links.set(address, await SlowProxy.start(address, bytesPerMs));
    const natMap = (address: string) => links.get(address);
    await resetStats(cluster);
    client = await connect({ ...cluster.connectOptions, natMap, connectTimeout: 600, ...options });
    return client;
  }

  const loadedAt = (which: Cluster) => which.scripts().map(({ loaded }) => loaded.length);
  async function eachWasSentOnce(count: number, test: Parameters<typeof counts>[1]): Promise<void> {
    if (!counts("subcommands", test, cluster)) return;
    for (const address of cluster.nodes) {
      const stat = await commandStats(cluster, address);
      assert.equal(stat("script|load").calls, count, address);
    }
  }

  it("are on all nodes when connect resolves, each sent once, however long that takes", async (test) => {
    const began = performance.now();
    const slow = await slowly(500, { scripts: many });
    assert.ok(performance.now() - began > 1500, "the link was slow");
    assert.deepEqual(loadedAt(slow), [20, 20, 20]);
    await eachWasSentOnce(20, test);
  });

  it("of which one takes longer than connectTimeout are sent once, and the calls have a connection beside it", async (test) => {
    const slow = await slowly(200, { scripts: [large] });
    assert.deepEqual(loadedAt(slow), [1, 1, 1]);
    await eachWasSentOnce(1, test);
    for (const [address, { taken }] of links) {
      const whole = taken.filter((bytes) => bytes > 100_000);
      assert.deepEqual(whole.length, 1, `${address}: ${taken}`);
      assert.ok(taken.length <= 4, `${address}: ${taken}`);
    }
    assert.equal(await slow.run(large, ["k"]), 600);
  });

  it("keep no call from a node that needs none of them, or one that is there", async (test) => {
    const small = scriptOf(10, 7);
    const slow = await slowly(200, { scripts: [small] });
    const loading = slow.preload(large);
    let isLoading = true;
    void loading.then(() => {
      isLoading = false;
    });
    let served = 0;
    while (isLoading) {
      await slow.command("SET", `k${served}`, "v");
      assert.equal(await slow.run(small, [`k${served}`]), 7);
      served += 2;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(served >= 20, `${served} calls were served meanwhile`);
    assert.deepEqual(loadedAt(slow), [2, 2, 2]);
    if (counts("subcommands", test, cluster)) await eachWasSentOnce(2, test);
  });

  it("let a call that needs one of them wait for it", async (test) => {
    const slow = await slowly(200);
    const loading = slow.preload(large);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(await slow.with({ timeout: 20_000 }).run(large, ["k"]), 600);
    await loading;
    await eachWasSentOnce(1, test);
  });

  it("serve calls again at once after the connection was lost, although the scripts are gone", async () => {
    const slow = await slowly(200, { scripts: [large] });
    const [address, link] = [...links][0] as [string, SlowProxy];
    await cluster.command(address, "SCRIPT", "FLUSH");
    link.cut();
    const key = Array.from({ length: 100 }, (_, index) => `untouched${index}`).find(
      (each) => slow.topology.primaryOf(slotOf(each))?.address === address,
    ) as string;
    // A read may be written twice, so it survives the loss.
    assert.equal(await slow.with({ timeout: 2000 }).command("GET", key), null);
    assert.deepEqual(await cluster.command(address, "SCRIPT", "EXISTS", large.sha), [0]);
    assert.equal(await slow.with({ timeout: 20_000 }).run(large, [key]), 600);
  });
});
