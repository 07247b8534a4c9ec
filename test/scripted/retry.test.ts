import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DeadlineError, ReplyError } from "../../src/index.ts";
import { Ear } from "../support/channels.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const REFUSALS = [
  "TRYAGAIN Multiple keys request during rehashing of slot",
  "CLUSTERDOWN The cluster is down",
  "CLUSTERDOWN Hash slot not served",
  "LOADING Redis is loading the dataset in memory",
  "LOADING Valkey is loading the dataset in memory",
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
  "BUSY Valkey is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
];
const MADE_UP = [
  "TRYAGAIN later",
  "CLUSTERDOWN x",
  "LOADING x",
  "BUSY x",
  "MASTERDOWN x",
  "READONLY x",
  "ERR inner NOSCRIPT thing",
];

describe("refusals", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());
  const key = keyForSlot(0);

  for (const text of REFUSALS) {
    it(`"${text.slice(0, 40)}" proves that the script did not run: sent again after a while`, async () => {
      const client = await cluster.connect({ scripts: [setScript] });
      cluster.node(0).expect("EVALSHA", error(text), 3);
      assert.equal(await client.run(setScript, [key], [1]), "OK");
      assert.equal(cluster.node(0).count("EVALSHA"), 4);
    });
  }

  for (const text of MADE_UP) {
    it(`"${text}" is the script's own error: it ran, once`, async () => {
      const client = await cluster.connect({ scripts: [setScript] });
      cluster.node(0).expect("EVALSHA", error(text));
      await assert.rejects(client.run(setScript, [key], [1]), { code: "REPLY", outcome: "executed", reply: text });
      assert.equal(cluster.node(0).count("EVALSHA"), 1);
    });
  }

  it("calls of one slot are sent again in the order of their refusals", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    node.expect("EVALSHA", error("TRYAGAIN Multiple keys request during rehashing of slot"), 20);
    node.received.length = 0;
    await Promise.all(Array.from({ length: 20 }, (_, index) => client.run(setScript, [key], [index])));
    const runs = Array.from({ length: 20 }, (_, index) => `EVALSHA ${key} ${index}`);
    assert.deepEqual(node.got("EVALSHA"), [...runs, ...runs]);
  });

  it("READONLY from a replica is no reason to run a script again, and one to send a plain command to the owner", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const text = "READONLY You can't write against a read only replica.";
    cluster.node(0).expect("EVALSHA", error(text));
    cluster.node(0).expect("SET", error(text));
    await assert.rejects(client.run(setScript, [key], [1]), { code: "REPLY", outcome: "executed" });
    assert.equal(await client.command("SET", key, "v"), "OK");
    assert.equal(cluster.node(0).count("EVALSHA"), 1);
    assert.equal(cluster.node(0).count("SET"), 2);
  });

  it("READONLY from the middle of a script is a reason to look at the topology, and none to run it again", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const refreshes = () => client.metrics().counters.topologyRefreshes;
    const before = refreshes();
    const text = `READONLY You can't write against a read only replica. script: ${setScript.sha}, on @user_script:1.`;
    cluster.node(0).expect("EVALSHA", error(text));
    await assert.rejects(client.run(setScript, [key], [1]), { code: "REPLY", outcome: "executed", reply: text });
    for (let waited = 0; refreshes() === before && waited < 2000; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(refreshes(), before + 1);
    assert.equal(cluster.node(0).count("EVALSHA"), 1);
  });

  it("until the deadline, and then the call was not executed and says by which refusal", async () => {
    const client = await cluster.connect({ scripts: [setScript], commandTimeout: 200 });
    cluster.node(0).always("EVALSHA", () => error("CLUSTERDOWN The cluster is down"));
    const ear = new Ear("attempt", "redirection");
    using watch = new Stopwatch();
    await assert.rejects(client.run(setScript, [key], [1]), (thrown: unknown) => {
      ear.stop();
      assert.ok(thrown instanceof DeadlineError);
      const [attempts, refusals] = [ear.all("attempt").length, ear.all("redirection").length];
      assert.ok(attempts - refusals <= 1, `${attempts} attempts, ${refusals} refusals`);
      // On a slow machine an attempt may be under way when the deadline passes. It is in doubt if it was written.
      if (attempts === refusals) assert.equal(thrown.outcome, "not-executed");
      assert.ok(thrown.cause instanceof ReplyError);
      assert.match(thrown.cause.reply, /CLUSTERDOWN/);
      return true;
    });
    assert.ok(watch.ms < 300);
  });
});
