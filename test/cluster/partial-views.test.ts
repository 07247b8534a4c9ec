import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, SlotwireError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { steadyLoad } from "../support/steady-load.ts";

const KEYS = [500, 6000, 12_000].map((slot) => keyForSlot(slot, "partial"));

describe("a view that lacks something", { timeout: 120_000 }, () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let lost: number;
  before(async () => {
    // Otherwise a node that lacks others calls its cluster down, and refuses calls for its own slots.
    cluster = await startCluster({ primaries: 3, args: ["--cluster-require-full-coverage", "no"] });
  });
  after(() => cluster?.stop());
  beforeEach(async () => {
    client = await connect({ ...cluster.connectOptions });
    lost = 0;
    client.on("topology", ({ current }) => {
      const owned = current.ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0);
      lost += 16_384 - owned;
    });
  });
  afterEach(() => client?.destroy());

  const idOf = async (address: string) => String(await cluster.command(address, "CLUSTER", "MYID"));
  /** Before 7.2 a node that forgets another one tells nobody. From 7.2 on it does, and all forget. */
  const isDiscreet = () => / v=(6|7\.0)\./.test(cluster.version);
  /** Makes a node lack the owners of slots: until they tell it again, about once a second. */
  const makeForget = async (node: string, ...others: readonly string[]) => {
    for (const other of others) {
      if (isDiscreet()) await cluster.command(node, "CLUSTER", "FORGET", await idOf(other)).catch(() => {});
      else
        for (const { start, end } of client.topology.ranges.filter(({ primary }) => primary.address === other))
          await cluster.command(node, "CLUSTER", "DELSLOTSRANGE", start, end).catch(() => {});
    }
  };
  /**
   * Asks for the topology again and again under load, while a node lacks something: nothing is lost, and no call has an
   * error.
   */
  const stand = async (times: number, node?: string, ...lacking: readonly string[]) => {
    const load = steadyLoad(200, (index) => client.command("SET", KEYS[index % KEYS.length] as string, index));
    let lacked = 0;
    for (let time = 0; time < times; time++) {
      if (node !== undefined) {
        await makeForget(node, ...lacking);
        const info = String(await cluster.command(node, "CLUSTER", "INFO"));
        if (!info.includes("cluster_slots_assigned:16384")) lacked++;
      }
      await client.refreshTopology();
      await sleep(5);
    }
    const { errors, calls } = await load.stop();
    assert.deepEqual(errors, []);
    assert.equal(calls > 0, true, "calls were made");
    if (node !== undefined) assert.ok(lacked > times / 2, `it lacked owners ${lacked} times`);
    assert.equal(lost, 0);
  };
  it("(a newcomer's, which knows one node) is not believed: no slot is lost, no call fails", async () => {
    const newcomer = await cluster.addNode();
    await client.refreshTopology();
    assert.equal(client.topology.nodes.length, 4);
    // A newcomer knows the others after some seconds only.
    await stand(40, newcomer, ...cluster.nodes.slice(1, 3));
    assert.equal(client.topology.nodes.length, 4);
  });

  it("(a newcomer's) is not believed in 20 joins, each under a new id: no slot is lost, no call fails", async () => {
    const newcomer = cluster.nodes[3] as string;
    const load = steadyLoad(200, (index) => client.command("SET", KEYS[index % KEYS.length] as string, index));
    for (let join = 0; join < 20; join++) {
      const old = await idOf(newcomer);
      for (const address of cluster.nodes.slice(0, 3)) {
        await cluster.command(address, "CLUSTER", "FORGET", old).catch(() => {});
      }
      await cluster.command(newcomer, "CLUSTER", "RESET", "HARD");
      await cluster.command(newcomer, "CLUSTER", "MEET", ...(cluster.nodes[join % 3] as string).split(":"));
      for (let time = 0; time < 3; time++) await client.refreshTopology();
    }
    const { errors, calls } = await load.stop();
    assert.deepEqual(errors, []);
    assert.equal(calls > 0, true, "calls were made");
    assert.equal(lost, 0);
  });

  it("(of a node that was told to forget another one) is not believed", async () => {
    const [first, second] = cluster.nodes as [string, string];
    await stand(40, first, second);
    assert.equal(client.topology.nodes.length, 4);
  });

  it("is believed when the others say so too: a node that was removed leaves", async () => {
    const removed = cluster.nodes[3] as string;
    const id = await idOf(removed);
    for (const address of cluster.nodes.slice(0, 3)) await cluster.command(address, "CLUSTER", "FORGET", id);
    await cluster.command(removed, "CLUSTER", "RESET", "HARD");
    const end = Date.now() + 5000;
    while (client.topology.nodes.length !== 3) {
      assert.ok(Date.now() < end, `still ${client.topology.nodes.length} nodes`);
      await client.refreshTopology();
      await sleep(20);
    }
    assert.equal(lost, 0);
    await cluster.kill(removed);
  });

  it("is believed when all have lost the owner of a slot: UNAVAILABLE long before the deadline", async () => {
    await cluster.command(cluster.nodes[0] as string, "CLUSTER", "MEET", ...(cluster.nodes[1] as string).split(":"));
    const owner = client.topology.primaryOf(500)?.address as string;
    for (const address of cluster.nodes) await cluster.command(address, "CLUSTER", "DELSLOTS", 500).catch(() => {});
    const start = Date.now();
    const error = await client.command("GET", KEYS[0] as string).catch((cause: unknown) => cause);
    assert.ok(error instanceof SlotwireError, String(error));
    assert.deepEqual([error.code, error.outcome], ["UNAVAILABLE", "not-executed"]);
    const took = Date.now() - start;
    assert.ok(took >= 200 && took < 3000, `${took} ms`);
    await cluster.command(owner, "CLUSTER", "ADDSLOTS", 500);
    await sleep(1000);
    assert.equal(await client.command("SET", KEYS[0] as string, "v"), "OK");
  });
});
