import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { type RedisReply, RedisStore } from "rate-limit-redis";
import { NodeRedisAdapter } from "redlock-universal";
import { type Cluster, connect } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

// Packages that others wrote for a single server's cache of scripts. A cluster's clients fail them where a node has none.
describe("on a cluster without any script", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
  });
  beforeEach(async () => {
    await cluster.flushScripts();
    client = await connect({ ...cluster.connectOptions });
  });
  afterEach(() => client.destroy());
  after(() => cluster?.stop());

  it("rate-limit-redis counts 30 x 30 increments at once, none fails", async () => {
    const store = new RedisStore({
      sendCommand: (command: string, ...args: string[]) => client.command<RedisReply>(command, ...args),
    });
    store.init({ windowMs: 60_000 } as Parameters<typeof store.init>[0]);
    const users = Array.from({ length: 30 }, (_, index) => `user:${index}`);
    const hits = await Promise.all(
      users.flatMap((user) => Array.from({ length: 30 }, async () => (await store.increment(user)).totalHits)),
    );
    for (let user = 0; user < users.length; user++) {
      const own = hits.slice(user * 30, (user + 1) * 30).sort((a, b) => a - b);
      assert.deepEqual(
        own,
        Array.from({ length: 30 }, (_, index) => index + 1),
      );
    }
    assert.equal((await store.get("user:0"))?.totalHits, 30);
    await cluster.flushScripts();
    assert.equal((await store.increment("user:0")).totalHits, 31);
  });

  it("redlock-universal takes, extends and releases 30 locks", async () => {
    const adapter = new NodeRedisAdapter(asNodeRedis(client) as ConstructorParameters<typeof NodeRedisAdapter>[0]);
    const locks = Array.from({ length: 30 }, (_, index) => `lock:${index}`);
    const results = await Promise.all(
      locks.map(async (lock) => [
        await adapter.setNX(lock, "me", 10_000),
        await adapter.extendIfMatch(lock, "another", 20_000),
        await adapter.extendIfMatch(lock, "me", 20_000),
        await adapter.delIfMatch(lock, "me"),
        await adapter.get(lock),
      ]),
    );
    for (const result of results) assert.deepEqual(result, ["OK", false, true, true, null]);
  });
});

/** The methods of node-redis that the adapter calls. */
function asNodeRedis(client: Cluster): unknown {
  return {
    isReady: true,
    get: (key: string) => client.command("GET", key),
    set: (key: string, value: string, { PX }: { PX: number }) => client.command("SET", key, value, "NX", "PX", PX),
    scriptLoad: (source: string) => client.command("SCRIPT", "LOAD", source),
    evalSha: (sha: string, call: { keys: string[]; arguments: string[] }) =>
      client.command("EVALSHA", sha, call.keys.length, ...call.keys, ...call.arguments),
  };
}
