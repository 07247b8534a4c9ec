import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { generate } from "selfsigned";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const WRONG = error("WRONGPASS invalid username-password pair or user is disabled.");
const key = keyForSlot(0);
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("logging in", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(3, 1);
  });
  afterEach(() => cluster.stop());

  it("that is refused from some day on is tried now and then; calls hear of it at once, and new credentials heal it", async () => {
    let password = "old";
    const credentials = async () => ({ username: "app", password });
    const seeds = cluster.nodes.slice(0, 3).map(({ address }) => address);
    const client = await cluster.connect({ nodes: seeds, credentials, scripts: [setScript] });
    for (const node of cluster.nodes) {
      node.always("AUTH", ([, , given]) => (given === "new" ? "+OK\r\n" : WRONG));
      node.received.length = 0;
      node.dropConnections();
    }
    await sleep(200);
    using watch = new Stopwatch();
    await assert.rejects(client.run(setScript, [key], [1]), { code: "AUTH", outcome: "not-executed" });
    assert.ok(watch.ms < 50);
    await sleep(2300);
    for (const node of cluster.nodes.slice(0, 3)) {
      const tries = node.count("AUTH");
      assert.ok(tries >= 1 && tries <= 5, `${tries} tries in 2.5 s`);
    }
    password = "new";
    await client.reauthenticate();
    await sleep(100);
    assert.equal(await client.run(setScript, [key], [1]), "OK");
  });

  it("that a seed refused is not tried again there with every question for the topology", async () => {
    const seed = cluster.node(3);
    const client = await cluster.connect({ nodes: [seed.address], password: "old" });
    for (const node of cluster.nodes) node.always("AUTH", () => WRONG);
    for (const node of cluster.nodes) node.dropConnections();
    seed.received.length = 0;
    const start = performance.now();
    for (let time = 0; time < 10; time++) await assert.rejects(client.refreshTopology());
    // It is left alone for two seconds, which only a slow machine comes to.
    const most = 1 + Math.floor((performance.now() - start) / 2000);
    assert.ok(seed.count("AUTH") >= 1 && seed.count("AUTH") <= most, `${seed.count("AUTH")} tries`);
  });

  for (const kind of ["MOVED", "ASK"] as const) {
    it(`${kind} to an address outside the cluster gets no connection, and so no password`, async () => {
      const client = await cluster.connect({ password: "p", scripts: [setScript], commandTimeout: 400 });
      const outside = cluster.node(3);
      cluster.node(0).always("EVALSHA", () => error(`${kind} 0 ${outside.address}`));
      const failed = client.run(setScript, [key], [1]);
      await assert.rejects(failed, ({ code }) => code === "DEADLINE" || code === "REDIRECTIONS");
      await client.refreshTopology();
      assert.equal(outside.connections, 0);
      cluster.node(0).always("EVALSHA", () => "+OK\r\n");
      assert.equal(await client.run(setScript, [key], [1]), "OK");
    });
  }

  it("by rediss:// goes through TLS, and the password with it, to nobody whom the authority does not vouch for", async () => {
    const names = [{ name: "commonName", value: "node.example" }];
    const subject = {
      extensions: [{ name: "subjectAltName" as const, altNames: [{ type: 7 as const, ip: "127.0.0.1" }] }],
    };
    const [pems, strange] = await Promise.all([generate(names, subject), generate(names, subject)]);
    const secure = await FakeCluster.start(2, 0, { key: pems.private, cert: pems.cert });
    try {
      const nodes = [`rediss://app:p%40ss@${secure.node(0).address}`];
      await assert.rejects(secure.connect({ nodes, tls: { ca: strange.cert } }), { code: "UNAVAILABLE" });
      await assert.rejects(secure.connect({ nodes }), { code: "UNAVAILABLE" });
      assert.equal(secure.node(0).count("AUTH"), 0);
      const client = await secure.connect({ nodes, tls: { ca: pems.cert }, scripts: [setScript] });
      assert.equal(await client.run(setScript, [key], [1]), "OK");
      for (const node of secure.nodes) {
        assert.deepEqual(node.received.find(({ args }) => args[0] === "AUTH")?.args, ["AUTH", "app", "p@ss"]);
      }
    } finally {
      await secure.stop();
    }
  });
});
