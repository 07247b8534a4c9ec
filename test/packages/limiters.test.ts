import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import fastifyRateLimit from "@fastify/rate-limit";
import { ThrottlerStorageRedisService } from "@nest-lab/throttler-storage-redis";
import Bottleneck from "bottleneck";
import fastify from "fastify";
import { RedisStore } from "rate-limit-redis";
import { RateLimiterRedis, type RateLimiterRes } from "rate-limiter-flexible";
import redisGcra from "redis-gcra";
import { FlushedCluster } from "./support/flushed-cluster.ts";

const users = Array.from({ length: 20 }, (_, index) => `user:${index}`);
const oneTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const byNumber = (a: number, b: number) => a - b;

describe("limiters, while the scripts are flushed", () => {
  let servers: FlushedCluster;
  before(async () => {
    servers = await FlushedCluster.start();
  });
  after(() => servers?.stop());

  it("rate-limiter-flexible", async () => {
    const limiter = new RateLimiterRedis({ storeClient: servers.client(), points: 50, duration: 60, keyPrefix: "rlf" });
    for (const user of users) {
      const results = await Promise.allSettled(oneTo(60).map(() => limiter.consume(user)));
      const allowed = results.filter(({ status }) => status === "fulfilled");
      assert.equal(allowed.length, 50);
      const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
      // What is refused is a number of points. An error of the store would be an `Error`.
      for (const { consumedPoints, msBeforeNext } of refused as RateLimiterRes[]) {
        assert.equal(consumedPoints > 50 && msBeforeNext > 0, true, `${consumedPoints} ${msBeforeNext}`);
      }
    }
    assert.equal((await limiter.get("user:0"))?.consumedPoints, 60);
    assert.equal(await limiter.delete("user:0"), true);
    assert.equal(await limiter.get("user:0"), null);
    const { remainingPoints } = await limiter.penalty("user:0", 4);
    assert.equal(remainingPoints, 46);
    assert.equal((await limiter.reward("user:0", 1)).consumedPoints, 3);
    await limiter.block("user:1", 100);
    const refusal = await limiter.consume("user:1").catch((reason) => reason);
    assert.equal(refusal.msBeforeNext > 90_000, true, `${refusal.msBeforeNext}`);
    assert.equal((await servers.refusals()) > 0, true, "the scripts were missing");
  });

  it("rate-limiter-flexible with a block in memory, where the client has to be ready", async () => {
    const storeClient = servers.client();
    await once(storeClient, "ready");
    const limiter = new RateLimiterRedis({
      storeClient,
      keyPrefix: "rlf2",
      points: 5,
      duration: 60,
      inMemoryBlockOnConsumed: 5,
      rejectIfRedisNotReady: true,
    });
    for (const left of [4, 3, 2, 1, 0]) assert.equal((await limiter.consume("a")).remainingPoints, left);
    const refusal = await limiter.consume("a").catch((reason) => reason);
    assert.equal(refusal.remainingPoints, 0);
  });

  it("rate-limit-redis, with the command and its key given, and without", async () => {
    const client = servers.client();
    const store = new RedisStore({
      sendCommand: (command: string, ...args: string[]) => client.call(command, ...args) as Promise<number>,
    });
    store.init({ windowMs: 60_000 } as Parameters<typeof store.init>[0]);
    for (const user of users) {
      const hits = await Promise.all(oneTo(30).map(async () => (await store.increment(user)).totalHits));
      assert.deepEqual(hits.sort(byNumber), oneTo(30));
    }
    assert.equal((await store.get("user:0"))?.totalHits, 30);
    await store.decrement("user:0");
    assert.equal((await store.get("user:0"))?.totalHits, 29);
    await store.resetKey("user:0");
    assert.equal((await store.increment("user:0")).totalHits, 1);
    const clustered = new RedisStore({
      sendCommandCluster: ({ command }) => client.call(...(command as [string])) as Promise<number>,
      prefix: "other:",
    });
    clustered.init({ windowMs: 60_000 } as Parameters<typeof store.init>[0]);
    for (const hits of [1, 2, 3]) assert.equal((await clustered.increment("a")).totalHits, hits);
  });

  it("@fastify/rate-limit", async () => {
    const app = fastify();
    await app.register(fastifyRateLimit, { max: 3, timeWindow: 60_000, redis: servers.client(), skipOnError: false });
    app.get("/", async () => "hello");
    const answers = await Promise.all(oneTo(10).map(() => app.inject("/")));
    assert.deepEqual(answers.map(({ statusCode }) => statusCode).sort(), [200, 200, 200, ...Array(7).fill(429)]);
    const left = answers.map(({ headers }) => Number(headers["x-ratelimit-remaining"])).sort(byNumber);
    assert.deepEqual(left, [0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    await app.close();
  });

  it("redis-gcra", async () => {
    const limiter = redisGcra({ redis: servers.client(), keyPrefix: "gcra:", burst: 10, rate: 1, period: 60_000 });
    for (const key of users) {
      const results = await Promise.all(oneTo(15).map(() => limiter.limit({ key })));
      assert.equal(results.filter(({ limited }) => !limited).length, 10);
      assert.equal((await limiter.peek({ key })).remaining, 0);
      assert.equal(await limiter.reset({ key }), true);
      assert.equal((await limiter.peek({ key })).remaining, 10);
    }
  });

  it("@nest-lab/throttler-storage-redis, which asks by instanceof", async () => {
    const storage = new ThrottlerStorageRedisService(servers.client());
    for (const key of users.slice(0, 5)) {
      const hits = oneTo(8).map(() => storage.increment(key, 60_000, 5, 60_000, "default"));
      const results = await Promise.all(hits);
      assert.deepEqual(results.map(({ totalHits }) => totalHits).sort(byNumber), oneTo(8));
      assert.equal(results.filter(({ isBlocked }) => isBlocked).length, 3);
    }
    storage.onModuleDestroy();
  });

  it("bottleneck, with reservoirs that several limiters share", async () => {
    // As in two processes: a connection knows one limiter of an id.
    const connections = [0, 1].map(() => new Bottleneck.IORedisConnection({ client: servers.client() }));
    const errors: unknown[] = [];
    for (const connection of connections) connection.on("error", (error: unknown) => errors.push(error));
    const limiters = connections.map(
      (connection) =>
        new Bottleneck({ id: "{shared}", connection, datastore: "ioredis", maxConcurrent: 4, minTime: 2 }),
    );
    await Promise.all(limiters.map((limiter) => limiter.ready()));
    let running = 0;
    let most = 0;
    const work = async (index: number) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running--;
      return index;
    };
    const results = await Promise.all(
      oneTo(60).map((index) => (limiters[index % 2] as Bottleneck).schedule(() => work(index))),
    );
    assert.deepEqual(results, oneTo(60));
    assert.equal(most <= 4 && most > 1, true, `${most} at once`);
    assert.equal(await limiters[0]?.done(), 60);
    const connection = connections[0] as Bottleneck.IORedisConnection;
    const group = new Bottleneck.Group({ connection, datastore: "ioredis", maxConcurrent: 1, id: "{group}" });
    assert.deepEqual(await Promise.all(users.map((user) => group.key(user).schedule(async () => user))), users);
    assert.equal((await group.clusterKeys()).length, users.length);
    assert.equal(await group.deleteKey("user:0"), true);
    await Promise.all(connections.map((each) => each.disconnect()));
    assert.deepEqual(errors, []);
  });
});
