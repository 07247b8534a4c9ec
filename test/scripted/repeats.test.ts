import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FakeCluster } from "../support/fake-cluster.ts";
import { ok } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const key = keyForSlot(0);

describe("reads that were lost and wait to be repeated", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(3);
  });
  afterEach(() => cluster.stop());

  it("follow their slot, while the one in front of them waits for the old node", async () => {
    const client = await cluster.connect({ commandTimeout: 5000 });
    const old = cluster.node(0);
    old.expect("GET", "disconnect");
    old.always("GET", () => "hang");
    const reads = [1, 2, 3].map(() => client.command("GET", key));
    while (old.count("GET") < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    // The node answers nobody, so its connections are not given up.
    for (const command of ["PING", "CLIENT LIST", "CLUSTER SHARDS"]) old.always(command, () => "hang");
    cluster.node(1).always("GET", () => ok);
    cluster.ranges = [
      [0, 10_000, 1],
      [10_001, 16_383, 2],
    ];
    await client.refreshTopology();
    const ends = await Promise.all(reads.map((read) => read.catch(({ code }) => code)));
    assert.deepEqual(ends, ["DEADLINE", "OK", "OK"]);
  });
});
