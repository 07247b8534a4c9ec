import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Environment } from "../../src/environment.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, error, noScript } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

const DENIED = error("NOPERM User x has no permissions to run the 'script|load' command");
const TRY_AGAIN = error("TRYAGAIN Multiple keys request during rehashing of slot");

describe("a transaction that watches keys", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  const key = keyForSlot(0);

  it("does not start over when something was written before a command was refused", async () => {
    const client = await cluster.connect();
    cluster.node(0).expect("INCR", ":1\r\n");
    cluster.node(0).expect("MSET", TRY_AGAIN);
    const watching = client.transaction(key, { watch: [key] }, async (tx) => {
      await tx.command("INCR", key);
      await tx.command("MSET", key, 1, `{${key}}`, 2);
      return tx.multi();
    });
    await assert.rejects(watching, { code: "REPLY", reply: /^TRYAGAIN/ });
    assert.equal(cluster.node(0).count("INCR"), 1);
  });

  it("starts over when nothing was written but what was refused", async () => {
    const client = await cluster.connect();
    cluster.node(0).expect("MSET", TRY_AGAIN);
    cluster.node(0).always("EXEC", () => array(":1\r\n"));
    const watching = client.transaction(key, { watch: [key] }, async (tx) => {
      await tx.command("MSET", key, 1, `{${key}}`, 2);
      return tx.multi().command("INCR", key);
    });
    assert.deepEqual(await watching, [1]);
    assert.equal(cluster.node(0).count("MSET"), 2);
  });

  it("aborted while it waits for a connection that may have been closed, leaves none behind", async () => {
    let isBehind = false;
    let read: (() => void) | undefined;
    const { clock } = nodeEnvironment;
    const late: Environment["clock"] = {
      now: clock.now.bind(clock),
      setTimer: clock.setTimer.bind(clock),
      nextTick: clock.nextTick.bind(clock),
      afterReads: clock.afterReads.bind(clock),
      isBehind: () => isBehind,
      afterArrivals: (callback) => {
        read = callback;
      },
    };
    const client = await cluster.connect({}, { ...nodeEnvironment, clock: late });
    cluster.node(0).always("EXEC", () => array(":1\r\n"));
    const aborting = new AbortController();
    const run = () => {
      return client
        .with({ signal: aborting.signal })
        .transaction(key, { watch: [key] }, async (tx) => tx.multi().command("INCR", key));
    };
    assert.deepEqual(await run(), [1]);
    const connections = cluster.node(0).openConnections;
    isBehind = true;
    const aborted = run();
    await eventually(() => assert.equal(typeof read, "function"));
    aborting.abort();
    await assert.rejects(aborted, { code: "ABORTED", outcome: "not-executed" });
    isBehind = false;
    read?.();
    await eventually(() => assert.equal(cluster.node(0).openConnections, connections - 1));
  });

  it("that was lost behind EXEC is unknown, also when its function had lived with a refusal before", async () => {
    const client = await cluster.connect();
    cluster.node(0).expect("MGET", TRY_AGAIN);
    cluster.node(0).expect("EXEC", "disconnect");
    const watching = client.transaction(key, { watch: [key] }, async (tx) => {
      await tx.command("MGET", key, `{${key}}`).catch(() => {});
      return tx.multi().command("INCR", key);
    });
    await assert.rejects(watching, { code: "CONNECTION_LOST", outcome: "unknown" });
    assert.equal(cluster.node(0).count("EXEC"), 1);
  });

  it("gets the reply that has arrived although its deadline passed while the event loop was busy", async () => {
    const client = await cluster.connect();
    cluster.node(0).always("EXEC", () => array(":1\r\n"));
    const watching = client.with({ timeout: 100 }).transaction(key, { watch: [key] }, async (tx) => {
      return tx.multi().command("INCR", key);
    });
    // The server is in this process, so it has to get its turn before we are busy.
    while (cluster.node(0).count("EXEC") === 0) await new Promise((resolve) => setImmediate(resolve));
    const busyUntil = performance.now() + 150;
    while (performance.now() < busyUntil);
    assert.deepEqual(await watching, [1]);
  });

  it("loads a script again that was flushed before it ran", async () => {
    const client = await cluster.connect();
    cluster.node(0).expect("EVALSHA", noScript, 2);
    cluster.node(0).always("EXEC", () => array("+OK\r\n"));
    const watching = client.transaction(key, { watch: [key] }, async (tx) => {
      assert.equal(await tx.run(setScript, [key], [1]), "OK");
      return tx.multi().command("SET", key, 1);
    });
    assert.deepEqual(await watching, ["OK"]);
    assert.equal(cluster.node(0).count("EVALSHA"), 3);
  });

  it("brings the source by EVAL where SCRIPT LOAD is forbidden, in front of MULTI and inside", async () => {
    const client = await cluster.connect();
    cluster.node(0).always("SCRIPT LOAD", () => DENIED);
    cluster.node(0).always("EXEC", () => array("+OK\r\n"));
    const watching = client.transaction(key, { watch: [key] }, async (tx) => {
      assert.equal(await tx.run(setScript, [key], [1]), "OK");
      return tx.multi().run(setScript, [key], [2]);
    });
    assert.deepEqual(await watching, ["OK"]);
    assert.equal(cluster.node(0).count("EVAL"), 2);
    const other = await cluster.connect();
    cluster.node(0).expect("EXEC", error("EXECABORT Transaction discarded because of previous errors."));
    const again = other.transaction(key, { watch: [key] }, async (tx) => tx.multi().run(setScript, [key], [3]));
    assert.deepEqual(await again, ["OK"]);
  });

  it("that ended without an answer to EXEC leaves its connection to nobody, who would be watched along", async () => {
    const client = await cluster.connect();
    const node = cluster.node(0);
    node.always("EXEC", () => array("+OK\r\n"));
    node.always("BLPOP", () => array("+k\r\n", "+v\r\n"));
    const refused = client.transaction(key, { watch: [key] }, async () => {
      throw new Error("not now");
    });
    await assert.rejects(refused, /not now/);
    const { connection } = node.received.find(({ args }) => args[0] === "WATCH") ?? {};
    assert.ok(connection);
    assert.deepEqual(await client.command("BLPOP", key, 1), ["k", "v"]);
    const next = client.transaction(key, { watch: [key] }, async (tx) => tx.multi().command("SET", key, 1));
    assert.deepEqual(await next, ["OK"]);
    const onIt = node.received.filter((each) => each.connection === connection).map(({ args }) => args[0]);
    assert.equal(onIt.lastIndexOf("WATCH"), onIt.length - 1, onIt.join());
  });

  it("has ended for close and for the process when its caller has an answer, whatever its function waits for", async () => {
    const client = await cluster.connect();
    const forever = () => new Promise<never>(() => {});
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
    const before = timers();
    const controller = new AbortController();
    const view = client.with({ timeout: 60_000, signal: controller.signal });
    const aborted = view.transaction(key, { watch: [key] }, forever);
    const late = client.with({ timeout: 30 }).transaction(key, { watch: [key] }, forever);
    await assert.rejects(late, { code: "DEADLINE", outcome: "not-executed" });
    controller.abort();
    await assert.rejects(aborted, { code: "ABORTED", outcome: "not-executed" });
    await client.close();
    assert.equal(timers(), before);
  });
});
