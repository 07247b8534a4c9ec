import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, connect, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { incrScript } from "../support/scripts.ts";

describe("metrics", () => {
  let cluster: LocalCluster;
  const clients: Cluster[] = [];
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  after(() => cluster?.stop());
  const connected = async (options: Partial<ConnectOptions> = {}) => {
    const client = await connect({
      ...cluster.connectOptions,
      scripts: [incrScript],
      topologyRefreshInterval: 0,
      ...options,
    });
    clients.push(client);
    return client;
  };

  /** The node that owns `key` does nothing meanwhile. */
  const whilePaused = async (key: string, what: () => Promise<unknown>) => {
    const address = clients[0]?.topology.primaryOf(slotOf(key))?.address as string;
    await cluster.pause(address);
    await what();
    await cluster.resume(address);
  };

  it("are plain data, counted since connect, the same through every view", async () => {
    const client = await connected();
    const metrics = client.metrics();
    assert.deepEqual(JSON.parse(JSON.stringify(metrics)), metrics);
    const { bytesWritten, bytesRead, scriptLoads, connectionsOpened, ...counters } = metrics.counters;
    assert.ok(bytesWritten > 0 && bytesRead > 0);
    // One of each node, and one of a seed, or of more where it is slow.
    assert.ok(connectionsOpened >= 4);
    assert.ok(scriptLoads <= 3);
    assert.deepEqual(counters, {
      calls: 0,
      replies: 0,
      errors: {},
      deadlines: {},
      redirections: { MOVED: 0, ASK: 0 },
      retries: {},
      decisions: {},
      scriptMisses: 0,
      scriptLoadFailures: 0,
      connectionFailures: 0,
      reconnections: 0,
      topologyRefreshes: 0,
      topologyChanges: 0,
      messages: 0,
      gaps: {},
      hedges: { sent: 0, won: 0, overBudget: 0, withoutNode: 0 },
    });
    assert.equal(metrics.pending, 0);
    assert.deepEqual(metrics.subscriptions, { subscriptions: 0, topics: 0, connections: 0 });
    const idle = {
      pending: 0,
      pendingBytes: 0,
      connections: { connecting: 0, ready: 1, silent: 0, waiting: 0, closed: 0 },
    };
    assert.deepEqual(
      metrics.nodes,
      [...cluster.nodes].sort().map((address) => ({ address, role: "primary", ...idle })),
    );
    assert.deepEqual(metrics.durations, []);
    assert.deepEqual(client.with({ timeout: 1 }).metrics(), metrics);
    await client.run(incrScript, ["m:1"]);
    assert.equal(metrics.counters.calls, 0, "a copy does not change");
  });

  it("count calls, replies, and errors by their code", async () => {
    const client = await connected();
    const calls = [client.run(incrScript, ["m:1"]), client.command("GET", "m:1"), client.command("INCR", "m:1", "no")];
    const before = client.metrics();
    const { pending, nodes } = before;
    assert.equal(pending, 3);
    assert.deepEqual(
      nodes.filter((node) => node.pending > 0).map((node) => [node.address, node.pending]),
      [[client.topology.primaryOf(slotOf("m:1"))?.address, 3]],
    );
    assert.ok(nodes.some(({ pendingBytes }) => pendingBytes > 100));
    await Promise.allSettled(calls);
    await client.batch().run(incrScript, ["m:1"]).command("INCR", "m:1", "no").exec();
    await client.transaction("m:1").run(incrScript, ["m:1"]).run(incrScript, ["m:1"]).exec();
    await whilePaused("m:1", () => assert.rejects(client.with({ timeout: 20 }).command("GET", "m:1")));
    const { counters } = client.metrics();
    assert.deepEqual([counters.calls, counters.replies, counters.errors], [7, 4, { REPLY: 2, DEADLINE: 1 }]);
    assert.equal(client.metrics().pending, 0);
    assert.deepEqual(before.counters.errors, {}, "a copy does not change");
    await client.command("MGET", "m:1", "m:2", "m:3");
    assert.equal(client.metrics().counters.calls, 10, "each part");
  });

  it("count a watching transaction once, however it ends", async () => {
    const client = await connected();
    const watch = ["m:watched"];
    const totals = () => {
      const { calls, replies, errors } = client.metrics().counters;
      return [calls, replies, errors];
    };
    await client.transaction("m:watched", { watch }, async (tx) => {
      await tx.command("GET", "m:watched");
      return tx.multi().command("SET", "m:watched", 1);
    });
    assert.deepEqual(totals(), [1, 1, {}]);
    const failing = client.transaction("m:watched", { watch }, () => Promise.reject(new Error("of the application")));
    await assert.rejects(failing, /of the application/);
    const late = client.with({ timeout: 20 }).transaction("m:watched", { watch }, () => new Promise<never>(() => {}));
    await assert.rejects(late, { code: "DEADLINE" });
    assert.deepEqual(totals(), [3, 1, { OTHER: 1, DEADLINE: 1 }]);
  });

  it("count what goes other than straight: scripts that are missing, slots that moved, topologies", async () => {
    const client = await connected();
    await cluster.flushScripts();
    const { scriptLoads } = client.metrics().counters;
    await client.run(incrScript, ["m:2"]);
    await client.preload(incrScript);
    const slot = slotOf("m:2");
    const to = cluster.nodes.find((address) => address !== client.topology.primaryOf(slot)?.address) as string;
    await cluster.moveSlots({ slots: [slot], to });
    await client.run(incrScript, ["m:2"]);
    await client.refreshTopology();
    const { counters } = client.metrics();
    assert.equal(counters.scriptMisses, 1);
    assert.equal(counters.scriptLoads - scriptLoads, 3);
    assert.deepEqual(counters.redirections, { MOVED: 1, ASK: 0 });
    assert.deepEqual(counters.retries, { NOSCRIPT: 1, MOVED: 1 });
    assert.ok(counters.topologyRefreshes >= 1);
    assert.equal(counters.topologyChanges, 1);
    assert.deepEqual([counters.calls, counters.replies, counters.errors], [2, 2, {}]);
  });

  it("count connections that were lost and came again", async () => {
    const client = await connected();
    const address = client.topology.primaryOf(slotOf("m:3"))?.address as string;
    // A call that is lost meanwhile would be repeated on one more connection.
    const isUp = new Promise<void>((resolve) => {
      client.on("nodeUp", (event) => event.address === address && resolve());
    });
    await cluster.command(address, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await isUp;
    await client.with({ timeout: 5000 }).command("GET", "m:3");
    const { counters, nodes } = client.metrics();
    assert.equal(counters.reconnections, 1);
    assert.ok(counters.connectionsOpened >= 5);
    assert.deepEqual(
      nodes.map(({ connections }) => connections.ready),
      [1, 1, 1],
    );
    client.destroy();
    assert.deepEqual(
      client.metrics().nodes.map(({ connections }) => connections.closed),
      [1, 1, 1],
    );
  });

  it("measure durations where they were asked for, by command and script, errors included", async () => {
    const client = await connected({ durations: true });
    const started = performance.now();
    let slept: Promise<unknown> | undefined;
    for (let call = 0; call < 5; call++) await client.run(incrScript, ["m:4"]);
    await client.command("INCR", "m:4", "no").catch(() => {});
    await whilePaused("m:4", () => {
      slept = client.command("GET", "m:4");
      return new Promise((resolve) => setTimeout(resolve, 30));
    });
    await slept;
    const passed = performance.now() - started;
    const { durations } = client.metrics();
    assert.deepEqual(
      durations.map(({ command, script, count }) => [command, script, count]),
      [
        ["EVALSHA", "incr", 5],
        ["INCR", null, 1],
        ["GET", null, 1],
      ],
    );
    const sum = durations.reduce((total, each) => total + each.sum, 0);
    assert.ok(sum > 30 && sum <= passed, `${sum} ms of ${passed} ms`);
    const slow = durations.at(-1);
    const bucket = slow?.counts.indexOf(1) as number;
    assert.ok((slow?.bounds[bucket] as number) >= 30 && (slow?.bounds[bucket - 1] as number) < (slow?.sum as number));
  });
});
