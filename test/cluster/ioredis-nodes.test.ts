import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../../src/ioredis/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

describe("nodes, scans and subscriptions of a client in ioredis's shape", () => {
  let servers: LocalCluster;
  let redis: Cluster;
  before(async () => {
    servers = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    redis = new Cluster(servers.nodes);
    await Promise.all(Array.from({ length: 300 }, (_, index) => redis.set(`key:${index}`, index)));
  });
  after(async () => {
    redis?.disconnect();
    await servers?.stop();
  });

  it("asks one node and no other", async () => {
    assert.deepEqual([redis.nodes().length, redis.nodes("master").length, redis.nodes("slave").length], [6, 3, 3]);
    assert.throws(() => redis.nodes("none" as "all"), /Invalid role "none"/);
    const nodes = redis.nodes("master");
    for (const { options, status } of nodes) {
      assert.deepEqual([servers.nodes.includes(`${options.host}:${options.port}`), status], [true, "ready"]);
    }
    const replies = await Promise.all(nodes.map((node) => node.get("key:1").catch((error: Error) => error.message)));
    assert.equal(replies.filter((reply) => reply === "1").length, 1);
    assert.equal(replies.filter((reply) => /^MOVED \d+ /.test(String(reply))).length, 2);
    const sizes = await Promise.all(nodes.map((node) => node.dbsize()));
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      300,
    );
    assert.deepEqual(await nodes[0]?.send_command("PUBSUB", ["NUMSUB", "none"]), ["none", 0]);
    assert.deepEqual(await nodes[0]?.callBuffer("ECHO", "a"), Buffer.from("a"));
    assert.equal(await new Promise((resolve) => nodes[0]?.echo("b", (_: null, reply: string) => resolve(reply))), "b");
    const pairs = await nodes[0]?.pipeline().echo("a").call("NONSENSE").echoBuffer("b").exec();
    assert.deepEqual([pairs?.[0], pairs?.[1]?.length, pairs?.[2]], [[null, "a"], 1, [null, Buffer.from("b")]]);
    assert.throws(() => nodes[0]?.multi(), /no multi/);
  });

  it("scans one node, and the whole cluster", async () => {
    const all = Array.from({ length: 300 }, (_, index) => `key:${index}`).sort();
    const byNode = new Set<string>();
    for (const node of redis.nodes("master")) {
      for await (const keys of node.scanStream({ match: "key:*", count: 50 })) for (const key of keys) byNode.add(key);
    }
    assert.deepEqual([...byNode].sort(), all);
    const whole = new Set<string>();
    for await (const keys of redis.scanStream({ match: "key:*", count: 50 })) for (const key of keys) whole.add(key);
    assert.deepEqual([...whole].sort(), all);
    for (const step of [
      (cursor: string) => redis.scan(cursor, "MATCH", "key:*"),
      (cursor: string) => redis.call("SCAN", cursor, "MATCH", "key:*") as Promise<[string, string[]]>,
    ]) {
      const stepped = new Set<string>();
      let cursor = "0";
      do {
        const [next, keys] = await step(cursor);
        for (const key of keys) stepped.add(key);
        cursor = next;
      } while (cursor !== "0");
      assert.deepEqual([...stepped].sort(), all);
    }
  });

  it("streams the elements of one collection", async () => {
    await redis.hset("h", { a: 1, b: 2 });
    await redis.sadd("s", "x");
    await redis.zadd("z", 1, "m");
    const elements = async (stream: AsyncIterable<string[]>) => {
      const found: string[] = [];
      for await (const page of stream) found.push(...page);
      return found;
    };
    assert.deepEqual(await elements(redis.hscanStream("h", { match: "a" })), ["a", "1"]);
    assert.deepEqual(await elements(redis.sscanStream("s")), ["x"]);
    assert.deepEqual(await elements(redis.zscanStream("z")), ["m", "1"]);
  });

  it("hears channels, patterns and sharded channels, and can still send commands", async () => {
    const client = new Cluster(servers.nodes, { keyPrefix: "p:" });
    const heard: unknown[] = [];
    for (const event of ["message", "messageBuffer", "pmessage", "smessage"]) {
      client.on(event, (...given) => heard.push([event, ...given]));
    }
    assert.equal(await client.subscribe("c1", "c2"), 2);
    assert.equal(await client.psubscribe(["d*"]), 3);
    assert.equal(await client.ssubscribe("e"), 1);
    assert.deepEqual(await new Promise((resolve) => client.subscribe("c3", (...given: unknown[]) => resolve(given))), [
      null,
      4,
    ]);
    assert.equal(await client.set("k", 1), "OK");
    // Channels have no prefix. Sharded channels count as keys.
    await redis.publish("c1", "x");
    await redis.publish("dd", "y");
    await redis.spublish("p:e", "z");
    for (let tries = 0; tries < 200 && heard.length < 4; tries++) await sleep(20);
    assert.deepEqual(
      new Set(heard.map((each) => JSON.stringify(each))),
      new Set(
        [
          ["message", "c1", "x"],
          ["messageBuffer", Buffer.from("c1"), Buffer.from("x")],
          ["pmessage", "d*", "dd", "y"],
          ["smessage", "p:e", "z"],
        ].map((each) => JSON.stringify(each)),
      ),
    );
    assert.equal(await client.unsubscribe("c1"), 3);
    assert.equal(await client.unsubscribe(), 1);
    assert.equal(await client.punsubscribe(), 0);
    assert.equal(await client.sunsubscribe("e"), 0);
    await client.quit();
  });

  it("hears the same again when it has connected again", async () => {
    const client = new Cluster(servers.nodes);
    const heard: string[] = [];
    client.on("message", (channel, payload) => heard.push(`${channel} ${payload}`));
    assert.equal(await client.subscribe("again"), 1);
    client.disconnect();
    await client.connect();
    // Nothing is asked for twice: this waits for the subscription that is being made.
    assert.equal(await client.subscribe("again"), 1);
    await client.publish("again", "1");
    for (let tries = 0; tries < 100 && heard.length === 0; tries++) await sleep(20);
    assert.deepEqual(heard, ["again 1"]);
    await client.quit();
  });

  it("leaves a channel that it has not reached yet", async () => {
    const client = new Cluster(servers.nodes);
    const heard: string[] = [];
    client.on("message", (channel, payload) => heard.push(`${channel} ${payload}`));
    await Promise.all([client.subscribe("left"), client.unsubscribe("left"), client.subscribe("kept")]);
    await client.publish("left", "1");
    assert.equal(await client.pubsub("NUMSUB", "left").then(([, count]: [string, number]) => count), 0);
    await client.publish("kept", "2");
    for (let tries = 0; tries < 100 && heard.length === 0; tries++) await sleep(20);
    assert.deepEqual(heard, ["kept 2"]);
    await client.quit();
  });
});
