import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type Cluster,
  connect,
  DeadlineError,
  defineLibrary,
  defineScript,
  ReplyError,
  slotOf,
} from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const endless = defineScript({
  name: "endless",
  source: "while true do redis.call('get', KEYS[1]) end",
  numberOfKeys: 1,
});
const endlessRead = defineScript({ name: "endlessRead", source: endless.source, numberOfKeys: 1, readOnly: true });
const endlessWrite = defineScript({
  name: "endlessWrite",
  source: "redis.call('set', KEYS[1], 1) while not redis.call('get', KEYS[2]) do end return redis.call('del', KEYS[1])",
  keys: ["written", "never"],
});
const loops = defineLibrary({
  source:
    "#!lua name=loops\nredis.register_function('loop', function(keys) while true do redis.call('get', keys[1]) end end)",
  functions: { loop: { numberOfKeys: 1 } },
});
const BUSY_AFTER_MS = 200;

describe("a script that does not end", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({
      replicasPerPrimary: 1,
      args: ["--busy-reply-threshold", String(BUSY_AFTER_MS), "--cluster-node-timeout", "30000"],
    });
    client = await connect({ ...cluster.connectOptions, scripts: [endless, endlessRead], commandTimeout: 20_000 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  /** Resolves when the server of a script has begun to answer that it is busy. */
  const busy = () => new Promise((resolve) => setTimeout(resolve, 3 * BUSY_AFTER_MS));

  async function killed(run: Promise<unknown>, command: string, killer = client): Promise<number> {
    const ended = assert.rejects(run, /killed by user/);
    await busy();
    using watch = new Stopwatch();
    assert.equal(await killer.command(command, "KILL"), "OK");
    const took = watch.ms;
    await ended;
    return took;
  }

  it("is killed by the client that runs it", async () => {
    const took = await killed(client.run(endless, ["k"]), "SCRIPT");
    assert.ok(took < 100, `${took} ms`);
    assert.equal(await client.command("SET", "k", "v"), "OK");
  });

  it("is killed on the replica that runs it", async () => {
    const run = client.with({ readFrom: "replica" }).run(endlessRead, ["k"]);
    const took = await killed(run, "SCRIPT");
    assert.ok(took < 100, `${took} ms`);
  });

  it("is killed by a client that connects while the node is busy", async () => {
    const run = client.run(endless, ["k"]);
    await busy();
    await using late = await connect({ ...cluster.connectOptions, connectTimeout: 500 });
    await killed(run, "SCRIPT", late);
  });

  it("is a function", async (test) => {
    if (/v=[0-6]\./.test(cluster.version)) return test.skip("this server has none");
    await client.preload(loops);
    const took = await killed(client.run(loops.functions.loop, ["k"]), "FUNCTION");
    assert.ok(took < 100, `${took} ms`);
  });

  it("is killed on both nodes that run one", async () => {
    const runs = ["a", "b", "c"].map((key) => assert.rejects(client.run(endless, [key]), /killed by user/));
    await busy();
    assert.equal(await client.command("SCRIPT", "KILL"), "OK");
    await Promise.all(runs);
  });

  it("is none: the servers say so", async () => {
    const error = await client.command("SCRIPT", "KILL").catch((reason: unknown) => reason);
    assert.ok(error instanceof ReplyError, String(error));
    assert.match(error.reply, /^NOTBUSY /);
    assert.equal(error.outcome, "not-executed");
  });

  it("may run on a node that is silent: that weighs more than what the others say", async () => {
    const [silent] = client.topology.nodes.filter(({ role, health }) => role === "primary" && health !== "fail");
    await cluster.pause(silent?.address ?? "");
    try {
      const error = await client
        .with({ timeout: 1500 })
        .command("SCRIPT", "KILL")
        .catch((reason: unknown) => reason);
      assert.ok(error instanceof DeadlineError, String(error));
    } finally {
      await cluster.resume(silent?.address ?? "");
    }
  });

  it("has written: the node that runs it says so, whatever the others say", async () => {
    const run = client.run(endlessWrite, ["{k}written", "{k}never"]).catch(() => "lost with the server");
    await busy();
    const error = await client.command("SCRIPT", "KILL").catch((reason: unknown) => reason);
    assert.ok(error instanceof ReplyError, String(error));
    assert.match(error.reply, /^UNKILLABLE /);
    assert.equal(error.outcome, "not-executed");
    await cluster.kill(client.topology.primaryOf(slotOf("{k}"))?.address ?? "");
    await run;
  });
});
