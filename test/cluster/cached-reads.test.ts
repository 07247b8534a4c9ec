import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, defineScript, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { byGossip } from "../support/slot-moves.ts";

const both = defineScript({
  name: "both",
  source: "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), ARGV[1]}",
  keys: ["one", "other"],
  readOnly: true,
});
const derived = defineScript({
  name: "derived",
  source: "return redis.call('GET', '{' .. KEYS[1] .. '}:derived')",
  numberOfKeys: 1,
  readOnly: true,
});
const put = defineScript({ name: "put", source: "return redis.call('SET', KEYS[1], ARGV[1])", numberOfKeys: 1 });

/** Entries stay for as long as the tests run, unless something ends them. */
const cache = { maxStaleness: 2000 };

describe("a cached view", () => {
  let servers: LocalCluster;
  let client: Cluster;
  let other: Cluster;
  let cached: Cluster;
  before(async () => {
    const args = ["--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000"];
    servers = await startCluster({ primaries: 3, replicasPerPrimary: 1, args });
    isOld = /v=6\./.test(servers.version);
    client = await connect({ ...servers.connectOptions, cache, scripts: [both, derived, put] });
    other = await connect({ ...servers.connectOptions, scripts: [put] });
    cached = client.with({ cached: true });
  });
  after(async () => {
    client?.destroy();
    other?.destroy();
    await servers?.stop();
  });
  beforeEach(() => {
    if (!isOld) assert.deepEqual(figures().unavailable, []);
  });

  /** Before 7.0 nothing is kept. */
  let isOld = false;
  const kept = (name: string, body: (test: TestContext) => unknown) =>
    it(name, async (test) => {
      if (isOld) test.diagnostic("left out: this server has no sharded channels");
      else await body(test);
    });

  const figures = (of = client) => {
    const { cache: found } = of.metrics();
    assert.ok(found, "the client has a cache");
    return found;
  };
  /** Reads until memory answers. The news of an earlier write can end an entry that was read after it. */
  const inMemory = async (read: () => Promise<unknown>): Promise<unknown> => {
    for (let tries = 0; tries < 200; tries++) {
      const { hits } = figures();
      const reply = await read();
      if (figures().hits > hits) return reply;
      await sleep(5);
    }
    throw new Error("memory never answers");
  };
  const get = (key: string, view = cached) => view.command("GET", key);

  it("keeps nothing where the server is older than 7.0, and says why", async (test) => {
    if (!isOld) return test.diagnostic("left out: this server has sharded channels");
    await other.command("SET", "old", "1");
    for (let time = 0; time < 3; time++) assert.equal(await get("old"), "1");
    assert.deepEqual([figures().hits, figures().passed], [0, { "not-ready": 3 }]);
    assert.match(figures().unavailable[0]?.reason ?? "", /^SSUBSCRIBE: ERR /);
  });

  kept("answers from memory, and sends nothing", async () => {
    await other.command("SET", "{a}1", "x");
    await other.command("SET", "{a}2", "y");
    assert.equal(await inMemory(() => get("{a}1")), "x");
    assert.deepEqual(await inMemory(() => cached.run(both, ["{a}1", "{a}2"], ["z"])), ["x", "y", "z"]);
    const before = client.metrics();
    for (let time = 0; time < 100; time++) {
      await get("{a}1");
      await cached.run(both, ["{a}1", "{a}2"], ["z"]);
    }
    const after = client.metrics();
    assert.equal((after.cache?.hits ?? 0) - (before.cache?.hits ?? 0), 200);
    assert.equal(after.counters.calls, before.counters.calls);
    assert.equal(after.cache?.misses, before.cache?.misses);
  });

  kept("hears of what others write, of expiry, and of FLUSHALL", async () => {
    await other.command("SET", "changed", "1");
    assert.equal(await inMemory(() => get("changed")), "1");
    await other.run(put, ["changed"], ["2"]);
    await eventually(async () => assert.equal(await get("changed"), "2"));
    await other.command("SET", "short", "1", "PX", 300);
    assert.equal(await get("short"), "1");
    await sleep(350);
    assert.equal(await get("short"), null);
    assert.equal(await inMemory(() => get("changed")), "2");
    await other.command("FLUSHALL");
    await eventually(async () => assert.equal(await get("changed"), null));
  });

  kept("sees what its own client writes, in every way", async () => {
    const key = "{own}key";
    const buffers = cached.with({ replies: "buffer" });
    const ways: Record<string, (value: string) => Promise<unknown>> = {
      command: (value) => client.command("SET", key, value),
      run: (value) => client.run(put, [key], [value]),
      "its own view": (value) => cached.command("SET", key, value),
      batch: (value) => client.batch().command("SET", key, value).exec(),
      transaction: (value) => client.transaction(key).command("SET", key, value).exec(),
      watch: (value) => client.transaction(key, { watch: [key] }, async (tx) => tx.multi().run(put, [key], [value])),
      "within watch": (value) =>
        client.transaction(key, { watch: ["{own}x"] }, async (tx) => {
          await tx.command("SET", key, value);
          return tx.multi();
        }),
      EVAL: (value) => client.command("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, key, value),
      node: (value) => {
        const { address = "" } = client.topology.primaryOf(slotOf(key)) ?? {};
        return client.node(address).command("SET", key, value);
      },
    };
    let count = 0;
    for (const [name, write] of Object.entries(ways)) {
      const value = String(++count);
      await inMemory(() => get(key));
      const written = write(value);
      await written;
      assert.equal(await get(key), value, name);
      await inMemory(() => buffers.command("GET", key));
    }
    // While the write is under way, the read takes the same way as the write, behind it.
    await inMemory(() => get(key));
    void client.command("SET", key, "unawaited");
    assert.equal(await get(key), "unawaited");
    await client.command("RPUSH", "{own}list", "a");
    await inMemory(() => cached.command("LRANGE", "{own}list", 0, -1));
    await client.command("BLPOP", "{own}list", 1);
    assert.deepEqual(await cached.command("LRANGE", "{own}list", 0, -1), []);
    await inMemory(() => get(key));
    await client.command("FLUSHALL");
    assert.equal(await get(key), null);
  });

  kept("asks once for equal misses, and gives each caller what cannot be changed", async () => {
    await other.command("RPUSH", "list", "a", "b");
    const before = figures();
    const replies = await Promise.all(Array.from({ length: 1000 }, () => cached.command("LRANGE", "list", 0, -1)));
    assert.equal(figures().misses - before.misses, 1);
    assert.equal(figures().shared - before.shared, 999);
    assert.deepEqual(new Set(replies.map((reply) => JSON.stringify(reply))), new Set(['["a","b"]']));
    assert.ok(Object.isFrozen(replies[0]), "frozen");
    const buffers = cached.with({ replies: "buffer" });
    await inMemory(() => buffers.command("LRANGE", "list", 0, -1));
    const [first] = await buffers.command("LRANGE", "list", 0, -1);
    first?.fill("x");
    assert.deepEqual((await buffers.command("LRANGE", "list", 0, -1)).map(String), ["a", "b"]);
  });

  kept("passes what must not be kept", async () => {
    await other.command("SET", "p", "1", "EX", 1000);
    const before = figures().passed;
    await cached.command("TTL", "p");
    await cached.command("SRANDMEMBER", "nothing");
    // Servers do not tell of what becomes of groups.
    await assert.rejects(cached.command("XINFO", "GROUPS", "nothing"), { code: "REPLY" });
    await cached.command("DBSIZE");
    await cached.command("SET", "p", "2");
    await assert.rejects(cached.command("LRANGE", "p", 0, -1), { code: "REPLY" });
    await assert.rejects(cached.command("LRANGE", "p", 0, -1), { code: "REPLY" });
    const { passed } = figures();
    const more = Object.keys(passed).map((why) => [why, (passed[why] ?? 0) - (before[why] ?? 0)]);
    const counted = Object.fromEntries(more.filter(([, count]) => count !== 0));
    assert.deepEqual(counted, { nondeterministic: 3, "no-keys": 1, "not-read-only": 1 });
  });

  kept("knows by the server which commands are not deterministic", async () => {
    const reply = (await other.command("COMMAND")) as unknown[][];
    const readers = reply.filter(([, , flags]) => (flags as string[]).includes("readonly"));
    assert.ok(readers.length > 50, "the server's commands");
    const kept: string[] = [];
    for (const [name, , , , , , , tips] of readers) {
      if (!(tips as string[] | undefined)?.includes("nondeterministic_output")) continue;
      const { whyNotCacheable } = await import("../../src/commands/cacheable.ts");
      const traits = { keys: ["k"], slot: undefined, readOnly: true, runsCode: false, blocking: undefined };
      if (whyNotCacheable(String(name), ["consumers"], traits) === undefined) kept.push(String(name));
    }
    assert.deepEqual(kept, []);
  });

  kept("covers keys that a script derives, where the server tracks them", async (test) => {
    const [address = ""] = servers.nodes;
    const version = /(redis|valkey)_version:(\d+)\.(\d+)/.exec(
      String(await servers.command(address, "INFO", "server")),
    );
    const [, , major = "0", minor = "0"] = version ?? [];
    if (Number(major) * 100 + Number(minor) < 702)
      return test.diagnostic("left out: the server tracks only declared keys");
    await other.command("SET", "{d}:derived", "1");
    // Another entry names the key that the script derives.
    await inMemory(() => get("{d}:derived"));
    assert.equal(await inMemory(() => cached.run(derived, ["d"])), "1");
    await other.command("SET", "{d}:derived", "2");
    await eventually(async () => assert.equal(await cached.run(derived, ["d"]), "2"));
  });

  kept("follows a slot that leaves by SETSLOT alone, of which no invalidation tells", async () => {
    const key = "moving";
    const slot = slotOf(key);
    await other.command("SET", key, "old");
    await inMemory(() => get(key));
    const from = client.topology.primaryOf(slot)?.address as string;
    const to = client.topology.ranges.find(({ primary }) => primary.address !== from)?.primary.address as string;
    await byGossip.move(servers, slot, from, to);
    await servers.command(to, "SET", key, "new");
    const written = performance.now();
    await eventually(async () => assert.equal(await get(key), "new"));
    assert.ok(performance.now() - written < cache.maxStaleness + 1000, "within the time that is promised");
    assert.equal(await inMemory(() => get(key)), "new");
  });

  for (const [which, flag] of [
    ["reads", "t"],
    ["hears", "P"],
  ] as const) {
    kept(`drops everything when the connection that ${which} is killed at the server, and goes on`, async () => {
      const key = `killed ${which}`;
      await other.command("SET", key, "1");
      await inMemory(() => get(key));
      const { address = "" } = client.topology.primaryOf(slotOf(key)) ?? {};
      const lines = String(await servers.command(address, "CLIENT", "LIST")).split("\n");
      const line = lines.find((each) => new RegExp(`flags=\\w*${flag}`).test(each)) ?? "";
      const [, id = "0"] = /^id=(\d+)/.exec(line) ?? [];
      assert.equal(Number(await servers.command(address, "CLIENT", "KILL", "ID", id)), 1);
      await servers.command(address, "SET", key, "2");
      await eventually(async () => assert.equal(await get(key), "2"));
      assert.ok((figures().dropped["connection-lost"] ?? 0) > 0, "entries were dropped");
      await eventually(() => assert.deepEqual(figures().unavailable, []));
      assert.equal(await inMemory(() => get(key)), "2");
    });
  }

  kept("keeps nothing for a user who may not hear invalidations, and says why", async () => {
    for (const address of servers.nodes) {
      await servers.command(address, "ACL", "SETUSER", "u", "reset", "on", ">p", "~*", "+@all", "resetchannels");
    }
    const limited = await connect({ ...servers.connectOptions, username: "u", password: "p", cache });
    try {
      const view = limited.with({ cached: true });
      await other.command("SET", "limited", "1");
      for (let time = 0; time < 3; time++) assert.equal(await get("limited", view), "1");
      const { hits, passed, unavailable } = figures(limited);
      assert.deepEqual([hits, passed], [0, { "not-ready": 3 }]);
      assert.equal(unavailable.length, 3);
      assert.match(unavailable[0]?.reason ?? "", /^SUBSCRIBE __redis__:invalidate: NOPERM/);
      // These are the rights that it needs.
      for (const address of servers.nodes) {
        await servers.command(address, "ACL", "SETUSER", "u", "&__redis__:invalidate", "&__slotwire__:*");
      }
      const able = await connect({ ...servers.connectOptions, username: "u", password: "p", cache });
      assert.deepEqual(figures(able).unavailable, []);
      able.destroy();
    } finally {
      limited.destroy();
    }
  });

  kept("fails over: what the old primary said is gone", async () => {
    const key = "failing over";
    await other.command("SET", key, "1");
    await inMemory(() => get(key));
    const primary = client.topology.primaryOf(slotOf(key))?.address as string;
    const replica = client.topology.replicasOf(slotOf(key))[0]?.address as string;
    await servers.failover(replica);
    await other.command("SET", key, "2");
    await eventually(async () => assert.equal(await get(key), "2"));
    await eventually(() => assert.notEqual(client.topology.primaryOf(slotOf(key))?.address, primary));
    assert.equal(await inMemory(() => get(key)), "2");
  });

  kept("freezes with the primary: nothing is served after the time that is promised", async () => {
    const key = "frozen";
    await other.command("SET", key, "1");
    await inMemory(() => get(key));
    const primary = client.topology.primaryOf(slotOf(key))?.address as string;
    await servers.pause(primary);
    try {
      await eventually(async () => {
        const { hits } = figures();
        await cached
          .with({ timeout: 50 })
          .command("GET", key)
          .catch(() => {});
        assert.equal(figures().hits, hits);
      }, 10_000);
      await eventually(() => assert.ok((figures().dropped.silent ?? 0) > 0, "given up"));
    } finally {
      await servers.resume(primary);
    }
    await eventually(async () => assert.equal(await get(key), "1"));
    await eventually(() => assert.deepEqual(figures().unavailable, []), 20_000);
  });

  it("is refused where the client has no cache", () => {
    const message = "with: cached is true, but connect was not given the option cache.";
    assert.throws(() => other.with({ cached: true }), { code: "INVALID_ARGUMENT", message });
  });
});
