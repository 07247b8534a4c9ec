import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk, error, type FakeNode } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const KEY = keyForSlot(0);
const WORDS = [
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  "LOADING Redis is loading the dataset in memory",
  "CLUSTERDOWN The cluster is down",
  "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
];

describe("a replica that cannot serve reads", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  let primary: FakeNode;
  let replica: FakeNode;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    cluster.ranges = [[0, 16_383, 0]];
    cluster.primaryOf.set(1, 0);
    [primary, replica] = cluster.nodes as [FakeNode, FakeNode];
    primary.always("GET", () => bulk("of the primary"));
    replica.always("GET", () => bulk("of the replica"));
    client = await cluster.connect({ readFrom: "replica", commandTimeout: 30_000 });
    assert.equal(await client.command("GET", KEY), "of the replica");
  });
  afterEach(() => cluster.stop());

  const refreshes = () => client.metrics().counters.topologyRefreshes;

  for (const words of WORDS) {
    it(`(${words.split(" ")[0]}) is passed over for a second, then tried by one read, while reads go on`, async () => {
      replica.always("GET", () => error(words));
      const [asked, refreshed] = [replica.count("GET"), refreshes()];
      const start = performance.now();
      let reads = 0;
      for (; performance.now() - start < 2500; reads++) {
        assert.equal(await client.command("GET", KEY), "of the primary");
        await sleep(1);
      }
      const seconds = (performance.now() - start) / 1000;
      const tries = replica.count("GET") - asked;
      assert.equal(tries <= 1 + seconds, true, `${tries} tries in ${seconds} s, of ${reads} reads`);
      assert.equal(tries >= 2, true, `${tries} tries in ${seconds} s, of ${reads} reads`);
      const queries = refreshes() - refreshed;
      assert.equal(queries <= 2 + 2 * seconds, true, `${queries} queries in ${seconds} s`);
    });
  }

  it("serves reads again when a read that tries it is served", async () => {
    replica.always("GET", () => error(WORDS[0] as string));
    assert.equal(await client.command("GET", KEY), "of the primary");
    replica.always("GET", () => bulk("of the replica"));
    assert.equal(await client.command("GET", KEY), "of the primary");
    const start = performance.now();
    while ((await client.command("GET", KEY)) !== "of the replica") {
      assert.equal(performance.now() - start < 20_000, true, "it is tried after a second");
      await sleep(5);
    }
    assert.equal(performance.now() - start > 500, true, "it rested");
    for (let read = 0; read < 20; read++) assert.equal(await client.command("GET", KEY), "of the replica");
  });

  it("is tried by one read at a time: further reads pass it over until that one is answered", async () => {
    replica.always("GET", () => error(WORDS[0] as string));
    assert.equal(await client.command("GET", KEY), "of the primary");
    await sleep(1100);
    const asked = replica.count("GET");
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.command("GET", KEY)));
    assert.deepEqual(new Set(answers), new Set(["of the primary"]));
    assert.equal(replica.count("GET") - asked, 1);
  });
});
