import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Cluster, Gap, Message, Subscription } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { type SubscriberRules, takeSubscriptions } from "../support/fake-subscribers.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

/** In a slot of the first node. */
const CHANNEL = keyForSlot(7);

describe("a replica of an owner that is down", () => {
  let cluster: FakeCluster;
  let nodes: readonly SubscriberRules[];
  let client: Cluster;
  let subscription: Subscription;
  let heard: string[];
  let gaps: Gap[];
  const replica = () => nodes[2] as SubscriberRules;

  beforeEach(async () => {
    cluster = await FakeCluster.start(3);
    cluster.ranges = [
      [0, 8191, 0],
      [8192, 16383, 1],
    ];
    cluster.primaryOf.set(2, 0);
    nodes = cluster.nodes.map(takeSubscriptions);
    heard = [];
    gaps = [];
    client = await cluster.connect({ nodes: [cluster.node(1).address] });
    const hear = ({ payload }: Message) => heard.push(payload);
    subscription = await client.ssubscribe(CHANNEL, hear, { onGap: (gap) => gaps.push(gap) });
    await cluster.node(0).stop();
    await eventually(() => assert.deepEqual(replica().subscribed(), [`SSUBSCRIBE ${CHANNEL}`]));
  });
  afterEach(() => cluster.stop());

  it("hears its sharded channels, in a gap that stays open until the topology names the owner", async () => {
    // The replica was promoted, and no topology says so yet.
    replica().spublish(CHANNEL, "first");
    await eventually(() => assert.deepEqual(heard, ["first"]));
    assert.deepEqual(
      gaps.map(({ to, reason }) => [to, reason]),
      [[null, "connection-lost"]],
    );

    cluster.primaryOf.clear();
    cluster.primaryOf.set(0, 2);
    cluster.ranges = [
      [0, 8191, 2],
      [8192, 16383, 1],
    ];
    await eventually(() => assert.equal(gaps.length, 2));
    assert.notEqual(gaps[1]?.to, null);
    replica().spublish(CHANNEL, "second");
    await eventually(() => assert.deepEqual(heard, ["first", "second"]));
    // It was asked once: what it sent is not interrupted. A proof asks again, each second.
    assert.deepEqual([gaps.length, cluster.node(2).count("SUNSUBSCRIBE")], [2, 0]);
  });

  it("is left when the subscription is closed", async () => {
    await subscription.close();
    assert.deepEqual(replica().subscribed(), []);
    assert.deepEqual(client.metrics().subscriptions.topics, 0);
  });
});
