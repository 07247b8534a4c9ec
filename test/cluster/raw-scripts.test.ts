import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Cluster, connect } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { incrScript } from "../support/scripts.ts";

const source = "return {KEYS[1], ARGV[1]}";
const sha = createHash("sha1").update(source).digest("hex");

describe("SCRIPT and EVALSHA as plain commands", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
  });
  beforeEach(async () => {
    client?.destroy();
    await cluster.flushScripts();
    client = await connect({ ...cluster.connectOptions });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const keys = Array.from({ length: 30 }, (_, index) => `raw:${index}`);
  const onEveryNode = async (wanted: string) =>
    (await Promise.all(cluster.nodes.map((address) => cluster.command(address, "SCRIPT", "EXISTS", wanted)))).flat();

  it("SCRIPT LOAD loads on every node and answers the SHA-1", async () => {
    assert.equal(await client.command("SCRIPT", "LOAD", source), sha);
    assert.deepEqual(await onEveryNode(sha), new Array(6).fill(1));
    assert.deepEqual(await client.command("script", "exists", sha, "0".repeat(40)), [1, 0]);
  });

  it("SCRIPT LOAD of what does not compile rejects with the server's words", async () => {
    await assert.rejects(client.command("SCRIPT", "LOAD", "return +"), { code: "REPLY", reply: /compiling/ });
    await assert.rejects(client.command("SCRIPT", "LOAD", ""), { code: "INVALID_ARGUMENT" });
  });

  it("EVALSHA of a script that was loaded so is replayed after NOSCRIPT, on any node", async () => {
    await client.command("SCRIPT", "LOAD", source);
    await cluster.flushScripts();
    for (const name of ["EVALSHA", "evalsha"]) {
      const replies = keys.map((key) => client.command(name, sha.toUpperCase(), 1, key, 5));
      assert.deepEqual(
        await Promise.all(replies),
        keys.map((key) => [key, "5"]),
      );
    }
  });

  it("takes words that are given as bytes", async () => {
    const bytes = (text: string) => new Uint8Array(Buffer.from(text));
    assert.equal(await client.command("SCRIPT", bytes("load"), bytes(source)), sha);
    await cluster.flushScripts();
    assert.deepEqual(await client.command("EVALSHA", bytes(sha), bytes("1"), "k", 5), ["k", "5"]);
    await client.command("SCRIPT", bytes("flush"));
    assert.deepEqual(
      client.scripts().flatMap(({ loaded }) => loaded),
      [],
    );
  });

  it("in a batch an EVALSHA finds what a SCRIPT LOAD in front of it brings", async () => {
    const batch = client.batch().command("SCRIPT", "LOAD", source).command("EVALSHA", sha, 1, "k", 5);
    assert.deepEqual(await batch.exec(), [sha, ["k", "5"]]);
    assert.deepEqual(await onEveryNode(sha), new Array(6).fill(1));
  });

  it("EVALSHA of a script that nobody loaded here is the caller's NOSCRIPT", async () => {
    await assert.rejects(client.command("EVALSHA", sha, 1, "k", 1), {
      code: "REPLY",
      outcome: "not-executed",
      reply: /^NOSCRIPT/,
    });
  });

  it("SCRIPT EXISTS is 0 for a script that one node lacks", async () => {
    await client.command("SCRIPT", "LOAD", source);
    await cluster.command(cluster.nodes[1] as string, "SCRIPT", "FLUSH");
    assert.deepEqual(await client.command("SCRIPT", "EXISTS", sha), [0]);
  });

  it("SCRIPT FLUSH covers every node, and only a later run or preload loads again", async () => {
    await client.command("SCRIPT", "LOAD", source);
    await client.preload(incrScript);
    assert.equal(await client.command("SCRIPT", "FLUSH"), "OK");
    assert.deepEqual(await onEveryNode(sha), new Array(6).fill(0));
    assert.deepEqual(
      client.scripts().flatMap(({ loaded }) => loaded),
      [],
    );
    await assert.rejects(client.command("EVALSHA", sha, 1, "k", 1), { reply: /^NOSCRIPT/ });
    await client.refreshTopology();
    assert.deepEqual(await onEveryNode(sha), new Array(6).fill(0));
    const counts = await Promise.all(keys.map((key) => client.run(incrScript, [key])));
    assert.deepEqual(
      counts,
      keys.map(() => 1),
    );
    await client.preload(incrScript);
    assert.deepEqual(await onEveryNode(incrScript.sha), new Array(6).fill(1));
    assert.deepEqual(await onEveryNode(sha), new Array(6).fill(0));
  });
});

describe("commands for many nodes and slots", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("MSET, MGET, EXISTS, TOUCH, DEL and UNLINK go in parts, and their replies come as one", async () => {
    const keys = Array.from({ length: 200 }, (_, index) => `key:${index}`);
    assert.equal(await client.command("MSET", ...keys.flatMap((key, index) => [key, index])), "OK");
    const backwards = keys.toReversed();
    assert.deepEqual(await client.command("MGET", ...backwards, "missing"), [
      ...backwards.map((key) => String(keys.indexOf(key))),
      null,
    ]);
    assert.equal(await client.command("DBSIZE"), keys.length);
    assert.deepEqual(new Set((await client.command("KEYS", "*")) as string[]), new Set(keys));
    for (const name of ["EXISTS", "touch", "DEL"]) assert.equal(await client.command(name, ...keys), keys.length);
    assert.equal(await client.command("UNLINK", ...keys), 0);
  });

  it("FLUSHALL empties every primary", async () => {
    await client.command("MSET", "a", 1, "b", 2, "c", 3, "d", 4);
    assert.equal(await client.command("FLUSHALL"), "OK");
    assert.equal(await client.command("DBSIZE"), 0);
  });

  it("an error of a part is the command's", async () => {
    await assert.rejects(client.command("MSET", "a", 1, "{a}b"), { reply: /wrong number/, outcome: "not-executed" });
    await cluster.command(cluster.nodes[0] as string, "CONFIG", "SET", "maxmemory", 1);
    const keys = Array.from({ length: 200 }, (_, index) => `key:${index}`);
    await assert.rejects(client.command("MSET", ...keys.flatMap((key) => [key, 1])), { reply: /^OOM / });
    await cluster.command(cluster.nodes[0] as string, "CONFIG", "SET", "maxmemory", 0);
  });
});
