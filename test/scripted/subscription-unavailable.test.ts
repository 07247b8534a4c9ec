import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import { type Cluster, slotOf } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { takeSubscriptions } from "../support/fake-subscribers.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const LIMIT_MS = 300;
/** In slots of the first node. */
const [CHANNEL, ANOTHER] = [keyForSlot(7), keyForSlot(8)];
/** In a slot of the second node. */
const ELSEWHERE = keyForSlot(16_000);

describe("subscribing with `unavailableAfter`", () => {
  let servers: FakeCluster;
  let client: Cluster;
  // Far beyond the limit, so that a test tells the two apart on a busy machine.
  const options = { unavailableAfter: LIMIT_MS, commandTimeout: 60_000, connectTimeout: 60_000 };
  beforeEach(async () => {
    servers = await FakeCluster.start(2);
    for (const node of servers.nodes) takeSubscriptions(node);
    client = await servers.connect({ ...options, nodes: [servers.node(1).address] });
  });
  afterEach(() => servers.stop());

  const refusedBy = (index: number) => ({
    code: "UNAVAILABLE",
    outcome: "not-executed",
    address: servers.node(index).address,
    message: new RegExp(`${servers.node(index).address} has given no sign of life for ${LIMIT_MS} ms`),
  });
  /** The node answers nobody. */
  const freeze = (index: number) => servers.node(index).silentAt.add("PING").add("CLUSTER SHARDS").add("SSUBSCRIBE");
  const thaw = (index: number) => {
    servers.node(index).silentAt.clear();
    servers.node(index).goOn();
  };

  it("is refused where the node of a sharded channel is gone, until another one owns the slot", async () => {
    await servers.node(0).stop();
    const refused = { ...refusedBy(0), command: "SSUBSCRIBE", slot: slotOf(CHANNEL) };
    await assert.rejects(client.ssubscribe([ELSEWHERE, CHANNEL]), refused);
    await assert.rejects(client.ssubscribe(CHANNEL), refused);
    const { decisions } = client.metrics().counters;
    assert.equal(decisions["node-unavailable"], 2);
    await eventually(() => assert.equal(client.metrics().subscriptions.topics, 0, "nothing is left of them"));
    await (await client.ssubscribe(ELSEWHERE)).close();
    servers.ranges = [[0, 16_383, 1]];
    servers.primaryOf.set(0, 1);
    await client.refreshTopology();
    await client.ssubscribe(CHANNEL);
  });

  it("is refused where the node is frozen, and nobody else calls it, until it answers", async () => {
    // The second node is asked for the topology, so nobody asks the first one unless something waits for it.
    const asking = await servers.connect(options, { ...nodeEnvironment, random: () => 0.99 });
    freeze(0);
    await assert.rejects(asking.ssubscribe(CHANNEL), refusedBy(0));
    thaw(0);
    await eventually(async () => void (await asking.ssubscribe(CHANNEL)));
  });

  it("leaves those in peace that have heard the channel, and what was written", async () => {
    let hasEnded = false;
    const subscription = await client.ssubscribe(CHANNEL);
    const noteEnd = () => {
      hasEnded = true;
    };
    subscription.ended.then(noteEnd, noteEnd);
    freeze(0);
    // It goes to the connection that is open, before anybody notices.
    const written = client.ssubscribe(ANOTHER);
    await eventually(() => assert.equal(servers.node(0).silentOn("SSUBSCRIBE"), 1));
    const late = async () => {
      const made = client.ssubscribe(keyForSlot(9));
      made.catch(() => {});
      await Promise.race([made, sleep(20)]);
    };
    await eventually(() => assert.rejects(late(), refusedBy(0)));
    thaw(0);
    await written;
    assert.equal(hasEnded, false);
  });

  it("is refused for keyspace events without one of the primaries; other channels are heard at another node", async () => {
    await servers.node(0).stop();
    await assert.rejects(client.keyspaceEvents("*"), { ...refusedBy(0), command: "PSUBSCRIBE" });
    await (await client.subscribe("news")).close();
    await servers.node(1).stop();
    await assert.rejects(client.subscribe("news"), { code: "UNAVAILABLE", outcome: "not-executed" });
  });

  it("is refused for any channel where one server is all there is, and frozen, though nobody else calls it", async () => {
    const single = await servers.connect({ ...options, mode: "single", nodes: [servers.node(0).address] });
    freeze(0);
    for (const subscribing of [single.subscribe("news"), single.psubscribe("n*"), single.subscribe("news")]) {
      await assert.rejects(subscribing, refusedBy(0));
    }
    assert.deepEqual(single.metrics().subscriptions, { topics: 0, subscriptions: 0, connections: 0 });
    thaw(0);
    await eventually(async () => void (await single.subscribe("news")));
  });

  it("goes to another node where the one that was chosen is frozen, and nobody else calls it", async () => {
    const last = await servers.connect(options, { ...nodeEnvironment, random: () => 0.99 });
    const chosen = servers.nodes.findIndex(({ address }) => address === last.topology.nodes.at(-1)?.address);
    freeze(chosen);
    await (await last.subscribe("news")).close();
    assert.equal(servers.node(1 - chosen).count("SUBSCRIBE"), 1);
  });
});
