import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type ChainResult, Cluster } from "../../src/ioredis/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

/** The pairs, with the messages of the errors. */
const told = (results: readonly ChainResult[] | null) =>
  results?.map(([error, ...rest]) => [error?.message.split(" ")[0] ?? null, ...rest]);

describe("chains of a client in ioredis's shape", () => {
  let servers: LocalCluster;
  let redis: Cluster;
  before(async () => {
    servers = await startCluster({ primaries: 3 });
    redis = new Cluster(servers.nodes);
    redis.defineCommand("add", { numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1])" });
  });
  after(async () => {
    redis?.disconnect();
    await servers?.stop();
  });

  for (const kind of ["pipeline", "multi"] as const) {
    it(`${kind}: pairs of errors and replies`, async () => {
      await redis.set("{c}text", "v");
      const chain = redis[kind]().set("{c}a", 1).get("{c}a").hget("{c}text", "f").hgetall("{c}none").get("{c}none");
      assert.equal(chain.length, 5);
      const results = await chain.exec();
      assert.deepEqual(told(results), [[null, "OK"], [null, "1"], ["WRONGTYPE"], [null, {}], [null, null]]);
      assert.equal(results?.[2]?.length, 1);
      assert.deepEqual(await redis[kind]().exec(), []);
    });

    it(`${kind}: arrays, callbacks, and Buffers of single commands`, async () => {
      const given = [
        ["set", "{c}b", "x"],
        ["get", "{c}b"],
      ];
      assert.deepEqual(await redis[kind](given).exec(), [
        [null, "OK"],
        [null, "x"],
      ]);
      const inner: unknown[] = [];
      const results = await new Promise((resolve) =>
        redis[kind]()
          .getBuffer("{c}b", (...result: unknown[]) => inner.push(result))
          .get("{c}b")
          .exec((...result: unknown[]) => resolve(result)),
      );
      assert.deepEqual(results, [
        null,
        [
          [null, Buffer.from("x")],
          [null, "x"],
        ],
      ]);
      assert.deepEqual(inner, [[null, Buffer.from("x")]]);
      // Packages give what is no function.
      assert.deepEqual(
        await redis[kind]()
          .get("{c}b")
          .exec(true as never),
        [[null, "x"]],
      );
    });

    it(`${kind}: defined commands, where no node has the scripts`, async () => {
      await redis.del("{c}n");
      await servers.flushScripts();
      const chain = redis[kind]();
      for (let index = 0; index < 50; index++) chain.add("{c}n", 1).get("{c}n");
      const expected = Array.from({ length: 50 }, (_, index) => [
        [null, index + 1],
        [null, String(index + 1)],
      ]);
      assert.deepEqual(await chain.exec(), expected.flat());
    });
  }

  it("a pipeline goes to all slots, and scans the whole cluster", async () => {
    await Promise.all(servers.nodes.map((node) => servers.command(node, "FLUSHALL")));
    const sets = redis.pipeline();
    for (let index = 0; index < 60; index++) sets.set(`s${index}`, index);
    assert.equal(
      (await sets.exec())?.every(([error, reply]) => error === null && reply === "OK"),
      true,
    );
    const found = new Set<string>();
    let cursor = "0";
    do {
      const results = await redis.pipeline().get("s0").scan(cursor, "MATCH", "s*", "COUNT", 10).get("s1").exec();
      assert.deepEqual(
        [results?.[0], results?.[2]],
        [
          [null, "0"],
          [null, "1"],
        ],
      );
      const [next, keys] = (results?.[1]?.[1] ?? []) as [string, string[]];
      for (const key of keys) found.add(key);
      cursor = next;
    } while (cursor !== "0");
    assert.equal(found.size, 60);
  });

  it("a transaction that the server does not take is refused as a whole", async () => {
    const error = await redis
      .multi()
      .set("{c}a", 7)
      .call("set", "{c}a")
      .exec()
      .then(
        () => assert.fail("it should have rejected"),
        (reason: Error & { previousErrors: Error[] }) => reason,
      );
    assert.equal(error.message, "EXECABORT Transaction discarded because of previous errors.");
    assert.match(error.previousErrors[0]?.message ?? "", /wrong number of arguments/);
    assert.notEqual(await redis.get("{c}a"), "7");
    await assert.rejects(redis.multi().set("a", 1).set("b", 1).exec(), /one slot/);
  });

  it("has the defined commands of its own client, whatever their names are", async () => {
    const other = new Cluster(servers.nodes, { lazyConnect: true });
    assert.equal("add" in other.pipeline(), false);
    for (const name of ["length", "collect", "execute", "defined"]) {
      other.defineCommand(name, { numberOfKeys: 1, lua: `return '${name} of ' .. KEYS[1]` });
      assert.deepEqual(await other.pipeline()[name]("k").exec(), [[null, `${name} of k`]]);
      assert.deepEqual(await other.multi()[name]("k").exec(), [[null, `${name} of k`]]);
      assert.equal(await other[name]("k"), `${name} of k`);
    }
    other.disconnect();
  });

  it("pipeline().multi() is a transaction", async () => {
    assert.deepEqual(await redis.pipeline().multi().set("{c}a", 2).get("{c}a").exec(), [
      [null, "OK"],
      [null, "2"],
    ]);
    assert.throws(() => redis.pipeline().get("a").multi(), /comes first/);
    assert.throws(() => redis.multi({ pipeline: false }), /cannot be honoured/);
  });
});
