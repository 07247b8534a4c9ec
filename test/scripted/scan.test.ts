import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, connect } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk, error, FakeNode } from "../support/fake-node.ts";

const nodes = (epoch: number, slots = "0-16383") =>
  bulk(`id0 127.0.0.1:7000@17000 myself,master - 0 0 ${epoch} connected ${slots}\n`);
const page = (cursor: string, ...keys: string[]) => array(bulk(cursor), array(...keys.map(bulk)));
const run = (id: string) => bulk(`# Server\r\nredis_version:7.0.15\r\nrun_id:${id}\r\n`);

describe("scan", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
    client = await cluster.connect();
    const node = cluster.node(0);
    node.received.length = 0;
    node.always("INFO", () => run("a"));
    node.always("CLUSTER NODES", () => nodes(1));
  });
  afterEach(() => cluster.stop());

  const asked = (node: FakeNode) =>
    node.received
      .map(({ args }) => args)
      .flatMap(([name, word]) =>
        name === "SCAN" ? [`SCAN ${word}`] : name === "INFO" ? ["INFO"] : word === "NODES" ? ["NODES"] : [],
      );
  const collect = async (from: Cluster = client) => {
    const keys: string[] = [];
    for await (const key of from.scan()) keys.push(key);
    return keys;
  };

  it("asks for what a node has at the beginning and at the end, and not with every step", async () => {
    for (const answer of [page("7", "a"), page("9", "b"), page("0", "c")]) cluster.node(0).expect("SCAN", answer);
    const start = performance.now();
    assert.deepEqual(await collect(), ["a", "b", "c"]);
    const all = asked(cluster.node(0));
    // Every 50 ms it asks again, which only a slow machine comes to.
    const inBetween = all.slice(2, -2).filter((what) => what === "NODES").length;
    assert.ok(inBetween <= (performance.now() - start) / 50, all.join());
    const steps = all.filter((what, index) => what !== "NODES" || index < 2 || index >= all.length - 2);
    assert.deepEqual(steps, ["INFO", "NODES", "SCAN 0", "SCAN 7", "SCAN 9", "NODES", "INFO"]);
  });

  it("does not scan a node's slots twice because it got others, only the steps within which it did", async () => {
    const node = cluster.node(0);
    for (const epoch of [1, 2, 2]) node.expect("CLUSTER NODES", nodes(epoch));
    node.always("CLUSTER NODES", () => nodes(2));
    for (const answer of [page("7", "a"), page("0", "b"), page("7", "a"), page("0", "b", "c")])
      node.expect("SCAN", answer);
    assert.deepEqual(await collect(), ["a", "a", "b", "c"]);
    const again = ["SCAN 0", "NODES", "SCAN 7", "NODES"];
    assert.deepEqual(asked(node), ["INFO", "NODES", "SCAN 0", "SCAN 7", "NODES", ...again, "INFO"]);
  });

  it("begins again on a process that took another's place: its cursors are others", async () => {
    const node = cluster.node(0);
    for (const id of ["a", "b"]) node.expect("INFO", run(id));
    node.always("INFO", () => run("b"));
    for (const answer of [page("0", "a"), page("0", "a", "b")]) node.expect("SCAN", answer);
    assert.deepEqual(await collect(), ["a", "a", "b"]);
  });

  it("is content with the topology where CLUSTER NODES and INFO are forbidden", async () => {
    const node = cluster.node(0);
    const forbidden = error("NOPERM this user has no permissions to run the command");
    node.always("CLUSTER NODES", () => forbidden);
    node.always("INFO", () => forbidden);
    node.expect("SCAN", page("0", "a"));
    assert.deepEqual(await collect(), ["a"]);
  });

  it("goes on when a connection is lost, and says so when a step has no answer in time", async () => {
    const node = cluster.node(0);
    node.expect("CLUSTER NODES", "disconnect");
    node.expect("SCAN", "disconnect");
    node.expect("SCAN", page("5", "a"));
    node.always("SCAN", () => "hang");
    await assert.rejects(collect(client.with({ timeout: 1000 })), { code: "DEADLINE" });
    assert.deepEqual(asked(node).slice(0, 4), ["INFO", "NODES", "NODES", "SCAN 0"]);
    const steps = asked(node).filter((what) => what.startsWith("SCAN"));
    assert.deepEqual(steps.slice(0, 3), ["SCAN 0", "SCAN 0", "SCAN 5"]);
  });

  it("sends its options behind the cursor", async () => {
    const node = cluster.node(0);
    node.expect("SCAN", page("0"));
    for await (const key of client.scan({ match: "a*", count: 7, type: "hash" })) assert.fail(key);
    const [sent] = node.received.filter(({ args: [name] }) => name === "SCAN");
    assert.deepEqual(sent?.args, ["SCAN", "0", "COUNT", "7", "MATCH", "a*", "TYPE", "hash"]);
  });

  it("of a single server without cluster mode asks nothing about slots", async () => {
    const node = await FakeNode.start();
    node.always("INFO", () => run("a"));
    for (const answer of [page("7", "a"), page("0", "b")]) node.expect("SCAN", answer);
    const single = await connect({ nodes: [node.address], topologyRefreshInterval: 0 });
    assert.deepEqual(await collect(single), ["a", "b"]);
    assert.equal(node.count("CLUSTER NODES"), 0);
    single.destroy();
    await node.stop();
    node.verify();
  });

  it("refuses what is no page of keys", async () => {
    for (const answer of [
      "+OK\r\n",
      array(bulk("0")),
      array(bulk("0"), bulk("a")),
      array(bulk("0"), array(":1\r\n")),
    ]) {
      cluster.node(0).expect("SCAN", answer);
      await assert.rejects(collect(), { code: "PROTOCOL" });
    }
  });
});
