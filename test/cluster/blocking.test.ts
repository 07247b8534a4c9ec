import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, type Reply, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { blockedOn, CLIENT_NAME, untilBlocked as untilBlockedOn } from "../support/blocked.ts";
import { Ear } from "../support/channels.ts";
import { incrScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

describe("a command that blocks", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, connectionName: CLIENT_NAME, commandTimeout: 1000 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const ownerOf = (key: string) => client.topology.primaryOf(slotOf(key))?.address as string;

  const untilBlocked = (key: string, count: number) => untilBlockedOn(cluster, () => ownerOf(key), count);

  it("is each of its kind, and gives what the server gives", async () => {
    const pairs: [line: string, push: string][] = [
      ["BLPOP {b}l 5", "RPUSH {b}l v"],
      ["BRPOP {b}x {b}l 5", "RPUSH {b}l v"],
      ["BRPOPLPUSH {b}l {b}m 5", "RPUSH {b}l v"],
      ["BZPOPMIN {b}z 5", "ZADD {b}z 1 v"],
      ["BZPOPMAX {b}z 5", "ZADD {b}z 1 v"],
      ["XREADGROUP GROUP g c BLOCK 5000 STREAMS {b}s >", "XADD {b}s 5-1 f v"],
      ["XREAD COUNT 1 BLOCK 5000 STREAMS {b}s $", "XADD {b}s 6-1 f v"],
    ];
    const is7 = !/ v=6\./.test(cluster.version);
    if (!/ v=6\.0/.test(cluster.version)) pairs.push(["BLMOVE {b}l {b}m LEFT RIGHT 5", "RPUSH {b}l v"]);
    if (is7) pairs.push(["BLMPOP 5 1 {b}l LEFT", "RPUSH {b}l v"], ["BZMPOP 5 1 {b}z MIN", "ZADD {b}z 1 v"]);
    await client.command("XGROUP", "CREATE", "{b}s", "g", "$", "MKSTREAM");
    for (const [line, push] of pairs) {
      const [name = "", ...args] = line.split(" ");
      const [pushes = "", ...what] = push.split(" ");
      const popped = client.command(name, ...args);
      await untilBlocked("{b}", 1);
      await client.command(pushes, ...what);
      assert.match(JSON.stringify(await popped), /"v"/, line);
    }
    assert.deepEqual(await blockedOn(cluster, ownerOf("{b}")), []);
  });

  it("delays nobody: 50 consumers wait, 1,000 reads of the same node go past them, and each gets its element", async () => {
    await client.command("SET", "{busy}", "v");
    const before = client.metrics().counters.connectionsOpened;
    const consumers = Array.from({ length: 50 }, (_, index) =>
      client.command<string[]>("BLPOP", `{busy}:${index}`, 20),
    );
    await untilBlocked("{busy}", 50);
    using watch = new Stopwatch();
    const reads = Array.from({ length: 1000 }, () => client.command("GET", "{busy}"));
    assert.deepEqual(new Set(await Promise.all(reads)), new Set(["v"]));
    assert.ok(watch.ms < 250, `the slowest read took ${watch.ms} ms`);
    const node = client.metrics().nodes.find(({ address }) => address === ownerOf("{busy}"));
    assert.equal(node?.pending, 50);
    await client.batch().command("RPUSH", "{busy}:0", "of 0").command("RPUSH", "{busy}:1", "of 1").exec();
    for (let index = 2; index < 50; index++) await client.command("RPUSH", `{busy}:${index}`, `of ${index}`);
    const elements = await Promise.all(consumers);
    assert.deepEqual(
      elements.map(([, element]) => element),
      elements.map((_, index) => `of ${index}`),
    );
    assert.equal(client.metrics().pending, 0);
    const opened = client.metrics().counters.connectionsOpened - before;
    // One more asks the node about those that wait for long.
    assert.ok(opened <= 51, `${opened} connections`);
    for (let round = 0; round < 5; round++) {
      await client.command("RPUSH", "{busy}:again", round);
      assert.deepEqual(await client.command("BLPOP", "{busy}:again", 1), ["{busy}:again", String(round)]);
    }
    assert.equal(
      client.metrics().counters.connectionsOpened - before,
      opened,
      "connections that are free are used again",
    );
  });

  it("delays nobody in a batch, and blocks nobody in a transaction", async () => {
    const batch = client
      .batch()
      .command("BLPOP", "{group}:l", 10)
      .command("GET", "{group}")
      .command("BLPOP", "{group}:n", 0.05);
    const results = batch.exec();
    await untilBlocked("{group}", 1);
    using watch = new Stopwatch();
    const neighbours = await client.batch().command("SET", "{group}", 1).command("GET", "{group}").exec();
    assert.deepEqual(neighbours, ["OK", "1"]);
    assert.ok(watch.ms < 250);
    await client.command("RPUSH", "{group}:l", "v");
    const [popped, , nothing] = await results;
    assert.deepEqual([popped, nothing], [["{group}:l", "v"], null]);
    const inside = client.transaction("{group}").command("BLPOP", "{group}:none", 0).command("GET", "{group}");
    assert.deepEqual(await inside.exec(), [null, "1"]);
  });

  it("may block longer than commandTimeout, unless the view says how long it may take", async () => {
    assert.equal(await client.command("BLPOP", "{long}", 1.2), null);
    const [key, element] = await Promise.all([
      client.command<string[]>("BLPOP", "{long}", 0),
      sleep(1200).then(() => client.command("RPUSH", "{long}", "late")),
    ]).then(([popped]) => popped);
    assert.deepEqual([key, element], ["{long}", "late"]);
    using watch = new Stopwatch();
    const hasty = client.with({ timeout: 100 });
    for (const seconds of [0, 10]) {
      await assert.rejects(hasty.command("BLPOP", "{long}", seconds), { code: "DEADLINE", outcome: "unknown" });
    }
    assert.ok(watch.ms < 1000);
    await untilBlocked("{long}", 0);
  });

  it("is forgotten by the server once it is aborted, so that no element goes to nobody", async () => {
    const abort = new AbortController();
    const view = client.with({ signal: abort.signal });
    const calls = [view.command("BLPOP", "{aborted}", 0), view.command("BZPOPMIN", "{aborted}:z", 30)];
    await untilBlocked("{aborted}", 2);
    const reason = new Error("enough");
    abort.abort(reason);
    for (const call of calls) await assert.rejects(call, { code: "ABORTED", outcome: "unknown", cause: reason });
    await untilBlocked("{aborted}", 0);
    await client.command("LPUSH", "{aborted}", "kept");
    assert.equal(await client.command("LLEN", "{aborted}"), 1);
    await assert.rejects(view.command("BLPOP", "{aborted}", 0), { code: "ABORTED", outcome: "not-executed" });
    assert.equal(client.metrics().pending, 0);
  });

  it("gives the server's refusal, and whether it proves that nothing ran", async () => {
    await client.command("SET", "{wrong}", 1);
    await assert.rejects(client.command("BLPOP", "{wrong}", 0), { code: "REPLY", reply: /^WRONGTYPE / });
    await assert.rejects(client.command("BLPOP", "{wrong}", "soon"), {
      code: "REPLY",
      reply: /timeout is not a float/,
    });
    const unblocked = client.command("BLPOP", "{wrong}:l", 0);
    await untilBlocked("{wrong}", 1);
    const [line = ""] = await blockedOn(cluster, ownerOf("{wrong}"));
    await cluster.command(ownerOf("{wrong}"), "CLIENT", "UNBLOCK", /^id=(\d+)/.exec(line)?.[1] as string, "ERROR");
    await assert.rejects(unblocked, { code: "REPLY", reply: /^UNBLOCKED /, outcome: "not-executed" });
  });

  it("goes on where its slot is when that moves, for what is left of its time", async () => {
    const key = "{wanderer}";
    const target = client.topology.nodes.find(({ address }) => address !== ownerOf(key))?.address as string;
    const popped = client.with({ timeout: 20_000 }).command("BLPOP", key, 0);
    const started = performance.now();
    const nothing = client.command("BLPOP", `${key}:none`, 4);
    await untilBlocked(key, 2);
    await sleep(1500);
    await cluster.moveSlots({ slots: [slotOf(key)], to: target });
    await client.refreshTopology();
    assert.equal(ownerOf(key), target);
    await untilBlocked(key, 2);
    await client.command("RPUSH", key, "there");
    assert.deepEqual(await popped, [key, "there"]);
    assert.equal(await nothing, null);
    const took = performance.now() - started;
    assert.ok(took > 3900 && took < 4900, `${took} ms`);
  });

  it("is not counted out by redirections that lie far apart", async () => {
    const key = "{nomad}";
    const steady = await connect({ ...cluster.connectOptions, connectionName: CLIENT_NAME, maxRedirections: 1 });
    const popped = steady.command("BLPOP", key, 0);
    await untilBlocked(key, 1);
    const [first, second] = [
      ownerOf(key),
      client.topology.nodes.find(({ address }) => address !== ownerOf(key))?.address,
    ];
    for (const to of [second, first] as string[]) {
      await sleep(1000);
      await cluster.moveSlots({ slots: [slotOf(key)], to });
      await client.refreshTopology();
      await untilBlocked(key, 1);
    }
    await client.command("RPUSH", key, "v");
    assert.deepEqual(await popped, [key, "v"]);
    assert.equal(steady.metrics().counters.redirections.MOVED, 2);
    steady.destroy();
  });

  it("waits where its slot is on its way to, when its key is not here any more", async () => {
    const key = "{underway}";
    const slot = slotOf(key);
    const [source, target] = [
      ownerOf(key),
      client.topology.nodes.find(({ address }) => address !== ownerOf(key))?.address,
    ];
    assert.ok(target);
    const idOf = async (address: string) => String(await cluster.command(address, "CLUSTER", "MYID"));
    await cluster.command(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(source));
    await cluster.command(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", await idOf(target));
    const popped = client.command<string[]>("BLPOP", key, 10);
    for (let tries = 0; !String(await cluster.command(target, "CLIENT", "LIST")).includes("cmd=blpop"); tries++) {
      assert.ok(tries < 400, "it is blocked there");
      await sleep(5);
    }
    // Longer than a server takes to look whether those that it blocks are in the right place.
    await sleep(1200);
    await client.command("RPUSH", key, "v");
    assert.deepEqual(await popped, [key, "v"]);
    for (const address of [source, target]) await cluster.command(address, "CLUSTER", "SETSLOT", slot, "STABLE");
  });

  it("is told of and counted like any command", async () => {
    const ear = new Ear("command", "attempt");
    const before = client.metrics().counters;
    assert.equal(await client.command("BLPOP", "{told}", 0.01), null);
    const hasty = client.with({ timeout: 30 }).command("BLPOP", "{told}", 0);
    await assert.rejects(hasty, { code: "DEADLINE" });
    ear.stop();
    assert.deepEqual(
      ear.names,
      ["command:start", "command:end", "attempt", "command:asyncStart", "command:asyncEnd"].concat([
        "command:start",
        "command:end",
        "attempt",
        "command:error",
        "command:asyncStart",
        "command:asyncEnd",
      ]),
    );
    const [attempt] = ear.all("attempt");
    assert.deepEqual([attempt?.command, attempt?.address], ["BLPOP", ownerOf("{told}")]);
    const { calls, replies, errors } = client.metrics().counters;
    assert.deepEqual([calls - before.calls, replies - before.replies], [2, 1]);
    assert.equal((errors.DEADLINE ?? 0) - (before.errors.DEADLINE ?? 0), 1);
  });

  it("does not outlive its client", async () => {
    const open = (): Promise<Cluster> => connect({ ...cluster.connectOptions, connectionName: CLIENT_NAME });
    const closed = { code: "CLOSED", outcome: "unknown" };
    const first = await open();
    const unlimited = first.with({ timeout: 0 }).command("BLPOP", "{end}:finite", 0.5);
    const endless = first.command("BLPOP", "{end}", 0);
    const finite = first.command("BLPOP", "{end}:finite", 0.5);
    await untilBlocked("{end}", 3);
    await Promise.all([
      unlimited.then((reply: Reply) => assert.equal(reply, null)),
      assert.rejects(endless, closed),
      finite.then((reply: Reply) => assert.equal(reply, null)),
      first.close(),
    ]);
    await untilBlocked("{end}", 0);

    const second = await open();
    const limited = second.command("BLPOP", "{end}", 0);
    const served = second.command<string[]>("BLPOP", "{end}:served", 0);
    await untilBlocked("{end}", 2);
    const closing = second.close({ timeout: 300 });
    await client.command("RPUSH", "{end}:served", "in time");
    await Promise.all([assert.rejects(limited, closed), closing]);
    assert.deepEqual(await served, ["{end}:served", "in time"]);

    const third = await open();
    const destroyed = third.command("BLPOP", "{end}", 10);
    const unsent = third.command("BLPOP", "{end}", 10);
    await untilBlocked("{end}", 2);
    const opening = third.command("BLPOP", "{end}", 10);
    third.destroy();
    await assert.rejects(destroyed, closed);
    await assert.rejects(unsent, closed);
    await assert.rejects(opening, { code: "CLOSED", outcome: "not-executed" });
    await untilBlocked("{end}", 0);
    await client.command("LPUSH", "{end}", "kept");
    assert.equal(await client.command("LLEN", "{end}"), 1);
  });

  it("keeps no process alive once its client is closed", async () => {
    const program = `
      import { connect } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)};
      const cluster = await connect(${JSON.stringify(cluster.connectOptions)});
      await cluster.command("BLPOP", "{exit}", 0.01);
      cluster.command("BLPOP", "{exit}", 0).catch(() => {});
      await cluster.close();`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
      stdio: ["ignore", "ignore", "inherit"],
      timeout: 8000,
    });
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });

  it("is used by a transaction that watches keys, on the connection that watches", async () => {
    const result = client.transaction("{w}", { watch: ["{w}"] }, async (tx) => {
      const popped = await tx.command<string[]>("BLPOP", "{w}:l", 5);
      return tx.multi().command<string>("SET", "{w}", popped[1] as string);
    });
    await untilBlocked("{w}", 1);
    await client.command("RPUSH", "{w}:l", "v");
    assert.deepEqual(await result, ["OK"]);
    await client.run(incrScript, ["{w}:n"]);
  });
});
