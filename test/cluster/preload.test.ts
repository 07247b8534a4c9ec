import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript, ReplyError, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, counts, resetStats } from "../support/command-stats.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { randomKeys } from "../support/random-keys.ts";
import { incrScript, setScript } from "../support/scripts.ts";

const scripts = Array.from({ length: 20 }, (_, index) =>
  defineScript({
    name: `script ${index}`,
    source: `redis.call('set', KEYS[1], ARGV[1]) return ${index}`,
    numberOfKeys: 1,
  }),
);

describe("a cluster of 3 primaries and 3 replicas", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect({ ...cluster.connectOptions, scripts });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("has all 20 scripts on all six nodes when connect resolves, and 10,000 runs see no NOSCRIPT and no EVAL", async (test) => {
    assert.equal(cluster.nodes.length, 6);
    for (const address of cluster.nodes) {
      const exists = await cluster.command(address, "SCRIPT", "EXISTS", ...scripts.map(({ sha }) => sha));
      assert.deepEqual(exists, new Array(20).fill(1), address);
    }
    await resetStats(cluster);
    const calls = Array.from({ length: 10_000 }, (_, index) => {
      const script = scripts[index % scripts.length] as (typeof scripts)[number];
      return client.with({ timeout: 0 }).run(script, [`key:${index}`], [index]);
    });
    const replies = await Promise.all(calls);
    for (const [index, reply] of replies.entries()) assert.equal(reply, index % scripts.length);
    const [hasFailures, hasSubcommands] = [counts("failures", test, cluster), counts("subcommands", test, cluster)];
    let runs = 0;
    for (const address of cluster.nodes) {
      const stat = await commandStats(cluster, address);
      runs += stat("evalsha").calls;
      assert.equal(stat("eval").calls, 0, address);
      if (hasFailures) assert.equal(stat("evalsha").failed, 0, address);
      if (hasSubcommands) assert.equal(stat("script|load").calls, 0, address);
    }
    assert.equal(runs, 10_000);
  });

  it("serves 1,000 calls in flight right after SCRIPT FLUSH on all nodes, with one load a node and script", async (test) => {
    await resetStats(cluster);
    await cluster.flushScripts();
    const pair = scripts.slice(0, 2);
    const calls = Array.from({ length: 1000 }, (_, index) =>
      client.run(pair[index % 2] as (typeof scripts)[number], [`key:${index}`], [index]),
    );
    const replies = await Promise.all(calls);
    for (const [index, reply] of replies.entries()) assert.equal(reply, index % 2);
    for (const address of cluster.nodes) {
      const stat = await commandStats(cluster, address);
      assert.ok(stat("script|load").calls <= scripts.length, `${address}: ${stat("script|load").calls} loads`);
      assert.equal(stat("eval").calls, 0);
    }
    // All nodes, replicas too, get back what they lost.
    const deadline = Date.now() + 3000;
    const missing = async () => {
      const counts = await Promise.all(
        cluster.nodes.map((address) => cluster.command(address, "SCRIPT", "EXISTS", ...scripts.map(({ sha }) => sha))),
      );
      return counts.flatMap((exists) => (exists as number[]).filter((found) => found === 0)).length;
    };
    while ((await missing()) > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await missing(), 0);
    if (!counts("subcommands", test, cluster)) return;
    for (const address of cluster.nodes) {
      const stat = await commandStats(cluster, address);
      assert.equal(stat("script|load").calls, scripts.length, `${address}: one load a script and flush`);
    }
  });

  it("refuses keys of two slots with their names, and sends nothing", async (test) => {
    await resetStats(cluster);
    const two = defineScript({ name: "two", source: "return 1", numberOfKeys: 2 });
    await assert.rejects(client.run(two, ["foo", "bar"]), { code: "CROSSSLOT", outcome: "not-executed" });
    const load = counts("subcommands", test, cluster) ? "script|load" : "script";
    for (const address of cluster.nodes) {
      const stat = await commandStats(cluster, address);
      assert.equal(stat("evalsha").calls + stat(load).calls, 0);
    }
  });

  it("puts every key where the server puts it: 20,000 odd keys against CLUSTER KEYSLOT", async () => {
    const keys = randomKeys(20_000, 20_261_123);
    const patient = client.with({ timeout: 0 });
    for (let start = 0; start < keys.length; start += 5000) {
      const some = keys.slice(start, start + 5000);
      const slots = await Promise.all(some.map((key) => patient.command<number>("CLUSTER", "KEYSLOT", key)));
      for (const [index, key] of some.entries()) assert.equal(slotOf(key), slots[index], `key ${JSON.stringify(key)}`);
    }
  });

  it("gives integers past 2^53 exactly, also inside arrays", async () => {
    await client.command("DEL", "big");
    assert.equal(await client.command("INCRBY", "big", 9_007_199_254_740_993n), 9_007_199_254_740_993n);
    const fields = ["BITFIELD", "bits", "SET", "i64", 0, -9_007_199_254_740_993n, "GET", "i64", 0] as const;
    assert.deepEqual(await client.command(...fields), [0, -9_007_199_254_740_993n]);
    assert.equal(await client.command("DECRBY", "big", 9_007_199_254_740_992n), 1);
    assert.equal(await client.command("DECRBY", "big", 9_223_372_036_854_775_807n), -9_223_372_036_854_775_806n);
  });

  it("survives a Lua reply nested 7,000 deep: that call is told, every other gets its own answer", async () => {
    const deep = defineScript({
      name: "deep",
      source: "local t = {1} for i = 1, tonumber(ARGV[1]) do t = {t} end return t",
      numberOfKeys: 1,
    });
    const key = keyForSlot(100);
    const echo = defineScript({ name: "echo", source: "return ARGV[1]", numberOfKeys: 1 });
    const calls = [
      client.run(echo, [key], ["before"]),
      client.run(deep, [key], [7000]),
      ...Array.from({ length: 20 }, (_, index) => client.run(echo, [key], [index])),
    ];
    const [first, nested, ...rest] = await Promise.allSettled(calls);
    assert.deepEqual(first, { status: "fulfilled", value: "before" });
    assert.equal(nested?.status, "rejected");
    assert.equal(nested.reason.code, nested.reason instanceof ReplyError ? "REPLY" : "PROTOCOL");
    assert.equal(nested.reason.outcome, "executed");
    for (const [index, result] of rest.entries()) {
      assert.deepEqual(result, { status: "fulfilled", value: String(index) });
    }
  });

  it("preload() loads everywhere and reports each node with its role", async () => {
    const report = await client.preload(setScript, incrScript);
    assert.equal(report.length, 6);
    assert.equal(report.filter(({ role }) => role === "replica").length, 3);
    for (const { loaded, failed } of report) {
      assert.deepEqual(
        loaded.map(({ name }) => name),
        ["set", "incr"],
      );
      assert.deepEqual(failed, []);
    }
  });

  it("keyless scripts run on a primary, in turn on all of them", async () => {
    await resetStats(cluster);
    const port = defineScript({ name: "ping", source: "return redis.call('ping')", numberOfKeys: 0 });
    for (let time = 0; time < 6; time++) await client.run(port, []);
    for (const { address, role } of client.topology.nodes) {
      const stat = await commandStats(cluster, address);
      assert.equal(stat("evalsha").calls, role === "primary" ? 2 : 0, `${role} ${address}`);
    }
  });

  it("runs where an ACL forbids SCRIPT but allows EVAL, and says NOPERM where it forbids both", async () => {
    for (const address of cluster.nodes) {
      await cluster.command(address, "ACL", "SETUSER", "noscript", "on", ">pw", "~*", "+@all", "-script");
      await cluster.command(address, "ACL", "SETUSER", "nothing", "on", ">pw", "~*", "+@all", "-@scripting");
    }
    const source = "return {'acl', KEYS[1]}";
    const script = defineScript({ name: "acl", source, numberOfKeys: 1 });
    const limited = await connect({
      ...cluster.connectOptions,
      username: "noscript",
      password: "pw",
      scripts: [script],
    });
    assert.ok(limited.scripts().every(({ failed }) => /NOPERM/.test(String(failed[0]?.cause.message))));
    const keys = Array.from({ length: 50 }, (_, index) => `acl:${index}`);
    assert.deepEqual(
      await Promise.all(keys.map((key) => limited.run(script, [key]))),
      keys.map((key) => ["acl", key]),
    );
    limited.destroy();
    const none = await connect({ ...cluster.connectOptions, username: "nothing", password: "pw", scripts: [script] });
    await assert.rejects(none.run(script, ["acl"]), { code: "REPLY", outcome: "not-executed", reply: /^NOPERM/ });
    none.destroy();
    await assert.rejects(connect({ ...cluster.connectOptions, username: "noscript", password: "wrong" }), {
      code: "AUTH",
    });
  });
});

describe("scripts that others flush", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect({ ...cluster.connectOptions, scripts });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("are back after the next topology refresh, for one small question a node", async (test) => {
    const hasSubcommands = counts("subcommands", test, cluster);
    await cluster.flushScripts();
    await resetStats(cluster);
    await client.refreshTopology();
    for (const address of cluster.nodes) {
      const stat = await commandStats(cluster, address);
      if (hasSubcommands) assert.equal(stat("script|load").calls, scripts.length, address);
      const exists = await cluster.command(address, "SCRIPT", "EXISTS", ...scripts.map(({ sha }) => sha));
      assert.deepEqual(exists, new Array(scripts.length).fill(1), address);
    }
    for (const { failed } of client.scripts()) assert.deepEqual(failed, []);
    await resetStats(cluster);
    await client.refreshTopology();
    for (const address of cluster.nodes) {
      const stat = await commandStats(cluster, address);
      // Where SCRIPT is counted as a whole, the one question is the whole.
      if (hasSubcommands) assert.deepEqual([stat("script|exists").calls, stat("script|load").calls], [1, 0], address);
      else assert.equal(stat("script").calls, 1, address);
    }
  });
});
