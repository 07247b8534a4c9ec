import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript, ReplyError, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, counts, resetStats } from "../support/command-stats.ts";
import { incrScript, setScript } from "../support/scripts.ts";

const longIncr = defineScript({
  name: "long incr",
  source: `return redis.call('incr', KEYS[1]) --${"x".repeat(20_000)}`,
  numberOfKeys: 1,
});
const failing = defineScript({ name: "failing", source: "return redis.error_reply('OUCH no')", numberOfKeys: 1 });

describe("a batch", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript, setScript, longIncr, failing] });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  async function total(command: string): Promise<number> {
    const calls = await Promise.all(
      cluster.nodes.map(async (address) => (await commandStats(cluster, address))(command).calls),
    );
    return calls.reduce((sum, each) => sum + each, 0);
  }

  it("of many slots gives results in the order of the calls, errors as values", async () => {
    const [one, ok, value, failed, two] = await client
      .batch()
      .run(incrScript, ["order:a"])
      .run(setScript, ["order:b"], ["x"])
      .command<string>("GET", "order:b")
      .run(failing, ["order:c"])
      .run(incrScript, ["order:a"])
      .exec();
    assert.deepEqual([one, ok, value, two], [1, "OK", "x", 2]);
    assert.ok(failed instanceof ReplyError && failed.reply === "OUCH no" && failed.outcome === "executed");
  });

  it("given as a list is typed as a tuple", async () => {
    const calls = [incrScript.call(["tuple:a"]), setScript.call(["tuple:b"], ["x"])] as const;
    const [count, ok] = await client.batch(calls);
    assert.deepEqual([count, ok], [1, "OK"]);
    assert.deepEqual(await client.batch([]), []);
    assert.deepEqual(await client.batch().exec(), []);
  });

  it("is refused with a clear error when a call is wrong, and when it is executed twice", async () => {
    const batch = client.batch();
    assert.throws(() => batch.run(incrScript, [] as never), { code: "INVALID_ARGUMENT" });
    assert.throws(() => batch.command("SINTER", "a", "b"), { code: "CROSSSLOT" });
    assert.equal(batch.size, 0);
    batch.command("PING");
    assert.deepEqual(await batch.exec(), ["PONG"]);
    await assert.rejects(batch.exec(), { code: "INVALID_ARGUMENT" });
    assert.throws(() => batch.command("PING"), { code: "INVALID_ARGUMENT" });
    await assert.rejects(client.batch([{}] as never), { code: "INVALID_ARGUMENT", message: /element 0/ });
  });

  for (const script of [incrScript, longIncr]) {
    it(`keeps the order of a key's calls after a flush (${script.name})`, async () => {
      for (let round = 0; round < 20; round++) {
        const keys = Array.from({ length: 30 }, (_, index) => `flushed:${script.name}:${round}:${index}`);
        await cluster.flushScripts();
        const batch = client.batch();
        for (const key of keys) batch.run(script, [key]).command("SET", key, 5).run(script, [key]);
        assert.deepEqual(
          await batch.exec(),
          keys.flatMap(() => [1, "OK", 6]),
        );
      }
    });
  }

  it("in which no order is at stake sends no script's source while the nodes have it", async (test) => {
    await client.preload(incrScript, setScript, longIncr, failing);
    await resetStats(cluster);
    for (let round = 0; round < 100; round++) {
      const batch = client.batch();
      for (let index = 0; index < 50; index++)
        batch.run(index % 2 ? incrScript : longIncr, [`{warm:${index}}:${round}`]);
      for (const result of await batch.exec()) assert.equal(result, 1);
    }
    assert.deepEqual([await total("eval"), await total("evalsha")], [0, 5000]);
    if (counts("subcommands", test, cluster)) assert.equal(await total("script|load"), 0);
  });

  it("in which few calls wait for each other sends no source, and no transaction", async (test) => {
    await resetStats(cluster);
    const batch = client.batch();
    for (let index = 0; index < 50; index++) {
      const key = `stake:${index}`;
      batch
        .run(incrScript, [key])
        .command("GET", key)
        .run(longIncr, [`${key}:long`])
        .command("GET", `${key}:long`);
    }
    assert.deepEqual(await batch.exec(), Array.from({ length: 50 }, () => [1, "1", 1, "1"]).flat());
    assert.deepEqual([await total("eval"), await total("exec")], [0, 0]);
    if (counts("subcommands", test, cluster)) assert.equal(await total("script|load"), 0);
  });

  for (const script of [incrScript, longIncr]) {
    it(`in which many calls wait for each other goes in few transactions (${script.name})`, async (test) => {
      const key = `chain:${script.name}`;
      await client.batch([script.call([`${key}:first`])]);
      await resetStats(cluster);
      const batch = client.batch();
      for (let index = 0; index < 1000; index++) batch.run(script, [key]);
      assert.deepEqual(
        await batch.exec(),
        Array.from({ length: 1000 }, (_, index) => index + 1),
      );
      const transactions = await total("exec");
      assert.ok(transactions >= 2 && transactions <= 10, `${transactions} transactions`);
      assert.equal(await total("evalsha"), 1000);
      if (!counts("subcommands", test, cluster)) return;
      const loads = await total("script|load");
      assert.ok(loads <= transactions, `${loads} sources in ${transactions} transactions`);
    });
  }

  it("of 100,000 calls works within the bounds", async () => {
    const bounded = await connect({
      ...cluster.connectOptions,
      scripts: [incrScript],
      maxPendingPerNode: 1000,
      commandTimeout: 30_000,
    });
    const batch = bounded.batch();
    for (let index = 0; index < 100_000; index++) batch.run(incrScript, [`many:${index % 1000}`]);
    const results = await batch.exec();
    assert.equal(results.length, 100_000);
    assert.deepEqual(
      results,
      results.map((_, index) => 1 + Math.floor(index / 1000)),
    );
    await bounded.close();
  });

  it("however long it is, keeps the order of a key's calls when another client flushes in the middle", async () => {
    const patient = client.with({ timeout: 60_000 });
    const batch = patient.batch();
    for (let index = 0; index < 50_000; index++) batch.run(incrScript, ["middle"]);
    let flushes = 0;
    let done = false;
    const flushing = (async () => {
      for (; !done; flushes++) {
        await cluster.flushScripts();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    const results = await batch.exec();
    done = true;
    await flushing;
    const wrong = results.filter((result, index) => result !== index + 1).length;
    assert.ok(flushes > 2 && wrong === 0, `${wrong} out of order, with ${flushes} flushes`);
  });

  it("past the bounds sends what waits for a long script's answer, too", async () => {
    const bounded = await connect({ ...cluster.connectOptions, scripts: [longIncr], maxPendingPerNode: 10 });
    const keys = Array.from({ length: 100 }, (_, index) => `long:${index}`);
    const batch = bounded.batch();
    for (const key of keys) batch.run(longIncr, [key]).command("SET", key, 5).run(longIncr, [key]);
    assert.deepEqual(
      await batch.exec(),
      keys.flatMap(() => [1, "OK", 6]),
    );
    await bounded.close();
  });

  it("keeps the order of a key's calls while their slots move, and runs each once", async () => {
    const bounded = await connect({
      ...cluster.connectOptions,
      scripts: [incrScript],
      maxPendingPerNode: 200,
      commandTimeout: 30_000,
    });
    const keys = Array.from({ length: 40 }, (_, index) => `moving:${index}`);
    const [target] = cluster.nodes as [string];
    const slots = [...new Set(keys.map(slotOf))].filter((slot) => bounded.topology.primaryOf(slot)?.address !== target);
    const moving = cluster.moveSlots({ slots, to: target, pause: 1 });
    let moved = false;
    void moving.then(() => {
      moved = true;
    });
    let rounds = 0;
    for (; !moved || rounds < 3; rounds++) {
      const batch = bounded.batch();
      for (let step = 0; step < 10; step++) {
        for (const key of keys) batch.run(incrScript, [key]).command("INCRBY", key, 10);
      }
      const results = await batch.exec();
      keys.forEach((_, at) => {
        const own = results.filter((_, index) => Math.floor(index / 2) % keys.length === at);
        const start = rounds * 110;
        const expected = Array.from({ length: 10 }, (_, step) => [
          start + step * 11 + 1,
          start + step * 11 + 11,
        ]).flat();
        assert.deepEqual(own, expected);
      });
    }
    await moving;
    await bounded.close();
  });
});
