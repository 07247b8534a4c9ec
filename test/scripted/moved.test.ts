import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Cluster, RedirectionsError, ReplyError, SlotwireError, slotOf } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

describe("MOVED", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2, 1);
  });
  afterEach(() => cluster.stop());

  const moved = (slot: number, to: { port: number }, host = "127.0.0.1") => error(`MOVED ${slot} ${host}:${to.port}`);

  // By the client's own count: a node that is slow to answer is not the only one that is asked.
  const refreshes = (client: Cluster) => client.metrics().counters.topologyRefreshes;

  it("is followed at once, and the slot's next call goes to the new node", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", moved(0, cluster.node(1)));
    assert.equal(await client.run(setScript, [keyForSlot(0)], ["a"]), "OK");
    assert.equal(await client.run(setScript, [keyForSlot(0)], ["b"]), "OK");
    assert.equal(cluster.node(0).count("EVALSHA"), 1);
    assert.equal(cluster.node(1).count("EVALSHA"), 2);
  });

  it("re-routes its own slot and no other", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", moved(7, cluster.node(1)));
    await client.run(setScript, [keyForSlot(7)], ["a"]);
    const before = cluster.node(1).address;
    for (let slot = 0; slot < 8192; slot++) {
      const expected = slot === 7 ? before : cluster.node(0).address;
      assert.equal(client.topology.primaryOf(slot)?.address, expected, `slot ${slot}`);
    }
    await client.run(setScript, [keyForSlot(6)], ["a"]);
    await client.run(setScript, [keyForSlot(8)], ["a"]);
    assert.equal(cluster.node(0).count("EVALSHA"), 3);
  });

  it("causes at most one topology query a second, for 1,000 stale calls", async () => {
    const client = await cluster.connect({ scripts: [setScript], commandTimeout: 60_000 });
    const before = refreshes(client);
    cluster.node(0).always("EVALSHA", (args) => moved(slotOf(args[3] as string), cluster.node(1)));
    cluster.ranges = [[0, 16383, 1]];
    const keys = Array.from({ length: 1000 }, (_, index) => keyForSlot(index * 8));
    const start = performance.now();
    const replies = await Promise.all(keys.map((key) => client.run(setScript, [key], ["v"])));
    assert.deepEqual(new Set(replies), new Set(["OK"]));
    while (refreshes(client) === before) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [queries, seconds] = [refreshes(client) - before, (performance.now() - start) / 1000];
    assert.equal(queries <= 1 + Math.floor(seconds), true, `${queries} queries in ${seconds} s`);
    assert.equal(client.topology.ranges.length, 1);
  });

  it("without a host means the host that answered", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", moved(0, cluster.node(1), ""));
    assert.equal(await client.run(setScript, [keyForSlot(0)], ["a"]), "OK");
    assert.equal(cluster.node(1).count("EVALSHA"), 1);
  });

  it("to a node never seen: one shared refresh, connected, preloaded, served", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const before = refreshes(client);
    const fresh = cluster.node(2);
    cluster.announced = 3;
    cluster.ranges = [
      [0, 8191, 2],
      [8192, 16383, 1],
    ];
    cluster.node(0).always("EVALSHA", (args) => moved(slotOf(args[3] as string), fresh));
    const start = performance.now();
    const calls = Array.from({ length: 200 }, (_, slot) => client.run(setScript, [keyForSlot(slot)], ["v"]));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(["OK"]));
    // While calls wait for the new node's connection, the client asks every 100 ms, which only a slow machine comes to.
    const most = 1 + Math.floor((performance.now() - start) / 100);
    const asked = refreshes(client) - before;
    assert.ok(asked >= 1 && asked <= most, `${asked} refreshes`);
    assert.equal(fresh.count("EVALSHA"), 200);
    const order = fresh.received.map(({ args }) => args[0]);
    assert.ok(order.indexOf("EVALSHA") > order.indexOf("SCRIPT"), "preloaded before it got traffic");
    assert.equal(fresh.count("SCRIPT LOAD"), 1);
  });

  it("to an address outside the cluster is never connected to", async () => {
    const client = await cluster.connect({ scripts: [setScript], commandTimeout: 2000 });
    const stranger = cluster.node(2);
    cluster.node(0).expect("EVALSHA", moved(0, stranger));
    assert.equal(await client.run(setScript, [keyForSlot(0)], ["a"]), "OK");
    assert.equal(stranger.connections, 0);
    assert.equal(cluster.node(0).count("EVALSHA"), 2);
  });

  it("to addresses that nobody lists costs 10 topology queries in the first second, and 2 a second after it", async () => {
    const client = await cluster.connect({ commandTimeout: 3000 });
    let named = 0;
    const stranger = () => `10.0.0.${named++ % 250}`;
    cluster.node(0).always("GET", (args) => moved(slotOf(args[1] as string), { port: 7000 }, stranger()));
    const before = refreshes(client);
    const start = performance.now();
    const keys = Array.from({ length: 300 }, (_, index) => keyForSlot(index));
    const calls = keys.map((key) => client.command("GET", key).catch((cause: unknown) => cause));
    for (const error of await Promise.all(calls)) assert.ok(error instanceof SlotwireError, String(error));
    const seconds = (performance.now() - start) / 1000;
    const queries = refreshes(client) - before;
    assert.equal(queries <= 11 + 2 * seconds, true, `${queries} queries in ${seconds} s`);
    assert.equal(named > 300, true, "the calls were redirected again and again");
  });

  it("to the node that said it is tried again on a fresh connection", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    const before = node.connections;
    node.expect("EVALSHA", moved(0, node));
    assert.equal(await client.run(setScript, [keyForSlot(0)], ["a"]), "OK");
    assert.equal(node.connections, before + 1);
  });

  it("to itself, again and again, opens one connection each time and leaves none behind", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    const down: string[] = [];
    client.on("nodeDown", ({ address }) => down.push(address));
    const before = node.connections;
    for (let time = 1; time <= 5; time++) {
      node.expect("EVALSHA", moved(0, node));
      assert.equal(await client.run(setScript, [keyForSlot(0)], ["a"]), "OK");
      assert.equal(node.connections, before + time);
    }
    assert.deepEqual(down, []);
    client.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(node.openConnections, 0);
  });

  it("round in a circle gives the nodes time to agree", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const agreeAt = Date.now() + 80;
    cluster.node(0).always("EVALSHA", () => moved(0, cluster.node(1)));
    cluster.node(1).always("EVALSHA", () => (Date.now() < agreeAt ? moved(0, cluster.node(0)) : "+OK\r\n"));
    assert.equal(await client.run(setScript, [keyForSlot(0)], ["a"]), "OK");
  });

  it("round in a circle ends with REDIRECTIONS and the trail", async () => {
    const client = await cluster.connect({ scripts: [setScript], maxRedirections: 4 });
    cluster.node(0).always("EVALSHA", () => moved(0, cluster.node(1)));
    cluster.node(1).always("EVALSHA", () => moved(0, cluster.node(0)));
    await assert.rejects(client.run(setScript, [keyForSlot(0)], ["a"]), (thrown: unknown) => {
      assert.ok(thrown instanceof RedirectionsError);
      assert.equal(thrown.code, "REDIRECTIONS");
      assert.equal(thrown.outcome, "not-executed");
      assert.equal(thrown.trail.length, 5);
      assert.deepEqual(thrown.trail[0], { address: cluster.node(0).address, answer: "MOVED" });
      return true;
    });
  });

  for (const forged of [
    "MOVED 1 127.0.0.1:7000",
    "MOVEDOUT x",
    "MOVED 0 nowhere",
    "MOVED 99999 127.0.0.1:1",
    "ASK me",
  ]) {
    it(`"${forged}" for slot 0 is a script's own error: it ran, once`, async () => {
      const client = await cluster.connect({ scripts: [setScript] });
      cluster.node(0).expect("EVALSHA", error(forged));
      await assert.rejects(client.run(setScript, [keyForSlot(0)], ["a"]), (thrown: unknown) => {
        assert.ok(thrown instanceof ReplyError);
        assert.equal(thrown.reply, forged);
        assert.equal(thrown.outcome, "executed");
        assert.equal(thrown.script, "set");
        return true;
      });
      assert.equal(cluster.node(0).count("EVALSHA"), 1);
    });
  }

  it("a call that is queued follows its slot, and is never written to the node that had it", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const [key, node, other] = [keyForSlot(0), cluster.node(0), cluster.node(1)];
    const queued = [1, 2].map((value) => client.run(setScript, [key], [value]));
    Cluster.clientOf(client).believe({ slot: 0, owner: other.address });
    assert.deepEqual(await Promise.all(queued), ["OK", "OK"]);
    assert.equal(node.count("EVALSHA"), 0);
    assert.deepEqual(other.got("EVALSHA"), [`EVALSHA ${key} 1`, `EVALSHA ${key} 2`]);
  });

  it("a call queued behind one of a batch stays behind it when their slot turns out to be elsewhere", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const [key, node, other] = [keyForSlot(0), cluster.node(0), cluster.node(1)];
    const batch = client.batch().run(setScript, [key], [1]).exec();
    const behind = client.run(setScript, [key], [2]);
    Cluster.clientOf(client).believe({ slot: 0, owner: other.address });
    assert.deepEqual([await batch, await behind], [["OK"], "OK"]);
    assert.equal(node.count("EVALSHA"), 0);
    assert.deepEqual(other.got("EVALSHA"), [`EVALSHA ${key} 1`, `EVALSHA ${key} 2`]);
  });

  it("a call queued ahead of one of a batch stays ahead of it, too", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const [key, node, other] = [keyForSlot(0), cluster.node(0), cluster.node(1)];
    const ahead = client.run(setScript, [key], [1]);
    const batch = client.batch().run(setScript, [key], [2]).exec();
    Cluster.clientOf(client).believe({ slot: 0, owner: other.address });
    assert.deepEqual([await ahead, await batch], ["OK", ["OK"]]);
    assert.equal(node.count("EVALSHA"), 0);
    assert.deepEqual(other.got("EVALSHA"), [`EVALSHA ${key} 1`, `EVALSHA ${key} 2`]);
  });
});
