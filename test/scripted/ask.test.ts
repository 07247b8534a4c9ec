import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error, noScript } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

describe("ASK", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2, 1);
  });
  afterEach(() => cluster.stop());

  const ask = (slot: number, to: { port: number }) => error(`ASK ${slot} 127.0.0.1:${to.port}`);

  it("sends ASKING and the command in one write, and leaves the slot where it is", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const importing = cluster.node(1);
    cluster.node(0).expect("EVALSHA", ask(0, importing));
    const key = keyForSlot(0);
    assert.equal(await client.run(setScript, [key], ["a"]), "OK");
    assert.deepEqual(importing.got("ASKING", "EVALSHA"), ["ASKING", `EVALSHA ${key} a`]);
    const [asking, run] = importing.received.slice(-2);
    assert.equal(asking?.write, run?.write);
    assert.equal(client.topology.primaryOf(0)?.address, cluster.node(0).address);
    await client.run(setScript, [key], ["b"]);
    assert.equal(cluster.node(0).count("EVALSHA"), 2);
  });

  it("to a node without the script: SCRIPT LOAD, ASKING, EVALSHA in one write, one round trip more", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const importing = cluster.node(1);
    importing.scripts.clear();
    cluster.node(0).expect("EVALSHA", ask(0, importing));
    const key = keyForSlot(0);
    assert.equal(await client.run(setScript, [key], ["a"]), "OK");
    const run = `EVALSHA ${key} a`;
    assert.deepEqual(importing.got("ASKING", "EVALSHA", "SCRIPT LOAD").slice(1), [
      "ASKING",
      run,
      "SCRIPT LOAD",
      "ASKING",
      run,
    ]);
    const replay = importing.received.filter(({ args }) => args[1] !== "EXISTS").slice(-3);
    assert.equal(new Set(replay.map(({ write }) => write)).size, 1);
  });

  it("keeps its ASKING through TRYAGAIN", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const importing = cluster.node(1);
    cluster.node(0).expect("EVALSHA", ask(0, importing));
    importing.expect("EVALSHA", error("TRYAGAIN Multiple keys request during rehashing of slot"), 3);
    const key = keyForSlot(0);
    assert.equal(await client.run(setScript, [key], ["a"]), "OK");
    const pair = ["ASKING", `EVALSHA ${key} a`];
    assert.deepEqual(importing.got("ASKING", "EVALSHA"), [...pair, ...pair, ...pair, ...pair]);
    assert.equal(cluster.node(0).count("EVALSHA"), 1);
  });

  it("to a node never seen waits for one refresh, for its connection and its scripts", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const before = client.metrics().counters.topologyRefreshes;
    const fresh = cluster.node(2);
    cluster.announced = 3;
    cluster.node(0).expect("EVALSHA", ask(0, fresh), 50);
    const calls = Array.from({ length: 50 }, () => client.run(setScript, [keyForSlot(0)], ["v"]));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(["OK"]));
    assert.equal(client.metrics().counters.topologyRefreshes - before, 1);
    assert.equal(fresh.count("ASKING"), 50);
    assert.equal(fresh.count("SCRIPT LOAD"), 1);
  });

  it("NOSCRIPT on both sides of an ASK is mended on both", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", noScript);
    cluster.node(0).expect("EVALSHA", ask(0, cluster.node(1)));
    cluster.node(1).expect("EVALSHA", noScript);
    assert.equal(await client.run(setScript, [keyForSlot(0)], ["a"]), "OK");
  });
});
