import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import KeyvValkey from "@keyv/valkey";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis";
import { caching } from "cache-manager";
import { redisInsStore } from "cache-manager-ioredis-yet";
import { RedisStore } from "connect-redis";
import type { SessionData } from "express-session";
import { Keyv } from "keyv";
import { FlushedCluster, until } from "./support/flushed-cluster.ts";

const numbers = Array.from({ length: 100 }, (_, index) => index);

describe("caches and sessions, while the scripts are flushed", () => {
  let servers: FlushedCluster;
  before(async () => {
    servers = await FlushedCluster.start();
  });
  after(() => servers?.stop());

  it("connect-redis", async () => {
    const store = new RedisStore({ client: servers.client(), prefix: "session:", ttl: 100 });
    const session = (user: number) => ({ cookie: { originalMaxAge: null }, user }) as unknown as SessionData;
    await Promise.all(numbers.map((user) => store.set(`id${user}`, session(user))));
    assert.deepEqual(await store.get("id7"), session(7));
    assert.equal(await store.length(), 100);
    assert.deepEqual(((await store.ids()) as string[]).sort(), numbers.map((user) => `id${user}`).sort());
    const all = (await store.all()) as (SessionData & { user: number })[];
    assert.deepEqual(
      all.map(({ user }) => user).sort((a, b) => a - b),
      numbers,
    );
    await store.touch("id7", session(7));
    assert.equal((await servers.client().ttl("session:id7")) > 90, true);
    await store.destroy("id7");
    assert.equal(await store.get("id7"), null);
    const told = await new Promise((resolve) => store.get("id8", (error, data) => resolve([error, data])));
    assert.deepEqual(told, [null, session(8)]);
    await store.clear();
    assert.equal(await store.length(), 0);
  });

  // With sets, the keys and the set of their names are in one transaction: so they need a common hash tag.
  for (const [useRedisSets, namespace] of [
    [false, "keyv"],
    [true, "{keyv}"],
  ] as const) {
    it(`@keyv/valkey, ${useRedisSets ? "with" : "without"} sets`, async () => {
      // Its types are those of another fork of ioredis.
      const adapter = new KeyvValkey(servers.client() as never, { useRedisSets });
      const keyv = new Keyv({ store: adapter, namespace });
      const errors: unknown[] = [];
      keyv.on("error", (error) => errors.push(error));
      await Promise.all(numbers.map((value) => keyv.set(`key${value}`, { value })));
      assert.deepEqual(await keyv.get("key3"), { value: 3 });
      // MGET of several slots goes in parts.
      assert.deepEqual(await keyv.get(["key4", "key5", "none"]), [{ value: 4 }, { value: 5 }, undefined]);
      await keyv.set("brief", 1, 50);
      await until("it has expired", async () => (await keyv.get("brief")) === undefined);
      assert.equal(await keyv.has("key3"), true);
      assert.equal(await keyv.delete("key3"), true);
      assert.equal(await keyv.delete("key3"), false);
      const found = new Set<string>();
      for await (const [key] of keyv.iterator?.(undefined) ?? []) found.add(key);
      // Without sets, the adapter looks for other names than it gives, on ioredis too.
      assert.equal(found.size, useRedisSets ? 99 : 0);
      await keyv.clear();
      assert.equal(await keyv.get("key4"), undefined);
      assert.deepEqual(errors, []);
      await keyv.disconnect();
    });
  }

  it("cache-manager-ioredis-yet", async () => {
    const cache = await caching(redisInsStore(servers.client(), { ttl: 60_000 }));
    await Promise.all(numbers.map((value) => cache.set(`cm${value}`, { value, at: new Date(value) })));
    assert.deepEqual(await cache.get("cm5"), { value: 5, at: new Date(5) });
    assert.deepEqual(await cache.store.mget("cm1", "cm2", "none"), [
      { value: 1, at: new Date(1) },
      { value: 2, at: new Date(2) },
      undefined,
    ]);
    assert.equal((await cache.store.keys("cm*")).length, 100);
    assert.equal((await cache.store.ttl("cm5")) > 50_000, true);
    let computed = 0;
    for (let time = 0; time < 3; time++) assert.equal(await cache.wrap("wrapped", async () => ++computed), 1);
    await cache.store.mset([
      ["{m}a", 1],
      ["{m}b", 2],
    ]);
    assert.deepEqual(await cache.store.mget("{m}a", "{m}b"), [1, 2]);
    await cache.store.mdel("cm1", "cm2");
    assert.equal(await cache.get("cm1"), undefined);
    await cache.reset();
    assert.equal((await cache.store.keys()).length, 0);
  });

  it("bentocache, with two levels and a bus", async () => {
    const caches = [0, 1].map(
      () =>
        new BentoCache({
          default: "two",
          stores: {
            two: bentostore()
              .useL1Layer(memoryDriver({ maxItems: 1000 }))
              .useL2Layer(redisDriver({ connection: servers.client(), prefix: "bento" }))
              .useBus(redisBusDriver({ connection: servers.client() })),
          },
        }),
    );
    const [one, other] = caches as [(typeof caches)[0], (typeof caches)[0]];
    let computed = 0;
    const ask = (cache: typeof one) => cache.getOrSet({ key: "shared", ttl: "10m", factory: () => ++computed });
    assert.equal(await ask(one), 1);
    assert.equal(await ask(other), 1);
    assert.equal(computed, 1);
    // Until both hear, an invalidation does not reach the other one's memory.
    await until("the other one has heard of the new value", async () => {
      await one.set({ key: "shared", value: 7, ttl: "10m" });
      return (await other.get({ key: "shared" })) === 7;
    });
    await Promise.all(numbers.map((value) => one.namespace("n").set({ key: `k${value}`, value })));
    assert.equal(await other.namespace("n").get({ key: "k50" }), 50);
    await one.namespace("n").clear();
    assert.equal(await one.namespace("n").get({ key: "k50" }), undefined);
    assert.equal(await one.delete({ key: "shared" }), true);
    await until("the other one has forgotten it", async () => (await other.get({ key: "shared" })) === undefined);
    await Promise.all(caches.map((cache) => cache.disconnectAll()));
  });
});
