import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Cluster, connect, defineScript, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, counts, resetStats } from "../support/command-stats.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { incrScript, setScript } from "../support/scripts.ts";
import { steadyLoad } from "../support/steady-load.ts";

describe("slots that move", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });
  // A new client for each test: what it asks in the background after slots have moved would be counted in the next one. Node
  // runs no afterEach for a test that skips itself.
  beforeEach(async () => {
    client?.destroy();
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript, setScript] });
  });

  it("are slots, or nothing moves", async () => {
    const [to = ""] = cluster.nodes;
    for (const slot of [1.5, -1, 16_384]) {
      await assert.rejects(cluster.moveSlots({ slots: [slot], to }), { message: new RegExp(`${slot} is no slot`) });
    }
  });

  it("to a new empty node, 100 of them one by one under load: no errors, no doubles, no NOSCRIPT on it", async () => {
    const keys = Array.from({ length: 100 }, (_, slot) => keyForSlot(slot, "n"));
    const counts = new Map<string, number>();
    const load = steadyLoad(1000, (index) => {
      const key = keys[index % keys.length] as string;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return client.run(incrScript, [key]);
    });
    const address = await cluster.addNode();
    await client.refreshTopology();
    assert.ok(client.topology.nodes.some((node) => node.address === address));
    assert.equal(((await cluster.command(address, "SCRIPT", "EXISTS", incrScript.sha)) as number[])[0], 1);
    await cluster.moveSlots({ slots: keys.map((key) => slotOf(key)), to: address, pause: 2 });
    const { calls, errors } = await load.stop();
    assert.deepEqual(errors, []);
    assert.ok(calls > 200, `${calls} calls`);
    for (const key of keys) {
      assert.equal(Number(await client.command("GET", key)), counts.get(key), `executions of ${key}`);
    }
    const stat = await commandStats(cluster, address);
    assert.ok(stat("evalsha").calls > 0);
    const missing = (await cluster.command(address, "INFO", "errorstats")) as string;
    assert.doesNotMatch(missing, /NOSCRIPT/);
  });

  it("in one step, as Valkey 9 moves them, under load: no errors, no doubles, and nothing but MOVED", async (test) => {
    if (!(await movesInOneStep(cluster))) return test.skip("this server has no CLUSTER MIGRATESLOTS");
    const slots = Array.from({ length: 100 }, (_, index) => 300 + index);
    const keys = slots.map((slot) => keyForSlot(slot, "m"));
    const ran = new Map<string, number>();
    const load = steadyLoad(1000, (index) => {
      const key = keys[index % keys.length] as string;
      ran.set(key, (ran.get(key) ?? 0) + 1);
      return client.run(incrScript, [key]);
    });
    const redirections: string[] = [];
    const off = client.on("redirection", ({ kind }) => redirections.push(kind));
    // There and back: the second time, the scripts and the slots have been there before.
    const [from, to] = client.topology.nodes.filter(({ role }) => role === "primary").map(({ address }) => address);
    for (const address of [to, from, to]) await cluster.moveSlots({ slots, to: address as string, atomic: true });
    const { errors } = await load.stop();
    off();
    assert.deepEqual(errors, []);
    for (const key of keys)
      assert.equal(Number(await client.command("GET", key)), ran.get(key), `executions of ${key}`);
    assert.ok(redirections.length > 0);
    assert.deepEqual(new Set(redirections), new Set(["MOVED"]));
    for (const slot of slots) assert.equal(client.topology.primaryOf(slot)?.address, to);
  });

  it("half migrated, with the script absent on the importing node: right, once, one round trip beyond the ASK", async (test) => {
    const slot = 9000;
    const owner = client.topology.primaryOf(slot)?.address as string;
    const other = cluster.nodes.find((address) => address !== owner) as string;
    const [ownerId, otherId] = await Promise.all(
      [owner, other].map((address) => cluster.command(address, "CLUSTER", "MYID")),
    );
    await cluster.command(other, "CLUSTER", "SETSLOT", slot, "IMPORTING", ownerId as string);
    await cluster.command(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", otherId as string);
    await cluster.command(other, "SCRIPT", "FLUSH");
    await resetStats(cluster);
    const key = keyForSlot(slot);
    assert.equal(await client.run(incrScript, [key]), 1);
    const stat = await commandStats(cluster, other);
    assert.equal(stat("evalsha").calls, 2, "the ASK's, refused with NOSCRIPT, and its replay");
    assert.equal(stat("asking").calls, 2);
    if (counts("subcommands", test, cluster)) assert.equal(stat("script|load").calls, 1);
    if (counts("failures", test, cluster)) {
      assert.equal((await commandStats(cluster, owner))("evalsha").failed, 1, "the ASK");
    }
    assert.equal(await client.run(incrScript, [key]), 2);
    assert.equal(client.topology.primaryOf(slot)?.address, owner, "an ASK moves no slot");
  });

  it("half migrated, keys on both sides: TRYAGAIN is waited out", async () => {
    const slot = 12_182;
    const both = defineScript({
      name: "both",
      source: "return {redis.call('get', KEYS[1]), redis.call('get', KEYS[2])}",
      numberOfKeys: 2,
    });
    const [here, there] = [keyForSlot(slot, "a"), keyForSlot(slot, "b")];
    await client.command("SET", here, "1");
    await client.command("SET", there, "2");
    const owner = client.topology.primaryOf(slot)?.address as string;
    const other = cluster.nodes.find((address) => address !== owner) as string;
    const [ownerId, otherId] = await Promise.all(
      [owner, other].map((address) => cluster.command(address, "CLUSTER", "MYID")),
    );
    await cluster.command(other, "CLUSTER", "SETSLOT", slot, "IMPORTING", ownerId as string);
    await cluster.command(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", otherId as string);
    const [host, port] = other.split(":") as [string, string];
    await cluster.command(owner, "MIGRATE", host, port, there, 0, 5000);
    const call = client.run(both, [here, there]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await cluster.command(owner, "MIGRATE", host, port, here, 0, 5000);
    assert.deepEqual(await call, ["1", "2"]);
    await cluster.moveSlots({ slots: [slot], to: other });
    assert.deepEqual(await client.run(both, [here, there]), ["1", "2"]);
  });

  it("and one MOVED re-routes one slot", async () => {
    await using lonely = await connect({ ...cluster.connectOptions, topologyRefreshInterval: 0 });
    const slot = 14_000;
    const owner = lonely.topology.primaryOf(slot)?.address as string;
    const other = cluster.nodes.find((address) => address !== owner) as string;
    await cluster.moveSlots({ slots: [slot], to: other });
    const before = Array.from({ length: 16_384 }, (_, each) => lonely.topology.primaryOf(each)?.address);
    await lonely.run(setScript, [keyForSlot(slot)], ["v"]);
    before.forEach((address, each) => {
      const expected = each === slot ? other : address;
      assert.equal(lonely.topology.primaryOf(each)?.address, expected, `slot ${each}`);
    });
  });

  it("to a node never seen before: one shared refresh, connected, preloaded, served, 0 errors", async (test) => {
    await using fresh = await connect({ ...cluster.connectOptions, scripts: [incrScript], topologyRefreshInterval: 0 });
    const address = await cluster.addNode();
    const slots = Array.from({ length: 20 }, (_, index) => 3000 + index);
    await cluster.moveSlots({ slots, to: address });
    await resetStats(cluster);
    const start = performance.now();
    const calls = Array.from({ length: 500 }, (_, index) =>
      fresh.run(incrScript, [keyForSlot(slots[index % slots.length] as number, "fresh")]),
    );
    const replies = await Promise.all(calls);
    assert.equal(Math.max(...(replies as number[])), 25);
    // By the client's own count: what it confirms a moment later may come before the servers have been asked. While calls
    // wait for the new node's connection, it asks every 100 ms, which only a slow machine comes to.
    const refreshes = fresh.metrics().counters.topologyRefreshes;
    const most = 1 + Math.floor((performance.now() - start) / 100);
    assert.ok(refreshes >= 1 && refreshes <= most, `${refreshes} refreshes`);
    if (counts("failures", test, cluster)) assert.equal((await commandStats(cluster, address))("evalsha").failed, 0);
  });

  it("by ASK to a node never seen before, which owns nothing: 0 errors", async (test) => {
    await using fresh = await connect({ ...cluster.connectOptions, scripts: [incrScript], topologyRefreshInterval: 0 });
    const address = await cluster.addNode();
    const slot = 6000;
    const owner = fresh.topology.primaryOf(slot)?.address as string;
    const [ownerId, newId] = await Promise.all(
      [owner, address].map((each) => cluster.command(each, "CLUSTER", "MYID")),
    );
    await cluster.command(address, "CLUSTER", "SETSLOT", slot, "IMPORTING", ownerId as string);
    await cluster.command(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", newId as string);
    const replies = await Promise.all(Array.from({ length: 100 }, () => fresh.run(incrScript, [keyForSlot(slot)])));
    assert.deepEqual(
      replies,
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
    if (counts("failures", test, cluster)) assert.equal((await commandStats(cluster, address))("evalsha").failed, 0);
  });
});

async function movesInOneStep(cluster: LocalCluster): Promise<boolean> {
  const help = (await cluster.command(cluster.nodes[0] as string, "CLUSTER", "HELP")) as string[];
  return help.some((line) => line.startsWith("MIGRATESLOTS"));
}
