import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Read } from "../../src/cache/miss.ts";
import { CallFactory } from "../../src/calls/call-factory.ts";
import { Client } from "../../src/client/client.ts";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import { type Cluster, defineLibrary, defineScript } from "../../src/index.ts";
import { resolveOptions } from "../../src/options.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk, type FakeNode } from "../support/fake-node.ts";
import { type TrackingRules, takeTracking } from "../support/fake-tracking.ts";
import { takeTransactions } from "../support/fake-transactions.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

/** In slots of the first node: one is written, one has the same slot, and one is nobody's business. */
const [KEY, OTHER] = [keyForSlot(7), keyForSlot(8)];
const BESIDE = `{${KEY}}beside`;
const FAR = keyForSlot(16000);
const put = defineScript({ name: "put", source: "return redis.call('SET', KEYS[1], ARGV[1])", numberOfKeys: 1 });
const sweep = defineScript({ name: "sweep", source: "return redis.call('DEL', 'undeclared')", numberOfKeys: 0 });
const library = defineLibrary({
  source: "#!lua name=writers\nredis.register_function('write', function(keys) return redis.call('INCR', keys[1]) end)",
  functions: { write: { numberOfKeys: 1 } },
});
const { write } = library.functions;

// The node tells of no change, so that only the client itself can end an entry.
describe("what the client itself writes is not answered from memory, by", () => {
  let cluster: FakeCluster;
  let node: FakeNode;
  let rules: TrackingRules;
  let client: Cluster;
  let cached: Cluster;
  before(async () => {
    cluster = await FakeCluster.start(2);
    [rules] = cluster.nodes.map(takeTracking) as [TrackingRules, TrackingRules];
    node = cluster.node(0);
    for (const each of cluster.nodes) {
      each.always("GET", () => bulk("v"));
      each.always("FUNCTION", () => bulk("writers"));
      takeTransactions(each, ["SET", "EVALSHA"], () => "+OK\r\n");
    }
    client = await cluster.connect({ cache: { maxStaleness: 10_000 }, scripts: [put, sweep] });
    cached = client.with({ cached: true });
  });
  after(() => cluster.stop());

  const figures = () => {
    const { cache } = client.metrics();
    assert.ok(cache, "the client has a cache");
    return cache;
  };
  const isKept = async (key: string, view: Cluster<string | Buffer> = cached) => {
    const { hits } = figures();
    await view.command("GET", key);
    return figures().hits > hits;
  };
  const keep = async (...keys: string[]) => {
    for (const key of keys) {
      await isKept(key);
      assert.equal(await isKept(key), true, `${key} is kept`);
    }
  };

  const WAYS: Record<string, () => Promise<unknown>> = {
    command: () => client.command("SET", KEY, 1),
    "a command with several keys": () => client.command("RENAME", BESIDE, KEY),
    "a command in parts": () => client.command("DEL", FAR, KEY),
    "a destination behind STORE": () => client.command("SORT", BESIDE, "STORE", KEY),
    "an option that counts keys": () => client.command("ZUNIONSTORE", KEY, 1, BESIDE),
    "a command that reads and writes": () => client.command("GETEX", KEY, "PX", 5),
    "a key as a Buffer": () => client.command("SET", Buffer.from(KEY), 1),
    "the cached view": () => cached.command("SET", KEY, 1),
    "a view with other replies": () => client.with({ replies: "buffer" }).command("SET", KEY, 1),
    "a view that reads elsewhere": () => client.with({ readFrom: "replica" }).command("SET", KEY, 1),
    run: () => client.run(put, [KEY], [1]),
    "run in the cached view": () => cached.run(put, [KEY], [1]),
    "a function": () => client.run(write, [KEY]),
    FCALL: () => client.command("FCALL", "write", 1, KEY),
    EVAL: () => client.command("EVAL", put.source, 1, KEY, 1),
    EVALSHA: () => client.command("EVALSHA", put.sha, 1, KEY, 1),
    "a batch": () => client.batch().command("SET", KEY, 1).exec(),
    "a script in a batch": () => cached.batch().run(put, [KEY], [1]).exec(),
    "a transaction": () => client.transaction(KEY).command("SET", KEY, 1).exec(),
    "a script in a transaction": () => client.transaction(KEY).run(put, [KEY], [1]).exec(),
    "a transaction that watches": () =>
      client.transaction(KEY, { watch: [BESIDE] }, async (tx) => tx.multi().command("SET", KEY, 1)),
    "a command while it watches": () =>
      client.transaction(KEY, { watch: [BESIDE] }, async (tx) => {
        await tx.command("SET", KEY, 1);
        return tx.multi();
      }),
    "a blocking command": () => client.command("BLPOP", KEY, 1),
    "a blocking command with a destination": () => client.command("BLMOVE", BESIDE, KEY, "LEFT", "LEFT", 1),
    "a group that reads a stream": () =>
      client.command("XREADGROUP", "GROUP", "g", "c", "BLOCK", 1, "STREAMS", KEY, ">"),
    "one node": () => client.node(node.address).command("SET", KEY, 1),
    "a blocking command at one node": () => client.node(node.address).command("BLPOP", KEY, 1),
  };
  for (const [name, way] of Object.entries(WAYS)) {
    it(name, async () => {
      const others = client.with({ cached: true, replies: "buffer" });
      await keep(KEY, OTHER);
      await isKept(KEY, others);
      await way();
      assert.deepEqual([await isKept(KEY), await isKept(KEY, others), await isKept(OTHER)], [false, false, true]);
      assert.equal(await isKept(KEY), true, "kept again, when the write is over");
    });
  }

  // Nobody knows which keys these may write.
  const OF_ALL: Record<string, () => Promise<unknown>> = {
    "a script without keys": () => client.run(sweep, []),
    "EVAL without keys": () => client.command("EVAL", sweep.source, 0),
    "FCALL without keys": () => client.command("FCALL", "write", 0),
    "EVAL at one node": () => client.node(node.address).command("EVAL", sweep.source, 0),
    FLUSHALL: () => client.command("FLUSHALL"),
    "FLUSHDB in a batch": () => client.batch().command("FLUSHDB").exec(),
    "a command that nobody knows": () => client.command("NOSUCH.WRITE", OTHER).catch(() => {}),
    "a command that nobody knows, at one node": () =>
      client
        .node(node.address)
        .command("NOSUCH.WRITE", OTHER)
        .catch(() => {}),
  };
  for (const [name, way] of Object.entries(OF_ALL)) {
    it(`${name}: nothing is kept`, async () => {
      await keep(KEY, FAR);
      await way();
      assert.deepEqual([await isKept(KEY), await isKept(FAR)], [false, false]);
      assert.equal(await isKept(KEY), true, "kept again, when the write is over");
    });
  }

  it("a batch, from the moment on at which it is made, and not when a server has said what a command of it is", async () => {
    await keep(KEY, FAR);
    const done = client.batch().command("SET", FAR, 1).command("NOSUCH.OTHER", OTHER).exec();
    assert.deepEqual(await Promise.all([isKept(KEY), isKept(FAR)]), [false, false]);
    await done;
    await keep(KEY, FAR);
  });

  const HARMLESS: Record<string, () => Promise<unknown>> = {
    GET: () => client.command("GET", KEY),
    "a script that reads": () => client.command("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, KEY),
    PUBLISH: () => client.command("PUBLISH", KEY, "x"),
    "SCRIPT FLUSH": () => client.command("SCRIPT", "FLUSH"),
    "CONFIG SET": () => client.command("CONFIG", "SET", "hz", 10),
  };
  for (const [name, way] of Object.entries(HARMLESS)) {
    it(`${name}, which writes no key: it is`, async () => {
      await keep(KEY);
      await way();
      assert.equal(await isKept(KEY), true);
    });
  }

  it("a write that ends unknown: it counts as over, and its invalidation ends what was read since", async () => {
    await keep(KEY);
    let answer!: (text: string) => void;
    node.expect("SET", new Promise<string>((resolve) => (answer = resolve)));
    const written = client.with({ timeout: 50 }).command("SET", KEY, 1);
    await assert.rejects(written, { code: "DEADLINE", outcome: "unknown" });
    await keep(KEY);
    answer("+OK\r\n");
    rules.invalidate([KEY]);
    await eventually(async () => assert.equal(figures().invalidated, 1));
    assert.equal(await isKept(KEY), false);
  });
});

describe("a write that is refused when it is admitted is no write under way, when", () => {
  let cluster: FakeCluster;
  before(async () => {
    cluster = await FakeCluster.start(1);
    takeTracking(cluster.node(0));
    cluster.node(0).always("GET", () => bulk("v"));
  });
  after(() => cluster.stop());

  const passed = (client: Cluster) => client.metrics().cache?.passed["write-under-way"] ?? 0;

  /** While it is under way, and when it has been refused, the key is read and kept. */
  const verifyKept = async (client: Cluster, key: string) => {
    const cached = client.with({ cached: true });
    const before = passed(client);
    await cached.command("GET", key);
    await cached.command("GET", key);
    assert.deepEqual([passed(client) - before, (client.metrics().cache?.hits ?? 0) > 0], [0, true]);
  };

  it("its node has no room", async () => {
    const client = await cluster.connect({ cache: {}, maxPendingPerNode: 1 });
    const held = client.command("GET", OTHER);
    const refused = [client.command("SET", KEY, 1), client.command("DEL", KEY, BESIDE), client.run(sweep, [])];
    for (const call of refused) await assert.rejects(call, { code: "QUEUE_FULL" });
    await held;
    await verifyKept(client, KEY);
  });

  it("its signal is aborted", async () => {
    const client = await cluster.connect({ cache: {} });
    const batch = client.with({ signal: AbortSignal.abort() }).batch().command("SET", KEY, 1).run(sweep, []);
    assert.deepEqual(
      (await batch.exec()).map((error) => (error as { code?: string }).code),
      ["ABORTED", "ABORTED"],
    );
    await verifyKept(client, KEY);
  });

  it("its client is closing", async () => {
    const options = resolveOptions({ nodes: [cluster.node(0).address], topologyRefreshInterval: 0, cache: {} });
    const client = await Client.connect(options, nodeEnvironment);
    try {
      const factory = new CallFactory(client, {
        timeoutMs: 0,
        signal: undefined,
        replies: undefined,
        readFrom: "primary",
      });
      client.dispatcher.endEndless();
      for (const args of [
        [KEY, 0],
        [BESIDE, KEY, 0],
      ]) {
        const ended = new Promise((resolve) =>
          client.door.send(factory.command("BLPOP", args, 0, resolve, undefined), undefined),
        );
        await assert.rejects(ended, { code: "CLOSED", outcome: "not-executed" });
      }
      assert.equal(client.cache?.whyPass({ keys: [KEY, BESIDE], slot: 7 } as unknown as Read), undefined);
    } finally {
      client.destroy();
    }
  });
});
