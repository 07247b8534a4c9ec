import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { defineScript } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

const key = keyForSlot(0);

describe("limits", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  it("maxPendingPerNode: the next call is refused at once and not executed, and there is room again after answers", async () => {
    const client = await cluster.connect({ scripts: [setScript], maxPendingPerNode: 10 });
    const calls = Array.from({ length: 10 }, () => client.run(setScript, [key], [1]));
    await assert.rejects(client.run(setScript, [key], [1]), { code: "QUEUE_FULL", outcome: "not-executed" });
    await Promise.all(calls);
    assert.equal(await client.run(setScript, [key], [1]), "OK");
    assert.equal(cluster.node(0).count("EVALSHA"), 11);
  });

  it("maxPendingBytesPerNode: bytes count, and a single call larger than the bound is sent when nothing else waits", async () => {
    const client = await cluster.connect({ scripts: [setScript], maxPendingBytesPerNode: 5000 });
    const large = client.run(setScript, [key], ["x".repeat(20_000)]);
    await assert.rejects(client.run(setScript, [key], ["y"]), { code: "QUEUE_FULL", outcome: "not-executed" });
    assert.equal(await large, "OK");
    const calls = Array.from({ length: 4 }, () => client.run(setScript, [key], ["z".repeat(1000)]));
    await assert.rejects(client.run(setScript, [key], ["z".repeat(1000)]), { code: "QUEUE_FULL" });
    await Promise.all(calls);
  });

  it("calls that were refused and wait for their next attempt count as well", async () => {
    const client = await cluster.connect({ scripts: [setScript], maxPendingPerNode: 100, commandTimeout: 400 });
    cluster.node(0).always("EVALSHA", () => error("CLUSTERDOWN The cluster is down"));
    let unsettled = 0;
    let most = 0;
    const calls: Promise<unknown>[] = [];
    for (let time = 0; time < 30; time++) {
      for (let index = 0; index < 50; index++) {
        most = Math.max(most, ++unsettled);
        const call = client.run(setScript, [keyForSlot(index)], [1]).catch(() => {});
        calls.push(call.then(() => unsettled--));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.ok(unsettled <= 100, `${unsettled} calls are pending`);
    }
    await Promise.all(calls);
    cluster.node(0).always("EVALSHA", () => "+OK\r\n");
    // Attempts that were written when their calls expired count until they are answered.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const again = Array.from({ length: 100 }, () => client.run(setScript, [key], [1]));
    assert.deepEqual(new Set(await Promise.all(again)), new Set(["OK"]), "and nothing is counted for ever");
  });

  it("what we load on our own account takes no call's place", async () => {
    const client = await cluster.connect({ scripts: [setScript], maxPendingPerNode: 2 });
    const others = Array.from({ length: 20 }, (_, number) =>
      defineScript({ name: `other ${number}`, source: `return ${number}` }),
    );
    const report = client.preload(...others);
    await new Promise(setImmediate);
    const calls = [1, 2].map((value) => client.run(setScript, [key], [value]));
    assert.deepEqual(await Promise.all(calls), ["OK", "OK"]);
    assert.deepEqual(
      (await report).map(({ loaded }) => loaded.length),
      [20],
    );
  });

  it("calls that were given up while queued make room", async () => {
    const client = await cluster.connect({ scripts: [setScript], maxPendingPerNode: 10, commandTimeout: 60 });
    const node = cluster.node(0);
    const down = new Promise((resolve) => client.on("nodeDown", resolve));
    const { port } = node;
    await node.stop();
    await down;
    const calls = Array.from({ length: 10 }, () => client.run(setScript, [key], [1]));
    for (const result of await Promise.allSettled(calls)) {
      assert.equal(result.status, "rejected");
      assert.equal(result.reason.code, "UNAVAILABLE");
      assert.equal(result.reason.outcome, "not-executed");
      assert.match(String([...result.reason.causes.values()][0]), new RegExp(`ECONNREFUSED.*${port}`));
    }
    await assert.rejects(client.run(setScript, [key], [1]), { code: "UNAVAILABLE" });
    cluster.stop = async () => client.destroy();
  });

  it("calls that block and were refused count for their own bound, and take no place of others", async () => {
    const client = await cluster.connect({ maxPendingPerNode: 5 });
    const node = cluster.node(0);
    node.always("BLPOP", () => error("CLUSTERDOWN The cluster is down"));
    const waiting = Array.from({ length: 20 }, (_, index) => client.command("BLPOP", keyForSlot(index), 5));
    const ended = Promise.allSettled(waiting);
    while (node.count("BLPOP") < 60) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      assert.equal(client.metrics().nodes[0]?.pending, 20);
      assert.equal(await client.command("GET", key), "OK");
    }
    client.destroy();
    await ended;
  });

  it("connectionsPerNode: a slot always uses the same connection, and all are used", async () => {
    const client = await cluster.connect({ scripts: [setScript], connectionsPerNode: 3 });
    const node = cluster.node(0);
    assert.equal(node.count("SCRIPT LOAD"), 1, "one load for the node, not one a connection");
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 30 }, (_, slot) => client.run(setScript, [keyForSlot(slot)], [1])));
    }
    const used = new Map<string, Set<number>>();
    for (const { args, connection } of node.received) {
      if (args[0] !== "EVALSHA") continue;
      const connections = used.get(args[3] as string) ?? new Set();
      used.set(args[3] as string, connections.add(connection));
    }
    for (const connections of used.values()) assert.equal(connections.size, 1);
    assert.equal(new Set([...used.values()].flatMap((connections) => [...connections])).size, 3);
  });

  it("connectionsPerNode: after a flush one load serves all connections", async () => {
    const client = await cluster.connect({ scripts: [setScript], connectionsPerNode: 3 });
    const node = cluster.node(0);
    node.scripts.clear();
    const calls = Array.from({ length: 90 }, (_, slot) => client.run(setScript, [keyForSlot(slot)], [1]));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(["OK"]));
    assert.equal(node.count("SCRIPT LOAD"), 2);
  });
});
