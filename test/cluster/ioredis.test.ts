import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withPrefix } from "../../src/ioredis/arguments.ts";
import { Cluster } from "../../src/ioredis/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

/** An error as a package sees it. */
interface ShapedError extends Error {
  readonly command?: { readonly name: string; readonly args: readonly string[] };
  readonly outcome?: string;
}

const errorOf = (promise: Promise<unknown>): Promise<ShapedError> =>
  promise.then(
    () => assert.fail("it should have rejected"),
    (error) => error,
  );
/** What a callback gets. */
const toldTo = (call: (callback: (...result: unknown[]) => void) => unknown): Promise<unknown[]> =>
  new Promise((resolve) => call((...result) => resolve(result)));

describe("commands of a client in ioredis's shape", () => {
  let servers: LocalCluster;
  let redis: Cluster;
  before(async () => {
    servers = await startCluster({ primaries: 3 });
    redis = new Cluster(servers.nodes);
  });
  after(async () => {
    redis?.disconnect();
    await servers?.stop();
  });

  it("take arguments of any kind", async () => {
    assert.equal(await redis.set("a", 1), "OK");
    const sent: [unknown, string][] = [
      [null, ""],
      [undefined, ""],
      [true, "true"],
      [1.5, "1.5"],
      [10n, "10"],
      [{ a: 1 }, "[object Object]"],
    ];
    for (const [value, stored] of sent) {
      await redis.set("k", value);
      assert.equal(await redis.get("k"), stored);
    }
    await redis.set("binary", Buffer.from([255, 0, 1]));
    assert.deepEqual(await redis.getBuffer("binary"), Buffer.from([255, 0, 1]));
    assert.equal(await redis.mset(["{n}a", 1], [["{n}b", [2]]]), "OK");
    assert.deepEqual(await redis.mget("{n}a", ["{n}b"]), ["1", "2"]);
  });

  it("take objects and Maps for hashes and MSET, and give HGETALL as an object", async () => {
    assert.equal(await redis.hset("h", { a: 1, b: "x", c: null }), 3);
    assert.deepEqual(await redis.hgetall("h"), { a: "1", b: "x", c: "" });
    assert.deepEqual(await redis.hgetallBuffer("h"), { a: Buffer.from("1"), b: Buffer.from("x"), c: Buffer.alloc(0) });
    assert.equal(await redis.hmset("h2", new Map([["f", 1]])), "OK");
    assert.deepEqual(await redis.hgetall("h2"), { f: "1" });
    assert.deepEqual(await redis.hgetall("none"), {});
    await redis.hset("proto", "__proto__", "own");
    assert.deepEqual(Object.entries(await redis.hgetall("proto")), [["__proto__", "own"]]);
    assert.equal(await redis.mset({ "{m}a": 1, "{m}b": 2 }), "OK");
    assert.equal(await redis.msetnx(new Map([["{m}a", 3]])), 0);
    assert.deepEqual(await redis.mget("{m}a", "{m}b"), ["1", "2"]);
  });

  it("are sent by call, in either case; only the lower one shapes HGETALL", async () => {
    assert.equal(await redis.call("SET", ["c", "v"]), "OK");
    assert.equal(await redis.send_command("get", "c"), "v");
    assert.deepEqual(await redis.callBuffer("GET", "c"), Buffer.from("v"));
    await redis.hset("h3", { a: 1 });
    assert.deepEqual(await redis.call("hgetall", "h3"), { a: "1" });
    assert.deepEqual(await redis.call("HGETALL", "h3"), ["a", "1"]);
  });

  it("settle an object of ioredis's class Command", async () => {
    const command = { name: "get", args: ["c"], replyEncoding: "utf8" };
    const settled = new Promise((resolve, reject) => Object.assign(command, { resolve, reject }));
    await redis.set("c", "v");
    await redis.sendCommand(Object.assign(command, { promise: settled }) as never);
    assert.equal(await settled, "v");
  });

  it("tell a callback, and look at nothing that it returns", async () => {
    await redis.set("text", "v");
    assert.deepEqual(await toldTo((callback) => redis.get("text", callback)), [null, "v"]);
    const [error, ...none] = await toldTo((callback) => redis.hget("text", "f", callback));
    assert.deepEqual([(error as Error).message.startsWith("WRONGTYPE"), none], [true, []]);
    await assert.rejects(
      redis.hget("text", "f", () => {}),
      /WRONGTYPE/,
    );
    const unhandled: unknown[] = [];
    const listener = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", listener);
    // With a callback, nobody has to look at the promise.
    redis.hget("text", "f", () => {});
    const promise = Promise.reject(new Error("its own"));
    promise.catch(() => {});
    await redis.get("text", () => promise);
    await sleep(50);
    process.off("unhandledRejection", listener);
    assert.deepEqual(unhandled, []);
  });

  it("have the server's text as the error, with the name and no values of the command", async () => {
    await redis.set("text", "v");
    const wrong = await errorOf(redis.hget("text", "secret"));
    assert.equal(wrong.message, "WRONGTYPE Operation against a key holding the wrong kind of value");
    assert.deepEqual([wrong.name, wrong.command?.name, wrong.command?.args.length], ["ReplyError", "hget", 2]);
    assert.equal(JSON.stringify(wrong.command).includes("secret"), false);
    const missing = await errorOf(redis.evalsha("a".repeat(40), 1, "k"));
    assert.match(missing.message, /^NOSCRIPT No matching script/);
    assert.equal(missing.outcome, "not-executed");
    const own = await errorOf(redis.eval("return redis.error_reply('MY own')", 1, "k"));
    assert.equal(own.message, "MY own");
  });

  it("are defined by scripts, which every node has", async () => {
    redis.defineCommand("both", { numberOfKeys: 2, lua: "return {KEYS[1], KEYS[2], ARGV[1]}" });
    redis.defineCommand("any", { lua: Buffer.from("return {KEYS[1] or '', ARGV[1]}") });
    assert.deepEqual(await redis.both("{d}1", "{d}2", 5), ["{d}1", "{d}2", "5"]);
    assert.deepEqual(await redis.both(["{d}1", "{d}2", "a"]), ["{d}1", "{d}2", "a"]);
    assert.deepEqual(
      await redis.bothBuffer("{d}1", "{d}2", "a"),
      ["{d}1", "{d}2", "a"].map((text) => Buffer.from(text)),
    );
    assert.deepEqual(await redis.any(1, "k", "v"), ["k", "v"]);
    assert.deepEqual(await redis.any(0, "v"), ["", "v"]);
    assert.deepEqual(await toldTo((callback) => redis.any(1, "k", "v", callback)), [null, ["k", "v"]]);
    await servers.flushScripts();
    assert.deepEqual(await redis.both("{d}1", "{d}2", 5), ["{d}1", "{d}2", "5"]);
    // Only a number is a number of keys.
    for (const numberOfKeys of [null, "1"]) {
      redis.defineCommand("counted", { numberOfKeys, lua: "return {#KEYS, KEYS[1], ARGV[1]}" } as never);
      assert.deepEqual(await redis.counted(1, "k", "v"), [1, "k", "v"]);
    }
    // A wrong call rejects; it does not throw.
    assert.match((await errorOf(redis.any("x"))).message, /number of keys/);
    assert.match((await errorOf(redis.both("one"))).message, /number of keys/);
    assert.throws(() => redis.defineCommand("none", {} as never), /lua must be/);
    const copy = redis.duplicate();
    assert.deepEqual(await copy.both("{d}1", "{d}2", 5), ["{d}1", "{d}2", "5"]);
    copy.disconnect();
  });

  it("have the prefix in front of their keys, of all kinds of commands", async () => {
    const prefixed = new Cluster(servers.nodes, {
      keyPrefix: "p:",
      scripts: { first: { lua: "return KEYS[1]", numberOfKeys: 1 } },
    });
    await prefixed.set("k", 1);
    assert.equal(await redis.get("p:k"), "1");
    assert.equal(await prefixed.call("GET", "k"), "1");
    assert.equal(await prefixed.first("k"), "p:k");
    assert.equal(await prefixed.eval("return KEYS[1]", 1, "k"), "p:k");
    assert.deepEqual(await prefixed.pipeline().get("k").first("k").exec(), [
      [null, "1"],
      [null, "p:k"],
    ]);
    assert.deepEqual(await prefixed.multi().incr("k").exec(), [[null, 2]]);
    const sorted = ["k", "BY", "w_*", "GET", "#", "GET", "o_*->f", "STORE", "d"];
    assert.deepEqual(withPrefix("p:", "sort", sorted), [
      "p:k",
      "BY",
      "p:w_*",
      "GET",
      "#",
      "GET",
      "p:o_*->f",
      "STORE",
      "p:d",
    ]);
    await prefixed.hset("h", { a: 1 });
    assert.deepEqual(await redis.hgetall("p:h"), { a: "1" });
    const found: string[] = [];
    for await (const keys of prefixed.scanStream({ match: "p:*" })) found.push(...keys);
    assert.deepEqual(found.sort(), ["p:h", "p:k"]);
    prefixed.disconnect();
  });

  it("are those of an instance of ioredis's class, if its module is given", async () => {
    class Theirs extends EventEmitter {
      get(): string {
        return "theirs";
      }
    }
    const client = new Cluster(servers.nodes, { compatible: { Cluster: Theirs } });
    assert.equal(client instanceof Theirs, true);
    assert.equal(client instanceof Cluster, true);
    assert.equal(redis instanceof Theirs, false);
    assert.equal(new Theirs() instanceof Cluster, false);
    await client.set("own", 1);
    assert.equal(await client.get("own"), "1");
    assert.equal(client.duplicate([], { lazyConnect: true }) instanceof Theirs, true);
    client.disconnect();
    assert.throws(() => new Cluster(servers.nodes, { compatible: {} }), /it has no Cluster/);
  });
});
