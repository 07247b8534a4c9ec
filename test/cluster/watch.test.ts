import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript, type Script, slotOf, type Watching } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { incrScript } from "../support/scripts.ts";

describe("a transaction that watches keys", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript], commandTimeout: 20_000 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const countOf = (key: string) => (key.startsWith("{") ? `${key}:count` : `{${key}}:count`);

  /** Adds one to a number by reading and writing it: only right if nobody comes in between. */
  const add = (key: string, view = client) =>
    view.transaction(key, { watch: [key] }, async (tx) => {
      const value = Number(await tx.command("GET", key));
      return tx
        .multi()
        .command<string>("SET", key, value + 1)
        .run(incrScript, [countOf(key)]);
    });

  it("executes what its function returns", async () => {
    const result = await add("watched");
    assert.ok(result);
    const [ok, count] = result;
    assert.deepEqual([ok, count], ["OK", 1]);
    assert.equal(await client.command("GET", "watched"), "1");
  });

  it("gives null, and executes nothing, when a watched key changed", async () => {
    const result = await client.transaction("changed", { watch: ["changed"] }, async (tx) => {
      await client.command("SET", "changed", "by another");
      return tx.multi().command("SET", "changed", "by us");
    });
    assert.equal(result, null);
    assert.equal(await client.command("GET", "changed"), "by another");
  });

  it("loses no update among 20 writers at once", async () => {
    await client.command("SET", "contended", 0);
    const writers = Array.from({ length: 20 }, async () => {
      for (let done = 0; done < 5; ) if ((await add("contended")) !== null) done++;
    });
    await Promise.all(writers);
    assert.equal(await client.command("GET", "contended"), "100");
    assert.equal(await client.command("GET", countOf("contended")), "100");
  });

  it("starts over where its slot is when that moves, without an error or a lost update", async () => {
    const keys = Array.from({ length: 10 }, (_, index) => `{roaming:${index}}`);
    for (const key of keys) await client.command("MSET", key, 0, `${key}:count`, 0);
    const [target] = client.topology.nodes.filter(({ role }) => role === "primary");
    assert.ok(target);
    const slots = keys.map(slotOf).filter((slot) => client.topology.primaryOf(slot) !== target);
    let moved = false;
    const moving = cluster.moveSlots({ slots, to: target.address, pause: 5 }).then(() => {
      moved = true;
    });
    let rounds = 0;
    for (; !moved || rounds < 3; rounds++) {
      // A key that leaves its node has changed, as far as that node's WATCH goes.
      const adding = keys.map(async (key) => {
        while ((await add(key)) === null);
      });
      await Promise.all(adding);
    }
    await moving;
    for (const key of keys) assert.equal(await client.command("GET", key), String(rounds));
  });

  it("survives the death of its primary before EXEC", async () => {
    const key = "{mortal}";
    let started = 0;
    const result = await client.with({ timeout: 20_000 }).transaction(key, { watch: [key] }, async (tx) => {
      started++;
      await tx.command("GET", key);
      const owner = client.topology.primaryOf(slotOf(key));
      if (started === 1 && owner) {
        await cluster.kill(owner.address);
        // Only a connection that is known to be lost proves that EXEC was not sent; TLS needs a moment longer for that.
        await assert.rejects(tx.command("GET", key), { code: "CONNECTION_LOST" });
      }
      return tx.multi().command("SET", key, started);
    });
    assert.deepEqual(result, ["OK"]);
    assert.ok(started > 1);
  });

  it("rejects with what its function throws, and is refused when it is used wrongly", async () => {
    const boom = new Error("boom");
    await assert.rejects(
      client.transaction("k", { watch: ["k"] }, async () => {
        throw boom;
      }),
      boom,
    );
    const invalid = { code: "INVALID_ARGUMENT" };
    await assert.rejects(
      client.transaction("k", { watch: ["k"] }, async () => 1 as never),
      invalid,
    );
    await assert.rejects(
      client.transaction("k", { watch: [] }, async (tx) => tx.multi()),
      invalid,
    );
    await assert.rejects(client.transaction("k", { watch: ["k"] }, undefined as never), invalid);
    await assert.rejects(
      client.transaction("k", { watch: ["other"] }, async (tx) => tx.multi()),
      { code: "CROSSSLOT" },
    );
    await assert.rejects(
      client.transaction("k", { watch: ["k"] }, async (tx) => {
        await tx.command("GET", "other");
        return tx.multi();
      }),
      invalid,
    );
  });

  it("runs scripts whose errors say where, and that have run when parse throws", async () => {
    const failing = defineScript({ name: "failing", source: "local a = 1\nreturn a.b.c", numberOfKeys: 1 });
    const broken = defineScript({ name: "broken", source: "return +", numberOfKeys: 1 });
    const unread = defineScript({
      name: "unread",
      source: "return 1",
      numberOfKeys: 1,
      parse: () => {
        throw new Error("unreadable");
      },
    });
    const running = (script: Script<1>) =>
      client.transaction("k", { watch: ["k"] }, async (tx) => {
        await tx.run(script, ["k"]);
        return tx.multi();
      });
    const executed = { code: "REPLY", outcome: "executed" };
    await assert.rejects(running(failing), { ...executed, script: "failing", line: 2, sourceLine: "return a.b.c" });
    await assert.rejects(running(unread), { ...executed, message: /parse of script "unread" threw/ });
    await assert.rejects(running(broken), { reply: /compiling/, line: 1, outcome: "not-executed" });
  });

  it("uses its connection again, and lets nobody use it who has ended", async () => {
    let left: Watching | undefined;
    const once = () =>
      client.transaction("{again}", { watch: ["{again}"] }, async (tx) => {
        left = tx;
        return tx.multi().command("INCR", "{again}");
      });
    await once();
    const before = client.metrics().counters.connectionsOpened;
    for (let count = 2; count < 12; count++) assert.deepEqual(await once(), [count]);
    assert.equal(client.metrics().counters.connectionsOpened, before);
    await assert.rejects(left?.command("GET", "{again}") as Promise<unknown>, { code: "CONNECTION_LOST" });
    // A watch that was left behind would discard this one.
    const failing = client.transaction("{again}", { watch: ["{again}"] }, async () => {
      throw new Error("not now");
    });
    await assert.rejects(failing, /not now/);
    await client.command("SET", "{again}", 100);
    assert.deepEqual(await once(), [101]);
  });

  it("ends at its deadline, at its abort, and with the client, and says that nothing ran", async () => {
    const never = new Promise<never>(() => {});
    const stuck = (view: Cluster) => view.transaction("k", { watch: ["k"] }, () => never);
    await assert.rejects(stuck(client.with({ timeout: 50 })), { code: "DEADLINE", outcome: "not-executed" });
    const abort = new AbortController();
    const aborted = stuck(client.with({ signal: abort.signal }));
    setTimeout(() => abort.abort(), 20);
    await assert.rejects(aborted, { code: "ABORTED", outcome: "not-executed" });
    const other = await connect({ ...cluster.connectOptions });
    const closed = stuck(other);
    setTimeout(() => other.destroy(), 20);
    await assert.rejects(closed, { code: "CLOSED", outcome: "not-executed" });
  });
});
