import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, defineScript, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

/** Runs for ARGV[1] milliseconds, and answers nobody meanwhile. */
const spin = defineScript({
  name: "spin",
  source: `local function now() local t = redis.call('time'); return t[1] * 1000 + t[2] / 1000 end
local till = now() + ARGV[1]
while now() < till do end
return redis.call('incr', KEYS[1])`,
  numberOfKeys: 1,
});

/** Users who may not do everything. */
const USERS: Readonly<Record<string, readonly string[]>> = {
  "without scripts": ["+@all", "-@scripting"],
  "without scripts and CLIENT LIST": ["+@all", "-@scripting", "-@dangerous", "-@admin", "+cluster"],
  "without CLIENT LIST": ["+@all", "-@dangerous", "-@admin", "+cluster"],
};

describe("a server that makes a connection wait while it answers others", () => {
  let cluster: LocalCluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    if (isOld()) return;
    for (const address of cluster.nodes) {
      for (const [name, rights] of Object.entries(USERS)) {
        await cluster.command(address, "ACL", "SETUSER", name.replaceAll(" ", "-"), "on", ">pw", "~*", "&*", ...rights);
      }
    }
  });
  after(() => cluster?.stop());

  /** Redis 6.0 can neither pause writes alone, nor say what it has in hand. */
  const isOld = () => / v=6\.0\./.test(cluster.version);

  let client: Cluster | undefined;
  afterEach(() => client?.destroy());

  const asUser = async (name: string) => {
    client = await connect({
      ...cluster.connectOptions,
      username: name.replaceAll(" ", "-"),
      password: "pw",
      commandTimeout: 20_000,
    });
    return client;
  };

  /** All calls are answered, on the connections that they were written to. */
  async function keeps(who: Cluster, calls: readonly Promise<unknown>[]): Promise<void> {
    await Promise.all(calls);
    const { counters } = who.metrics();
    assert.deepEqual([counters.errors, counters.reconnections], [{}, 0]);
  }

  for (const name of Object.keys(USERS)) {
    it(`because writes are paused, keeps it: a user ${name}`, async (t) => {
      if (isOld()) return t.skip("Redis 6.0");
      const user = await asUser(name);
      await user.command("SET", "paused", 0);
      const address = user.topology.primaryOf(slotOf("paused"))?.address as string;
      await cluster.command(address, "CLIENT", "PAUSE", 2500, "WRITE");
      const began = performance.now();
      const blocked = user.command("BLPOP", "{paused}list", 0.2);
      await keeps(user, [...Array.from({ length: 5 }, () => user.command("INCR", "paused")), blocked]);
      assert.ok(performance.now() - began > 1500, "it was paused");
      assert.equal(await user.command("GET", "paused"), "5");
    });

    it(`because it hands its slots over in a failover on command, keeps it: a user ${name}`, async (t) => {
      if (isOld()) return t.skip("Redis 6.0");
      const user = await asUser(name);
      const key = "{handed over}";
      await user.command("SET", `${key}n`, 0);
      const replica = user.topology.replicasOf(slotOf(key))[0]?.address as string;
      let [isOver, calls] = [false, 0];
      const load = (async () => {
        for (; !isOver; calls++) await user.command("INCR", `${key}n`);
      })();
      await cluster.failover(replica);
      await sleep(500);
      isOver = true;
      await load;
      assert.deepEqual(user.metrics().counters.errors, {});
      assert.equal(Number(await user.command("GET", `${key}n`)), calls);
    });
  }
});

describe("a server that runs a script, and refuses new connections", () => {
  let cluster: LocalCluster;
  let client: Cluster | undefined;
  beforeEach(async () => {
    cluster = await startCluster({ primaries: 1, args: ["--lua-time-limit", "100"] });
  });
  afterEach(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("keeps the connection whose FLUSHALL runs in a thread, from Redis 8 on", async (t) => {
    const [, product, major] = /^(\w+) server v=(\d+)/.exec(cluster.version) ?? [];
    if (product !== "Redis" || Number(major) < 8) {
      t.skip("this server has no such thread");
      return;
    }
    await cluster.stop();
    cluster = await startCluster({ primaries: 1, args: ["--enable-debug-command", "yes"] });
    client = await connect({ ...cluster.connectOptions, commandTimeout: 60_000 });
    assert.equal(await client.command("DEBUG", "POPULATE", 4_000_000), "OK");
    const flushed = client.command("FLUSHALL");
    const behind = client.command("INCR", "k");
    assert.deepEqual(await Promise.all([flushed, behind]), ["OK", 1]);
    assert.equal(client.metrics().counters.reconnections, 0);
  });

  /** Nothing is lost while a script runs for longer than any silence is borne. */
  async function keepsBeside(refuse: (address: string) => Promise<unknown>): Promise<void> {
    const who = client as Cluster;
    assert.equal(await who.command("SET", "k", 0), "OK");
    await refuse(cluster.nodes[0] as string);
    const failuresBefore = who.metrics().counters.connectionFailures;
    assert.equal(await who.run(spin, ["k"], [3000]), 1);
    assert.equal(await who.command("INCR", "k"), 2);
    const { counters } = who.metrics();
    assert.deepEqual([counters.errors, counters.reconnections], [{}, 0]);
    assert.ok(counters.connectionFailures > failuresBefore, "a second connection was refused");
  }

  it("because the password was rotated, keeps the old ones", async () => {
    client = await connect({
      ...cluster.connectOptions,
      password: "old",
      scripts: [spin],
      commandTimeout: 20_000,
    }).catch(() => undefined);
    await cluster.command(cluster.nodes[0] as string, "CONFIG", "SET", "requirepass", "old");
    client = await connect({ ...cluster.connectOptions, password: "old", scripts: [spin], commandTimeout: 20_000 });
    await keepsBeside(() => (client as Cluster).command("CONFIG", "SET", "requirepass", "new"));
  });

  it("because the most clients are connected, keeps the old ones", async () => {
    client = await connect({ ...cluster.connectOptions, scripts: [spin], commandTimeout: 20_000 });
    await keepsBeside(async (address) => {
      const info = String(await cluster.command(address, "INFO", "clients"));
      const connected = Number(/^connected_clients:(\d+)/m.exec(info)?.[1]);
      await (client as Cluster).command("CONFIG", "SET", "maxclients", connected - 1);
    });
  });

  it("because the provider of credentials fails, keeps the old ones", async () => {
    let isFailing = false;
    client = await connect({
      ...cluster.connectOptions,
      scripts: [spin],
      commandTimeout: 20_000,
      credentials: async () => {
        if (isFailing) throw new Error("the vault is closed");
        return {};
      },
    });
    await keepsBeside(async () => {
      isFailing = true;
    });
  });
});
