import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Cluster, connect, InvalidArgumentError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

/** More than V8 lets a call have as arguments that are spread. */
const MANY = 150_000;

describe("one array in place of a command's arguments", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, commandTimeout: 60_000 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });
  beforeEach(() => client.command("FLUSHALL"));

  const elements = Array.from({ length: MANY }, (_, index) => `element:${index}`);

  it("has very many elements, of one slot and of all slots", async () => {
    assert.throws(() => client.command("RPUSH", "list", ...elements), RangeError);
    assert.equal(await client.command("RPUSH", ["list", ...elements]), MANY);
    const pairs = elements.flatMap((key) => [key, key]);
    assert.equal(await client.command("MSET", pairs), "OK");
    assert.deepEqual(await client.command("MGET", elements), elements);
    assert.equal(await client.command("DEL", elements), MANY);
  });

  it("has them in a batch, a transaction, the function of a watching one, and for one node", async () => {
    const pairs = elements.flatMap((key) => [key, key]);
    const results = await client
      .batch()
      .command("MSET", pairs)
      .command("RPUSH", ["list", ...elements])
      .exec();
    assert.deepEqual(results, ["OK", MANY]);
    const [length] = await client
      .transaction("list")
      .command("RPUSH", ["list", ...elements])
      .exec();
    assert.equal(length, 2 * MANY);
    const watched = await client.transaction("list", { watch: ["list"] }, async (tx) => {
      assert.equal(await tx.command("RPUSH", ["{list}2", ...elements]), MANY);
      return tx.multi().command("LPUSH", ["{list}2", ...elements]);
    });
    assert.deepEqual(watched, [2 * MANY]);
    const node = client.node(client.topology.primaryOf(0)?.address ?? "");
    const replies = (await node.command("COMMAND", ["INFO", ...Array.from({ length: MANY }, () => "none")])) ?? [];
    assert.equal(replies.length, MANY);
  });

  it("is the same as the arguments themselves: of subcommands, of commands for many nodes, of none", async () => {
    assert.deepEqual(await client.command("CONFIG", ["GET", "save"]), await client.command("CONFIG", "GET", "save"));
    assert.equal(await client.command("PING", []), "PONG");
    assert.equal(await client.command("DBSIZE", []), 0);
    assert.deepEqual(await client.command("SCRIPT", ["EXISTS", "none"]), [0]);
  });

  it("is read when the call is made: what is changed later is not sent", async () => {
    const args = ["list", "a"];
    const blocked = client.command("BLPOP", ["{list}queue", "0"]);
    const pushed = client.command("RPUSH", args);
    args.push("b");
    const batch = client.batch().command("RPUSH", args);
    args.length = 0;
    assert.equal(await pushed, 1);
    assert.deepEqual(await batch.exec(), [3]);
    await client.command("RPUSH", "{list}queue", "x");
    assert.deepEqual(await blocked, ["{list}queue", "x"]);
  });

  it("is refused among other arguments, and in another array", async () => {
    const refused = {
      name: "InvalidArgumentError",
      code: "INVALID_ARGUMENT",
      outcome: "not-executed",
      message: /(argument|key) \d+ is an array; accepted are string, Buffer, /,
    };
    for (const args of [["set", ["a", "b"]], [["set"], "a"], [["set", ["a"]]], [[["set"]]]] as never[][]) {
      await assert.rejects(client.command("SADD", ...args), refused, JSON.stringify(args));
      assert.throws(() => client.batch().command("SADD", ...args), refused, JSON.stringify(args));
      assert.throws(() => client.transaction("set").command("SADD", ...args), refused, JSON.stringify(args));
      const node = client.node(client.topology.primaryOf(0)?.address ?? "");
      await assert.rejects(node.command("SADD", ...args), refused, JSON.stringify(args));
    }
    await assert.rejects(client.command("DEL", ...([["a"], ["b"]] as never[])), InvalidArgumentError);
    assert.equal(await client.command("EXISTS", "set"), 0);
  });
});
