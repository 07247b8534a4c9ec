import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Cluster, connect, type ScanOptions, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const KEYS = Array.from({ length: 10_000 }, (_, index) => `key:${index}`);

describe("scan", { timeout: 120_000 }, () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect(cluster.connectOptions);
    await fill(client, KEYS);
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  beforeEach(() => client.refreshTopology());

  const primaries = () => [...new Set(client.topology.ranges.map(({ primary }) => primary.address))];
  /** How often each key came. */
  const collect = async (keys: AsyncIterable<string>, onKey?: (count: number) => unknown) => {
    const times = new Map<string, number>();
    let count = 0;
    for await (const key of keys) {
      times.set(key, (times.get(key) ?? 0) + 1);
      await onKey?.(++count);
    }
    return times;
  };
  const missing = (times: ReadonlyMap<string, number>) => KEYS.filter((key) => !times.has(key));

  it("gives all keys of all primaries once, while nothing moves", async () => {
    const times = await collect(client.scan());
    assert.deepEqual(missing(times), []);
    assert.equal(times.size, KEYS.length);
    assert.ok([...times.values()].every((count) => count === 1));
  });

  it("gives those that match, and those of a type", async () => {
    await client.command("SADD", "key:set", "member");
    const matching = await collect(client.scan({ match: "key:99*", count: 500 }));
    assert.deepEqual([...matching.keys()].sort(), KEYS.filter((key) => key.startsWith("key:99")).sort());
    assert.deepEqual([...(await collect(client.scan({ type: "set" }))).keys()], ["key:set"]);
    assert.deepEqual([...(await collect(client.scan({ match: Buffer.from("nothing*") }))).keys()], []);
    await client.command("DEL", "key:set");
  });

  it("gives Buffers through a view that does; a key that is no text is routed by its bytes", async () => {
    const key = Buffer.from([0x62, 0xff, 0xfe, 0x00]);
    await client.command("SET", key, 1);
    const found: Buffer[] = [];
    const keys = client.with({ replies: "buffer" }).scan<Buffer>({ match: Buffer.from([0x62, 0xff, 0x2a]) });
    for await (const each of keys) found.push(each);
    assert.deepEqual(found, [key]);
    assert.deepEqual([...(await collect(client.scan({ match: "b*" }))).keys()], [key.toString()]);
    await client.command("DEL", key);
  });

  /** Slots with keys, of each of two primaries. */
  const someSlots = (owner: string, count: number) => {
    const slots = new Set(
      KEYS.map((key) => slotOf(key)).filter((slot) => client.topology.primaryOf(slot)?.address === owner),
    );
    return [...slots].slice(0, count);
  };

  // The first primary is scanned first; a third of the keys are its.
  for (const { how, from, to, at } of [
    { how: "the node that is scanned to one that was", from: 1, to: 0, at: 4500 },
    { how: "a node that is scanned later to one that was", from: 2, to: 0, at: 4500 },
    { how: "a node that was scanned to one that is scanned later", from: 0, to: 2, at: 4500 },
    { how: "the node that is scanned to the next one", from: 0, to: 1, at: 500 },
  ]) {
    it(`finds the keys of slots that move from ${how}`, async () => {
      const [source, target] = [primaries()[from] as string, primaries()[to] as string];
      const slots = someSlots(source, 60);
      const times = await collect(client.scan({ count: 10 }), async (count) => {
        if (count === at) await cluster.moveSlots({ slots, to: target });
      });
      assert.deepEqual(missing(times), []);
    });
  }

  it("finds the keys of slots that go there and back all the time", async () => {
    const [a = "", b = "", c = ""] = primaries();
    const slots = [...someSlots(a, 4), ...someSlots(b, 4), ...someSlots(c, 4)];
    let ended = false;
    let moves = 0;
    const moving = (async () => {
      for (let turn = 0; !ended; turn++) {
        await cluster.moveSlots({ slots, to: [b, c, a][turn % 3] as string });
        moves++;
      }
    })();
    const startedAt = performance.now();
    const times = await collect(client.scan({ count: 10 }), (count) => {
      // Slow at times, so that whole turns pass between two steps.
      return count % 1000 === 0 ? new Promise((resolve) => setTimeout(resolve, 150)) : undefined;
    });
    ended = true;
    await moving;
    assert.deepEqual(missing(times), []);
    assert.ok(moves >= 3, `${moves} turns within ${performance.now() - startedAt} ms`);
  });

  it("finds the keys of a slot that is left half moved", async () => {
    const [from = "", to = ""] = primaries();
    const slot = someSlots(from, 1)[0] as number;
    const keys = Array.from({ length: 20 }, (_, index) => `{${keyForSlot(slot)}}${index}`);
    await fill(client, keys);
    const [fromId, toId] = await Promise.all([from, to].map((address) => cluster.command(address, "CLUSTER", "MYID")));
    await cluster.command(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromId as string);
    await cluster.command(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", toId as string);
    const [host, port] = to.split(":") as [string, string];
    const migrate = (key: string) => cluster.command(from, "MIGRATE", host, port, key, 0, 5000);
    for (const key of keys.slice(0, 10)) await migrate(key);
    let moved = 10;
    const times = await collect(client.scan({ count: 10 }), async (count) => {
      if (count % 1000 === 0 && moved < 19) await migrate(keys[moved++] as string);
    });
    assert.deepEqual(missing(times), []);
    assert.deepEqual(
      keys.filter((key) => !times.has(key)),
      [],
    );
    await cluster.moveSlots({ slots: [slot], to });
    await client.command("DEL", ...keys);
  });

  it("in one step, as Valkey 9 moves slots: finds their keys", async (test) => {
    const help = (await cluster.command(cluster.nodes[0] as string, "CLUSTER", "HELP")) as string[];
    if (!help.some((line) => line.startsWith("MIGRATESLOTS")))
      return test.skip("this server has no CLUSTER MIGRATESLOTS");
    const [from = "", to = ""] = primaries();
    const slots = someSlots(to, 60);
    const times = await collect(client.scan({ count: 10 }), async (count) => {
      if (count === 4500) await cluster.moveSlots({ slots, to: from, atomic: true });
    });
    assert.deepEqual(missing(times), []);
  });

  it("finds the keys of a primary that hands over to its replica while it is scanned", async () => {
    const replica = client.topology.replicasOf(0)[0]?.address as string;
    const times = await collect(client.scan({ count: 10 }), async (count) => {
      if (count === 100) await cluster.failover(replica);
    });
    assert.deepEqual(missing(times), []);
  });

  it("leaves nothing behind when the loop is ended early", async () => {
    for await (const key of client.scan({ count: 5 })) if (key !== "") break;
    assert.equal(client.metrics().pending, 0);
  });

  it("ends with the signal of its view, at the next step", async () => {
    const controller = new AbortController();
    const keys = client.with({ signal: controller.signal }).scan({ count: 10 });
    const run = collect(keys, (count) => count === 50 && controller.abort(new Error("enough")));
    await assert.rejects(run, { code: "ABORTED" });
  });

  it("ends with the client", async () => {
    const own = await connect(cluster.connectOptions);
    await assert.rejects(
      collect(own.scan({ count: 10 }), (count) => count === 50 && own.destroy()),
      { code: "CLOSED" },
    );
    assert.throws(() => own.scan(), { code: "CLOSED" });
  });

  it("refuses options that are wrong at once", () => {
    const wrong: [unknown, RegExp][] = [
      [{ count: 0 }, /count is 0/],
      [{ count: 1.5 }, /count is 1.5/],
      [{ match: 5 }, /match is a number/],
      [{ type: "" }, /type is empty/],
      [{ type: 1 }, /type is a number/],
      [{ pattern: "x" }, /no option "pattern"; accepted are match, count, type/],
      [null, /options are null/],
    ];
    for (const [options, message] of wrong) {
      assert.throws(() => client.scan(options as ScanOptions), { code: "INVALID_ARGUMENT", message });
    }
  });

  // Last, as its replica is the primary afterwards.
  it("finds the keys of a primary that dies while it is scanned, where its replica is promoted", async () => {
    const [victim = ""] = primaries();
    const patient = client.with({ timeout: 60_000 });
    await Promise.all(primaries().map((address) => cluster.command(address, "WAIT", 1, 1000)));
    const times = await collect(patient.scan({ count: 10 }), async (count) => {
      if (count === 100) await cluster.kill(victim);
    });
    assert.deepEqual(missing(times), []);
  });
});

describe("scan of a cluster with slots that nobody has", () => {
  it("gives all other keys, and names the slot then", async () => {
    const cluster = await startCluster({ primaries: 1, args: ["--cluster-require-full-coverage", "no"] });
    const client = await connect(cluster.connectOptions);
    try {
      await client.command("SET", keyForSlot(9), 1);
      await cluster.command(cluster.nodes[0] as string, "CLUSTER", "DELSLOTS", 0, 7);
      await client.refreshTopology();
      const found: string[] = [];
      const run = async () => {
        for await (const key of client.scan()) found.push(key);
      };
      await assert.rejects(run, { code: "UNAVAILABLE", message: /^No node serves slot 0, .*--cluster fix/ });
      assert.deepEqual(found, [keyForSlot(9)]);
    } finally {
      client.destroy();
      await cluster.stop();
    }
  });
});

async function fill(client: Cluster, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += 500) {
    const batch = client.batch();
    for (const key of keys.slice(at, at + 500)) batch.command("SET", key, 1);
    await batch.exec();
  }
}
