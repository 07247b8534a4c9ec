import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, type Reply, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { Ear } from "../support/channels.ts";
import { incrScript } from "../support/scripts.ts";

const NAME = "blocking-test";

describe("a command that blocks", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, connectionName: NAME, commandTimeout: 1000 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const ownerOf = (key: string) => client.topology.primaryOf(slotOf(key))?.address as string;

  /** Lines of CLIENT LIST of our clients on the key's node that wait for something. */
  async function blockedOn(key: string, on = cluster): Promise<string[]> {
    const list = String(await on.command(ownerOf(key), "CLIENT", "LIST"));
    return list.split("\n").filter((line) => line.includes(`name=${NAME}`) && / flags=\S*b/.test(line));
  }

  async function untilBlocked(key: string, count: number, on = cluster): Promise<void> {
    for (let tries = 0; (await blockedOn(key, on)).length !== count; tries++) {
      assert.ok(tries < 400, `${count} clients are blocked`);
      await sleep(5);
    }
  }

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
    assert.deepEqual(await blockedOn("{b}"), []);
  });

  it("delays nobody: 50 consumers wait, 1,000 reads of the same node go past them, and each gets its element", async () => {
    await client.command("SET", "{busy}", "v");
    const before = client.metrics().counters.connectionsOpened;
    const consumers = Array.from({ length: 50 }, (_, index) =>
      client.command<string[]>("BLPOP", `{busy}:${index}`, 20),
    );
    await untilBlocked("{busy}", 50);
    const slowest = await Promise.all(
      Array.from({ length: 1000 }, async () => {
        const started = performance.now();
        assert.equal(await client.command("GET", "{busy}"), "v");
        return performance.now() - started;
      }),
    ).then((times) => Math.max(...times));
    assert.ok(slowest < 250, `the slowest read took ${slowest} ms`);
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
    assert.ok(opened <= 50, `${opened} connections`);
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
    const started = performance.now();
    const neighbours = await client.batch().command("SET", "{group}", 1).command("GET", "{group}").exec();
    assert.deepEqual(neighbours, ["OK", "1"]);
    assert.ok(performance.now() - started < 250);
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
    const started = performance.now();
    const hasty = client.with({ timeout: 100 });
    for (const seconds of [0, 10]) {
      await assert.rejects(hasty.command("BLPOP", "{long}", seconds), { code: "DEADLINE", outcome: "unknown" });
    }
    assert.ok(performance.now() - started < 1000);
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
    const [line = ""] = await blockedOn("{wrong}");
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
    const open = (): Promise<Cluster> => connect({ ...cluster.connectOptions, connectionName: NAME });
    const closed = { code: "CLOSED", outcome: "unknown" };
    const first = await open();
    const endless = first.command("BLPOP", "{end}", 0);
    const finite = first.command("BLPOP", "{end}:finite", 0.5);
    await untilBlocked("{end}", 2);
    await Promise.all([
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

describe("a command that blocks, when its primary", () => {
  const PATIENT = { commandTimeout: 20_000, connectionName: NAME };
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args: ["--cluster-node-timeout", "2000"] });
    client = await connect({ ...cluster.connectOptions, ...PATIENT });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const ownerOf = (key: string) => client.topology.primaryOf(slotOf(key))?.address as string;

  async function untilBlocked(key: string, count: number): Promise<void> {
    for (let tries = 0; ; tries++) {
      const list = String(await cluster.command(ownerOf(key), "CLIENT", "LIST"));
      const blocked = list.split("\n").filter((line) => line.includes(`name=${NAME}`) && / flags=\S*b/.test(line));
      if (blocked.length === count) return;
      assert.ok(tries < 2000, `${count} clients are blocked`);
      await sleep(5);
    }
  }

  it("has its replicas waited for, keeps nobody waiting", async () => {
    const key = "{waited}";
    await client.command("SET", key, 1);
    assert.equal(await client.command("WAIT", 1, 5000), 1);
    assert.equal(await client.command("WAIT", 0, 0), 0 + (await client.command<number>("WAIT", 0, 1)));
    const [replica] = client.topology.replicasOf(slotOf(key));
    assert.ok(replica);
    await cluster.pause(replica.address);
    try {
      await client.command("SET", key, 2);
      const started = performance.now();
      const waited = client.command<number>("WAIT", 1, 600);
      for (let reads = 0; reads < 50; reads++) {
        const readAt = performance.now();
        assert.equal(await client.command("GET", key), "2");
        assert.ok(performance.now() - readAt < 250);
      }
      assert.equal(await waited, 0, "what the frozen replica does not have is not counted");
      const took = performance.now() - started;
      assert.ok(took >= 599 && took < 1500, `${took} ms`);
    } finally {
      await cluster.resume(replica.address);
    }
    assert.equal(await client.command("WAIT", 1, 10_000), 1);
    for (const args of [[], [1], [-1, 0], [1, "x"], [1, 1, 1]]) {
      await assert.rejects(client.command("WAIT", ...args), { code: "INVALID_ARGUMENT" });
    }
    const abort = new AbortController();
    const endless = client.with({ signal: abort.signal }).command("WAIT", 9, 0);
    setTimeout(() => abort.abort(), 50);
    await assert.rejects(endless, { code: "ABORTED" });
  });

  it("becomes a replica, goes on at the new one", async () => {
    const key = "{demoted}";
    const popped = client.command("BLPOP", key, 0);
    await untilBlocked(key, 1);
    const [replica] = client.topology.replicasOf(slotOf(key));
    assert.ok(replica);
    await cluster.failover(replica.address);
    await client.command("RPUSH", key, "v");
    assert.deepEqual(await popped, [key, "v"]);
    assert.equal(ownerOf(key), replica.address);
  });

  it("is frozen and replaced, is in doubt after a while; one that only reads goes on", async () => {
    const key = "{frozen}";
    const owner = ownerOf(key);
    const popped = client.command("BLPOP", key, 0);
    const read = client.command("XREAD", "BLOCK", 0, "STREAMS", `${key}:s`, "$");
    await untilBlocked(key, 2);
    const lost = assert.rejects(popped, { code: "CONNECTION_LOST", outcome: "unknown" });
    await cluster.pause(owner);
    try {
      await lost;
      assert.notEqual(ownerOf(key), owner);
      await untilBlocked(key, 1);
      await client.command("XADD", `${key}:s`, "1-1", "f", "v");
      assert.match(JSON.stringify(await read), /1-1/);
    } finally {
      await cluster.resume(owner);
    }
  });

  it("dies, is in doubt; one that waits for a connection is not, and one that only reads goes on", async () => {
    const key = "{killed}";
    const popped = client.command("BLPOP", key, 0);
    const read = client.command("XREAD", "BLOCK", 0, "STREAMS", `${key}:s`, "$");
    await untilBlocked(key, 2);
    const lost = assert.rejects(popped, { code: "CONNECTION_LOST", outcome: "unknown" });
    await cluster.kill(ownerOf(key));
    await lost;
    // Connections that were free are known to be gone by then.
    await sleep(20);
    const unsent = client.command("BLPOP", `${key}:unsent`, 0);
    await client.command("RPUSH", `${key}:unsent`, "v");
    assert.deepEqual(await unsent, [`${key}:unsent`, "v"]);
    await untilBlocked(key, 1);
    await client.command("XADD", `${key}:s`, "1-1", "f", "v");
    assert.match(JSON.stringify(await read), /1-1/);
  });
});
