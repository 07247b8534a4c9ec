import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { idempotentScript, setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const BUSY = error("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");

describe("a connection that falls silent while calls wait", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
  });
  afterEach(() => cluster.stop());

  const key = keyForSlot(0);

  it("is replaced when the node answers on another one; what may not run twice is unknown, the rest is served", async () => {
    const client = await cluster.connect({ scripts: [setScript, idempotentScript] });
    cluster.node(0).expect("EVALSHA", "hang");
    const start = performance.now();
    using watch = new Stopwatch();
    const first = client.run(setScript, [key], [1]);
    const second = client.run(idempotentScript, [key], [2]);
    await assert.rejects(first, {
      code: "CONNECTION_LOST",
      outcome: "unknown",
      message: /no answer for \d+ ms, while the node answers/,
    });
    assert.equal(await second, "OK");
    assert.ok(performance.now() - start > 500 && watch.ms < 1500, `${watch.ms} ms`);
    assert.equal(await client.run(setScript, [key], [3]), "OK");
  });

  it("is replaced as well when it is slotwire's own question that gets no answer", async () => {
    const client = await cluster.connect();
    const replaced = new Promise<void>((resolve) => client.on("nodeUp", () => resolve()));
    for (const node of cluster.nodes) node.expect("CLUSTER SHARDS", "hang");
    const start = performance.now();
    using watch = new Stopwatch();
    await client.refreshTopology();
    await replaced;
    assert.ok(performance.now() - start > 500 && watch.ms < 1500, `${watch.ms} ms`);
  });

  it("of a node that is busy with a script is waited on", async () => {
    const client = await cluster.connect({ scripts: [setScript], commandTimeout: 1500 });
    const node = cluster.node(0);
    node.expect("EVALSHA", "hang");
    const waiting = client.run(setScript, [key], [1]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    node.always("PING", () => BUSY);
    await assert.rejects(waiting, { code: "DEADLINE", outcome: "unknown" });
    assert.ok(node.count("PING") > 2, "it was asked");
    node.always("PING", () => "+PONG\r\n");
  });

  it("of a node that answers nobody holds what is not written, which expires as not executed", async () => {
    const client = await cluster.connect({ scripts: [setScript], commandTimeout: 1200 });
    const node = cluster.node(0);
    node.expect("EVALSHA", "hang");
    const down = new Promise<void>((resolve) => client.on("nodeDown", () => resolve()));
    const written = client.run(setScript, [key], [1]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    node.always("PING", () => "hang");
    node.always("CLUSTER SHARDS", () => "hang");
    await down;
    const received = node.count("EVALSHA");
    const held = client.run(setScript, [key], [2]);
    await assert.rejects(written, { code: "DEADLINE", outcome: "unknown" });
    await assert.rejects(held, {
      code: "UNAVAILABLE",
      outcome: "not-executed",
      message: /nor on a second connection/,
    });
    assert.equal(node.count("EVALSHA"), received);
    // Another node's calls are none the wiser.
    assert.equal(await client.run(setScript, [keyForSlot(16_000)], [3]), "OK");
  });

  it("of a node that says BUSY on a second connection, once it has answered nobody, is told in its words", async () => {
    // So its silence is noticed sooner.
    const client = await cluster.connect({ scripts: [setScript], unavailableAfter: 200 });
    const node = cluster.node(0);
    node.expect("EVALSHA", "hang");
    const down = new Promise<void>((resolve) => client.on("nodeDown", () => resolve()));
    const written = client.run(setScript, [key], [1], { timeout: 3000 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    node.always("PING", () => "hang");
    node.always("CLUSTER SHARDS", () => "hang");
    await down;
    node.always("PING", () => BUSY);
    const held = () => client.run(setScript, [key], [2], { timeout: 50 });
    const message = new RegExp(
      `${node.address} \\(BUSY Redis is busy running a script\\. You can only call SCRIPT KILL`,
    );
    await eventually(() => assert.rejects(held(), { code: "UNAVAILABLE", outcome: "not-executed", message }));
    await assert.rejects(written, { code: "DEADLINE", message: /on another connection it says: BUSY Redis is busy/ });
  });

  it("speaks for the node's other connections: idle ones hold what is not written, too, and calls follow the slot", async () => {
    const client = await cluster.connect({ scripts: [setScript], connectionsPerNode: 2 });
    const node = cluster.node(0);
    node.expect("EVALSHA", "hang");
    const down = new Promise<void>((resolve) => client.on("nodeDown", () => resolve()));
    const written = client.run(setScript, [key], [1]).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    node.always("PING", () => "hang");
    node.always("CLUSTER SHARDS", () => "hang");
    await down;
    const received = node.count("EVALSHA");
    const [sameLane, otherLane] = [client.run(setScript, [key], [2]), client.run(setScript, [keyForSlot(1)], [3])];
    const { connections } = client.metrics().nodes.find(({ address }) => address === node.address) ?? {};
    assert.equal(connections?.silent, 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    cluster.ranges = [[0, 16_383, 1]];
    assert.deepEqual(await Promise.all([sameLane, otherLane]), ["OK", "OK"]);
    assert.equal(node.count("EVALSHA"), received, "nothing was written to the silent node");
    client.destroy();
    await written;
  });

  it("that was held goes to the node that owns the slot by then", async () => {
    const client = await cluster.connect({ scripts: [setScript], commandTimeout: 5000 });
    const node = cluster.node(0);
    node.expect("EVALSHA", "hang");
    const down = new Promise<void>((resolve) => client.on("nodeDown", () => resolve()));
    const written = client.run(setScript, [key], [1]).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    node.always("PING", () => "hang");
    node.always("CLUSTER SHARDS", () => "hang");
    await down;
    const held = client.run(setScript, [key], [2]);
    cluster.ranges = [[0, 16_383, 1]];
    assert.equal(await held, "OK");
    client.destroy();
    await written;
  });

  it("costs a healthy node nothing: no PING beside the handshake's, however long calls keep coming", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const [pings, connections] = [cluster.node(0).count("PING"), cluster.node(0).connections];
    for (const end = Date.now() + 1200; Date.now() < end; ) await client.run(setScript, [key], [1]);
    assert.deepEqual([cluster.node(0).count("PING"), cluster.node(0).connections], [pings, connections]);
  });
});
