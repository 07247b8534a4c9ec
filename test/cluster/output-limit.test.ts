import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { type Cluster, ConnectionLostError, connect, defineScript, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { steadyLoad } from "../support/steady-load.ts";

const keys = Array.from({ length: 40 }, (_, index) => `{a}${index}`);
const value = Buffer.alloc(1_000_000, "x");
/** Reads a whole value in a reply that every server copies. Redis 8.6 lends the value to GET, which counts as nothing. */
const whole = (key: string): [string, string, number, number] => ["GETRANGE", key, 0, -1];
const read = defineScript({
  name: "read",
  source: "return redis.call('get', KEYS[1])",
  numberOfKeys: 1,
  readOnly: true,
});

describe("reads whose replies together exceed the server's limit on what waits for a client", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let address: string;
  let opened: number;
  before(async () => {
    cluster = await startCluster({ args: ["--client-output-buffer-limit", "normal 8mb 0 0"] });
    const first = await connect(cluster.connectOptions);
    for (const key of keys) await first.command("SET", key, value);
    address = first.topology.primaryOf(slotOf("{a}"))?.address ?? "";
    first.destroy();
  });
  after(() => cluster?.stop());
  beforeEach(async () => {
    client = await connect({ ...cluster.connectOptions, scripts: [read], commandTimeout: 20_000 });
    await cluster.command(address, "CONFIG", "RESETSTAT");
    opened = client.metrics().counters.connectionsOpened;
  });
  afterEach(() => client.destroy());

  /** How many connections the server has closed because of the limit. */
  async function closed(): Promise<number> {
    const stats = String(await cluster.command(address, "INFO", "stats"));
    const count = /client_output_buffer_limit_disconnections:(\d+)/.exec(stats)?.[1];
    // Older servers do not count them. Each that is lost is opened again, and one is opened for repeats.
    return Number(count ?? client.metrics().counters.connectionsOpened - opened - 1);
  }

  async function allSucceed(replies: Promise<readonly unknown[]>): Promise<void> {
    for (const [index, reply] of (await replies).entries()) {
      assert.equal(typeof reply === "string" ? reply.length : reply, value.length, keys[index]);
    }
    const count = await closed();
    assert.ok(count >= 1 && count <= 3, `${count} connections were closed`);
  }

  it("all succeed", () => allSucceed(Promise.all(keys.map((key) => client.command(...whole(key))))));

  it("all succeed when scripts read", (_test) => allSucceed(Promise.all(keys.map((key) => client.run(read, [key])))));

  it("all succeed in a batch", () => {
    const batch = client.batch();
    for (const key of keys) batch.command(...whole(key));
    return allSucceed(batch.exec());
  });

  it("all succeed in a batch where each waits for a write in front of it", async () => {
    // The node is asked whether it takes transactions, so that calls that wait for each other may go in one.
    const warm = client.batch();
    for (let index = 0; index < 20; index++) warm.command("INCR", "{a}count");
    await warm.exec();
    await client.command("SET", "{a}long", value);
    const batch = client.batch();
    for (let index = 0; index < 40; index++) batch.command("APPEND", "{a}long", "y").command(...whole("{a}long"));
    const replies = await batch.exec();
    const lengths = replies.map((reply) => (typeof reply === "string" ? reply.length : reply));
    assert.deepEqual(
      lengths,
      Array.from({ length: 80 }, (_, index) => value.length + 1 + Math.floor(index / 2)),
    );
    assert.equal(client.metrics().counters.reconnections, 0);
  });

  it("cost their neighbours what the first loss took", async () => {
    const load = steadyLoad(500, (index) => client.command("SET", `{a}neighbour${index % 100}`, index));
    await new Promise((resolve) => setTimeout(resolve, 100));
    let losses = 0;
    client.on("nodeDown", () => losses++);
    await allSucceed(Promise.all(keys.map((key) => client.command(...whole(key)))));
    const { errors } = await load.stop();
    assert.equal(losses, 1, "the shared connection was lost once");
    for (const error of errors) assert.ok(error instanceof ConnectionLostError, String(error));
    assert.equal(client.metrics().counters.reconnections, 1);
  });

  it("of which one exceeds the limit by itself is given up after three connections, long before its deadline", async () => {
    await client.command("SET", "{a}large", Buffer.alloc(12_000_000, "x"));
    const began = performance.now();
    const error = await client.command(...whole("{a}large")).catch((reason: unknown) => reason);
    // A reply would be too long for a message.
    assert.ok(error instanceof ConnectionLostError, String(error).slice(0, 200));
    assert.equal(error.outcome, "unknown");
    assert.ok(performance.now() - began < 10_000, "long before its deadline");
    const count = await closed();
    assert.ok(count <= 3, `${count} connections were closed`);
    assert.equal(client.metrics().counters.decisions["lost-alone"], 1);
    await client.command("DEL", "{a}large");
  });

  it("are as quick as before where the connection was lost for another reason", async () => {
    const reads = Array.from({ length: 5000 }, () => client.command("STRLEN", "{a}1"));
    await cluster.command(address, "CLIENT", "KILL", "TYPE", "normal");
    assert.deepEqual(await Promise.all(reads), new Array(5000).fill(value.length));
  });
});
