import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const KEY = keyForSlot(16_000);
const CALLS = 400;

/** Two views that follow each other disagree on a node that answers slowly. Its calls keep their order. */
describe("calls of a slot, when a node", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  let ran: number[];
  beforeEach(async () => {
    cluster = await FakeCluster.start(3);
    client = await cluster.connect({ commandTimeout: 20_000, connectTimeout: 10_000 });
    ran = [];
    cluster.node(2).always("SET", async (args) => {
      await sleep(2);
      ran.push(Number(args[2]));
      return "+OK\r\n";
    });
  });
  afterEach(() => cluster.stop());

  const call = (from: number, count = CALLS) =>
    Array.from({ length: count }, (_, index) =>
      client.command("SET", KEY, from + index).catch((e: Error) => e.message),
    );
  /** How many connections have carried calls. One more may ask a slow node about them. */
  const carriers = () =>
    new Set(cluster.node(2).received.flatMap(({ args, connection }) => (args[0] === "SET" ? [connection] : []))).size;
  const inOrder = Array.from({ length: 2 * CALLS }, (_, index) => index);

  it("is missing from one view and back in the next: it keeps its connections", async () => {
    const calls = call(0);
    await sleep(10);
    const { ranges } = cluster;
    cluster.announced = 2;
    cluster.ranges = ranges.slice(0, 2);
    await client.refreshTopology();
    cluster.announced = 3;
    cluster.ranges = ranges;
    await client.refreshTopology();
    const replies = await Promise.all([...calls, ...call(CALLS)]);
    assert.deepEqual(replies, Array(2 * CALLS).fill("OK"));
    assert.deepEqual(ran, inOrder);
    assert.equal(carriers(), 1);
  });

  it("leaves, returns and leaves again: one set of connections, and the calls keep their order", async () => {
    const { ranges } = cluster;
    const leave = () => {
      cluster.announced = 2;
      cluster.ranges = ranges.slice(0, 2);
      return client.refreshTopology();
    };
    const comeBack = () => {
      cluster.announced = 3;
      cluster.ranges = ranges;
      return client.refreshTopology();
    };
    // They are answered one after the other, for longer than all that follows takes: a node without calls may start anew.
    const many = 4 * CALLS;
    const calls = call(0, many);
    await sleep(10);
    for (let time = 0; time < 3; time++) {
      await leave();
      assert.equal(client.topology.nodes.length, 2);
      await comeBack();
      assert.equal(client.topology.nodes.length, 3);
    }
    const later = call(many);
    await leave();
    await comeBack();
    const replies = await Promise.all([...calls, ...later]);
    assert.deepEqual(replies, Array(many + CALLS).fill("OK"));
    assert.deepEqual(
      ran,
      Array.from({ length: many + CALLS }, (_, index) => index),
    );
    assert.equal(carriers(), 1);
  });

  it("is announced under another address: what is in flight is answered first", async () => {
    const calls = call(0);
    await sleep(10);
    cluster.hostOf = (index) => (index === 2 ? "localhost" : "127.0.0.1");
    await client.refreshTopology();
    const replies = await Promise.all([...calls, ...call(CALLS)]);
    assert.deepEqual(replies, Array(2 * CALLS).fill("OK"));
    assert.deepEqual(ran, inOrder);
    assert.equal(client.topology.primaryOf(16_000)?.host, "localhost");
  });
});
