import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Cluster, connect, SlotwireError, slotOf } from "../../src/index.ts";
import type { Argument } from "../../src/protocol/reply.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, counts, resetStats } from "../support/command-stats.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { Stopwatch } from "../support/stopwatch.ts";

/** Keys of all three primaries. */
const KEYS = [100, 6000, 12_000, 200, 6100, 12_100].map((slot) => keyForSlot(slot));

describe("commands over many slots and nodes", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect(cluster.connectOptions);
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });
  beforeEach(() => client.command("FLUSHALL"));

  const primaries = () => client.topology.nodes.filter(({ role }) => role === "primary").map(({ address }) => address);
  const setAll = () => client.command("MSET", ...KEYS.flatMap((key, index) => [key, index]));

  describe("are divided by slot:", () => {
    it("MSET and MGET, with positions kept, keys given twice and keys that are missing", async () => {
      assert.equal(await setAll(), "OK");
      const asked = [...KEYS.toReversed(), "missing", ...KEYS.slice(0, 2), "missing"];
      const expected = ["5", "4", "3", "2", "1", "0", null, "0", "1", null];
      assert.deepEqual(await client.command("MGET", ...asked), expected);
    });

    it("MSET with a key twice: the last value holds, as on one server", async () => {
      const [a = "", b = ""] = KEYS;
      await client.command("MSET", a, 1, b, 2, a, 3);
      assert.deepEqual(await client.command("MGET", a, b), ["3", "2"]);
    });

    it("EXISTS and TOUCH count a key as often as it is given; DEL and UNLINK once", async () => {
      await setAll();
      const twice = [...KEYS, ...KEYS, "missing"];
      assert.equal(await client.command("EXISTS", ...twice), 12);
      assert.equal(await client.command("TOUCH", ...KEYS, "missing"), 6);
      assert.equal(await client.command("DEL", ...KEYS.slice(0, 3), ...KEYS.slice(0, 3)), 3);
      assert.equal(await client.command("UNLINK", ...KEYS), 3);
      assert.equal(await client.command("EXISTS", ...KEYS), 0);
    });

    it("with Buffers, as keys, values and replies", async () => {
      const binary = KEYS.map((_, index) => Buffer.from([0xff, index, 0x0d, 0x0a]));
      await client.command("MSET", ...binary.flatMap((key) => [key, key]));
      const values = await client.with({ replies: "buffer" }).command<Buffer[]>("MGET", ...binary);
      assert.deepEqual(values, binary);
    });

    it("in a batch, too, behind and ahead of other calls of their slots", async () => {
      const [a = "", b = ""] = KEYS;
      const results = await client
        .batch()
        .command("SET", a, 1)
        .command("MSET", a, 2, b, 2)
        .command("MGET", b, a)
        .command("DEL", a, b)
        .command("MGET", a, b)
        .exec();
      assert.deepEqual(results, ["OK", "OK", ["2", "2"], 2, [null, null]]);
    });

    it("and a part that fails fails the whole: it ran in part", async () => {
      const [a = "", b = "", c = ""] = KEYS;
      const user = "half";
      await client.command("ACL", "SETUSER", user, "on", ">secret", "+@all", `~${a}`, `~${b}`);
      const half = await connect({ ...cluster.connectOptions, username: user, password: "secret" });
      await assert.rejects(half.command("MSET", a, 1, b, 2, c, 3), { code: "REPLY", outcome: "executed" });
      assert.deepEqual(await client.command("MGET", a, b, c), ["1", "2", null]);
      await assert.rejects(half.command("MGET", c, KEYS[3] as string), { code: "REPLY", outcome: "not-executed" });
      const [result] = (await half.batch().command("MSET", a, 5, c, 5).exec()) as [SlotwireError];
      assert.ok(result instanceof SlotwireError);
      assert.equal(result.outcome, "executed");
      half.destroy();
      await client.command("ACL", "DELUSER", user);
    });

    it("and nothing is sent when one of them is wrong", async () => {
      const [a = "", b = ""] = KEYS;
      const wrong = { code: "INVALID_ARGUMENT", outcome: "not-executed" };
      await assert.rejects(client.command("MSET", a, 1, b), { ...wrong, message: /MSET: the last key has no value/ });
      await assert.rejects(client.command("MSET", a, 1, b, undefined as unknown as Argument), wrong);
      await assert.rejects(client.command("MGET", a, {} as Argument), wrong);
      await assert.rejects(client.command("MSET", a), { code: "REPLY", message: /wrong number of arguments/ });
      await assert.rejects(client.command("MGET"), { code: "REPLY", message: /wrong number of arguments/ });
      assert.equal(await client.command("EXISTS", a, b), 0);
    });

    it("but not MSETNX, which sets all or none, nor what is in a transaction", async () => {
      const [a = "", b = ""] = KEYS;
      await assert.rejects(client.command("MSETNX", a, 1, b, 2), { code: "CROSSSLOT" });
      assert.throws(() => client.transaction(a).command("MGET", a, b), { code: "CROSSSLOT" });
    });
  });

  describe("are for many nodes:", () => {
    it("DBSIZE is the sum, KEYS are all, FLUSHALL empties all", async () => {
      await setAll();
      assert.equal(await client.command("DBSIZE"), 6);
      assert.deepEqual((await client.command<string[]>("KEYS", "*")).sort(), KEYS.toSorted());
      assert.equal(await client.command("FLUSHALL"), "OK");
      assert.equal(await client.command("DBSIZE"), 0);
      assert.deepEqual(await client.command("KEYS", "*"), []);
    });

    it("in a batch, too", async () => {
      await setAll();
      assert.deepEqual(
        await client
          .batch()
          .command("DBSIZE")
          .command("GET", KEYS[0] as string)
          .exec(),
        [6, "0"],
      );
    });

    it("but what asks for one slot goes to its owner", async () => {
      await setAll();
      for (const key of KEYS) {
        const slot = slotOf(key);
        assert.equal(await client.command("CLUSTER", "COUNTKEYSINSLOT", slot), 1);
        const batch = client.batch().command("CLUSTER", "GETKEYSINSLOT", slot, 10);
        assert.deepEqual(await batch.command("CLUSTER", "COUNTKEYSINSLOT", slot).exec(), [[key], 1]);
      }
    });

    it("but not WAIT, which is for writes that were answered before", () => {
      for (const calls of [client.batch(), client.transaction("w")]) {
        assert.throws(() => calls.command("WAIT", 1, 0), { code: "INVALID_ARGUMENT" });
      }
    });

    it("SCRIPT LOAD goes to all, EXISTS says whether all have it, FLUSH forgets it everywhere", async () => {
      const sha = await client.command<string>("SCRIPT", "LOAD", "return 'everywhere'");
      assert.deepEqual(await client.command("SCRIPT", "EXISTS", sha, "0".repeat(40)), [1, 0]);
      await cluster.command(primaries()[1] as string, "SCRIPT", "FLUSH");
      assert.deepEqual(await client.command("SCRIPT", "EXISTS", sha), [0]);
      await client.command("SCRIPT", "FLUSH");
      for (const node of cluster.nodes) assert.deepEqual(await cluster.command(node, "SCRIPT", "EXISTS", sha), [0]);
    });

    it("CONFIG SET is for replicas, too; SLOWLOG LEN is the sum", async () => {
      await client.command("CONFIG", "SET", "slowlog-log-slower-than", "0");
      for (const node of cluster.nodes) {
        const reply = await cluster.command(node, "CONFIG", "GET", "slowlog-log-slower-than");
        assert.deepEqual(reply, ["slowlog-log-slower-than", "0"]);
      }
      await client.command("CONFIG", "SET", "slowlog-log-slower-than", "1000000");
      const lengths = await Promise.all(cluster.nodes.map((node) => cluster.command(node, "SLOWLOG", "LEN")));
      assert.equal(
        await client.command("SLOWLOG", "LEN"),
        lengths.reduce((sum: number, length) => sum + Number(length), 0),
      );
      assert.equal(await client.command("SLOWLOG", "RESET"), "OK");
    });

    it("FUNCTION LOAD, LIST and DELETE: on every primary", async (test) => {
      if (!counts("subcommands", test, cluster)) return;
      const library = "#!lua name=everywhere\nredis.register_function('f', function() return 1 end)";
      assert.equal(await client.command("FUNCTION", "LOAD", library), "everywhere");
      for (const node of primaries()) assert.equal(((await cluster.command(node, "FUNCTION", "LIST")) as []).length, 1);
      assert.equal(await client.command("FUNCTION", "DELETE", "everywhere"), "OK");
      for (const node of primaries()) assert.deepEqual(await cluster.command(node, "FUNCTION", "LIST"), []);
      await assert.rejects(client.command("SCRIPT", "KILL"), { code: "REPLY", message: /^NOTBUSY/ });
    });

    it("and one that fails fails the whole: it ran elsewhere", async () => {
      await setAll();
      const [, second = ""] = primaries();
      await cluster.command(second, "ACL", "SETUSER", "default", "-flushall");
      await assert.rejects(client.command("FLUSHALL"), { code: "REPLY", outcome: "executed", message: /^NOPERM/ });
      await cluster.command(second, "ACL", "SETUSER", "default", "+flushall");
      assert.equal(await client.command("DBSIZE"), 2);
    });

    it("and one that is silent fails the whole when the time is up: it may be running there", async () => {
      const [, second = ""] = primaries();
      cluster.pause(second);
      const call = client.with({ timeout: 300 }).command("FLUSHALL");
      await assert.rejects(call, { code: "DEADLINE", outcome: "executed" });
      cluster.resume(second);
      assert.equal(await client.command("DBSIZE"), 0);
    });
  });

  describe("that no table lists:", () => {
    it("a server is asked where their keys are, once, and nothing is asked for those that are listed", async (test) => {
      if (!counts("subcommands", test, cluster)) return;
      const own = await connect(cluster.connectOptions);
      await resetStats(cluster);
      await own.command("SET", KEYS[0] as string, 1);
      await own.command("MGET", ...KEYS);
      await own.command("OBJECT", "ENCODING", KEYS[0] as string);
      assert.equal(await asked(cluster), 0);
      const calls = Array.from({ length: 20 }, () => own.command("NO.SUCH.COMMAND", "x"));
      for (const call of calls) await assert.rejects(call, { code: "REPLY", message: /unknown command/ });
      await assert.rejects(own.command("NO.SUCH.COMMAND", "x"), { message: /unknown command/ });
      assert.equal(await asked(cluster), 1);
      own.destroy();
    });

    it("and routed by them: Valkey's DELIFEQ, alone, in a batch and in a transaction", async (test) => {
      const known = (await cluster.command(cluster.nodes[0] as string, "COMMAND", "INFO", "DELIFEQ")) as unknown[];
      if (!Array.isArray(known[0])) return test.skip("this server has no DELIFEQ");
      await setAll();
      const own = await connect(cluster.connectOptions);
      const batch = own
        .batch()
        .command("SET", KEYS[1] as string, "x")
        .command("DELIFEQ", KEYS[1] as string, "x");
      assert.deepEqual(await batch.command("GET", KEYS[1] as string).exec(), ["OK", 1, null]);
      for (const [index, key] of KEYS.entries()) {
        assert.equal(await own.command("DELIFEQ", key, index), index === 1 ? 0 : 1, key);
      }
      const [key = ""] = KEYS;
      assert.deepEqual(await own.transaction(key).command("SET", key, 5).command("DELIFEQ", key, 5).exec(), ["OK", 1]);
      assert.throws(() => own.transaction(key).command("DELIFEQ", KEYS[1] as string, 5), { code: "CROSSSLOT" });
      own.destroy();
    });

    it("and by a cursor in place of a key: Valkey's CLUSTERSCAN goes from slot to slot without a redirection", async (test) => {
      const known = (await cluster.command(cluster.nodes[0] as string, "COMMAND", "INFO", "CLUSTERSCAN")) as unknown[];
      if (!Array.isArray(known[0])) return test.skip("this server has no CLUSTERSCAN");
      await setAll();
      const redirections = { ...client.metrics().counters.redirections };
      const found: string[] = [];
      let cursor = "0";
      do {
        const [next, keys] = await client.command<[string, string[]]>("CLUSTERSCAN", cursor);
        cursor = next;
        found.push(...keys);
      } while (cursor !== "0");
      assert.deepEqual(found.sort(), KEYS.toSorted());
      assert.deepEqual(client.metrics().counters.redirections, redirections);
    });

    it("and for keys that it alone can find, it is asked each time: STRALGO of Redis 6", async (test) => {
      const known = (await cluster.command(cluster.nodes[0] as string, "COMMAND", "INFO", "STRALGO")) as unknown[];
      if (!Array.isArray(known[0])) return test.skip("this server has no STRALGO");
      for (const key of KEYS) {
        const [a, b] = [`{${key}}a`, `{${key}}b`];
        await client.command("MSET", a, "ohmytext", b, "mynewtext");
        assert.equal(await client.command("STRALGO", "LCS", "KEYS", a, b), "mytext");
        assert.deepEqual(await client.batch().command("STRALGO", "LCS", "KEYS", a, b).exec(), ["mytext"]);
      }
    });

    it("and by their policies: Valkey's COMMANDLOG", async (test) => {
      const known = (await cluster.command(cluster.nodes[0] as string, "COMMAND", "INFO", "COMMANDLOG")) as unknown[];
      if (!Array.isArray(known[0])) return test.skip("this server has no COMMANDLOG");
      const own = await connect(cluster.connectOptions);
      await resetStats(cluster);
      assert.equal(await own.command("COMMANDLOG", "RESET", "slow"), "OK");
      for (const node of cluster.nodes) assert.equal((await commandStats(cluster, node))("commandlog|reset").calls, 1);
      own.destroy();
    });

    it("a silent server holds up nobody for longer than his call may take", async () => {
      const own = await connect(cluster.connectOptions);
      for (const node of cluster.nodes) cluster.pause(node);
      using watch = new Stopwatch();
      await assert.rejects(own.with({ timeout: 200 }).command("NO.SUCH", "x"), {
        code: "DEADLINE",
        outcome: "not-executed",
      });
      const signal = AbortSignal.timeout(200);
      await assert.rejects(own.with({ signal }).command("NO.SUCH", "x"), { code: "ABORTED", outcome: "not-executed" });
      assert.ok(watch.ms < 900);
      const call = assert.rejects(own.command("NO.SUCH", "x"), { code: "CLOSED" });
      own.destroy();
      await call;
      for (const node of cluster.nodes) cluster.resume(node);
    });
  });

  it("HOTKEYS of Redis 8.6 is refused, because a session is one node's: a client of that node alone has it", async (test) => {
    const [address = ""] = primaries();
    const known = (await cluster.command(address, "COMMAND", "INFO", "HOTKEYS")) as unknown[];
    if (!Array.isArray(known[0])) return test.skip("this server has no HOTKEYS");
    await assert.rejects(client.command("HOTKEYS", "GET"), { code: "INVALID_ARGUMENT", outcome: "not-executed" });
    const own = await connect({ ...cluster.connectOptions, nodes: [address], mode: "single" });
    try {
      assert.equal(await own.command("HOTKEYS", "START", "METRICS", 1, "NET"), "OK");
      const key = KEYS.find((each) => client.topology.primaryOf(slotOf(each))?.address === address) as string;
      await client.command("SET", key, "v");
      const [found] = (await own.command("HOTKEYS", "GET")) as unknown[][];
      assert.deepEqual(found?.[found.indexOf("by-net-bytes") + 1], [
        key,
        found?.[found.indexOf("net-bytes-all-commands-all-slots") + 1],
      ]);
      assert.equal(await own.command("HOTKEYS", "STOP"), "OK");
      assert.equal(await own.batch().command("HOTKEYS", "RESET").exec().then(String), "OK");
      assert.equal(await own.command("HOTKEYS", "GET"), null);
    } finally {
      own.destroy();
    }
  });

  it("shard channels are routed by slot", async (test) => {
    if (!counts("subcommands", test, cluster)) return;
    for (const channel of KEYS) assert.equal(await client.command("SPUBLISH", channel, "m"), 0, `${slotOf(channel)}`);
  });
});

async function asked(cluster: LocalCluster): Promise<number> {
  const stats = await Promise.all(cluster.nodes.map((node) => commandStats(cluster, node)));
  return stats.reduce((sum, stat) => sum + stat("command").calls, 0);
}
