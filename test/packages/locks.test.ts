import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Redlock as SesamecareRedlock } from "@sesamecare-oss/redlock";
import { Verrou } from "@verrou/core";
import { redisStore } from "@verrou/core/drivers/redis";
import type { Redis } from "ioredis";
import { MultiSemaphore, Mutex, Semaphore } from "redis-semaphore";
import Redlock from "redlock";
import { createLock, IoredisAdapter, LockManager } from "redlock-universal";
import { FlushedCluster } from "./support/flushed-cluster.ts";

/** How many workers want one lock. */
const WORKERS = 12;

/** Counts who is inside at once. */
class Room {
  most = 0;
  entries = 0;
  #inside = 0;

  readonly visit = async (): Promise<void> => {
    this.entries++;
    this.most = Math.max(this.most, ++this.#inside);
    await sleep(10);
    this.#inside--;
  };
}

describe("locks, while the scripts are flushed", () => {
  let servers: FlushedCluster;
  before(async () => {
    servers = await FlushedCluster.start();
  });
  after(() => servers?.stop());

  const crowd = (work: (worker: number) => Promise<unknown>) =>
    Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));

  it("redlock 4", async () => {
    const room = new Room();
    const redlock = new Redlock([servers.client()], { retryCount: 1000, retryDelay: 15, retryJitter: 10 });
    const errors: unknown[] = [];
    redlock.on("clientError", (error: unknown) => errors.push(error));
    await crowd(async () => {
      const lock = await redlock.lock("redlock:4", 5000);
      await room.visit();
      await lock.unlock();
    });
    assert.deepEqual([room.entries, room.most], [WORKERS, 1]);
    const lock = await redlock.lock("redlock:4", 1000);
    const extended = await lock.extend(20_000);
    assert.equal(extended.expiration > Date.now() + 10_000, true);
    const client = servers.client();
    assert.equal((await client.pttl("redlock:4")) > 10_000, true);
    await extended.unlock();
    assert.equal(await client.exists("redlock:4"), 0);
    const two = await redlock.lock(["{r}1", "{r}2"], 5000);
    assert.equal(await client.exists("{r}1", "{r}2"), 2);
    await two.unlock();
    // Attempts on a taken lock are no errors of a client.
    assert.deepEqual(
      errors.filter((error) => /NOSCRIPT/.test(String(error))),
      [],
    );
  });

  it("@sesamecare-oss/redlock", async () => {
    const room = new Room();
    const redlock = new SesamecareRedlock([servers.client()], { retryCount: 1000, retryDelay: 15, retryJitter: 10 });
    const errors: unknown[] = [];
    redlock.on("error", (error) => errors.push(error));
    await crowd(() => redlock.using(["redlock:5"], 5000, room.visit));
    assert.deepEqual([room.entries, room.most], [WORKERS, 1]);
    const lock = await redlock.acquire(["redlock:5"], 1000);
    const extended = await lock.extend(20_000);
    assert.equal((await servers.client().pttl("redlock:5")) > 10_000, true);
    await extended.release();
    assert.equal(await servers.client().exists("redlock:5"), 0);
    assert.deepEqual(
      errors.filter((error) => /NOSCRIPT/.test(String(error))),
      [],
    );
  });

  it("redlock-universal", async () => {
    const adapter = new IoredisAdapter(servers.client());
    const room = new Room();
    const options = { adapter, key: "universal", ttl: 5000, retryAttempts: 1000, retryDelay: 15 };
    await crowd(() => createLock(options).using(room.visit));
    assert.deepEqual([room.entries, room.most], [WORKERS, 1]);
    const lock = createLock(options);
    const handle = await lock.acquire();
    assert.equal(await lock.extend(handle, 20_000), true);
    assert.equal(await lock.isLocked("universal"), true);
    assert.equal((await servers.client().pttl("universal")) > 10_000, true);
    assert.equal(await lock.release(handle), true);
    assert.equal(await lock.isLocked("universal"), false);
    const manager = new LockManager({ nodes: [adapter], defaultTTL: 5000 });
    const batch = await manager.acquireBatch(["{u}1", "{u}2", "{u}3"]);
    assert.equal(batch.length, 3);
    await manager.releaseBatch(batch);
    assert.equal(await servers.client().exists("{u}1", "{u}2", "{u}3"), 0);
  });

  it("redis-semaphore", async () => {
    const client = servers.client();
    const options = { retryInterval: 10, acquireTimeout: 30_000, lockTimeout: 5000 };
    const inTurns = async (semaphore: Mutex | Semaphore | MultiSemaphore, room: Room) => {
      await semaphore.acquire();
      await room.visit();
      await semaphore.release();
    };
    const alone = new Room();
    await crowd(() => inTurns(new Mutex(client, "mutex", options), alone));
    assert.deepEqual([alone.entries, alone.most], [WORKERS, 1]);
    const three = new Room();
    await crowd(() => inTurns(new Semaphore(client, "three", 3, options), three));
    assert.equal(three.entries === WORKERS && three.most <= 3, true, `${three.most}`);
    const pairs = new Room();
    await crowd(() => inTurns(new MultiSemaphore(client, "pairs", 4, 2, options), pairs));
    assert.equal(pairs.entries === WORKERS && pairs.most <= 2, true, `${pairs.most}`);
    // The refresh runs by itself, every 100 ms.
    const kept = new Mutex(client, "kept", { ...options, lockTimeout: 300, refreshInterval: 100 });
    await kept.acquire();
    await sleep(900);
    assert.equal(await client.get("mutex:kept"), kept.identifier);
    assert.equal(await new Mutex(client, "kept", { ...options, acquireTimeout: 50 }).tryAcquire(), false);
    await kept.release();
    assert.equal(await client.exists("mutex:kept"), 0);
    assert.equal((await servers.refusals()) > 0, true, "the scripts were missing");
  });

  it("@verrou/core", async () => {
    // It names ioredis's client of a single server as its type.
    const connection = servers.client() as unknown as Redis;
    const verrou = new Verrou({ default: "redis", stores: { redis: { driver: redisStore({ connection }) } } });
    const room = new Room();
    await crowd(async () => {
      const lock = verrou.createLock("verrou", 5000);
      assert.equal(await lock.acquire({ retry: { delay: 15 } }), true);
      await room.visit();
      await lock.release();
    });
    assert.deepEqual(await verrou.createLock("verrou", 5000).run(async () => "result"), [true, "result"]);
    assert.deepEqual([room.entries, room.most], [WORKERS, 1]);
    const lock = verrou.createLock("verrou", 1000);
    assert.equal(await lock.acquireImmediately(), true);
    await lock.extend(20_000);
    assert.equal(((await lock.getRemainingTime()) as number) > 10_000, true);
    assert.equal(await verrou.createLock("verrou").acquireImmediately(), false);
    await assert.rejects(verrou.createLock("verrou").release(), /not acquired|owned/i);
    await lock.release();
    assert.equal(await lock.isLocked(), false);
  });
});
