import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { idempotentScript, incrScript, setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

describe("a node that is silent", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(3);
  });
  afterEach(() => cluster.stop());

  it("does not keep the others from being asked which scripts they lost, however often that happens", async () => {
    const scripts = [setScript, incrScript, idempotentScript];
    const client = await cluster.connect({ scripts });
    const [used, silent, unused] = [cluster.node(0), cluster.node(1), cluster.node(2)];
    silent.always("SCRIPT EXISTS", () => "hang");
    for (let time = 0; time < 3; time++) {
      for (const node of [used, unused]) node.scripts.clear();
      await client.run(setScript, [keyForSlot(0)], [time]);
      using watch = new Stopwatch();
      while (unused.scripts.size < scripts.length || used.scripts.size < scripts.length) {
        assert.ok(watch.ms < 500, `flush ${time}: ${used.scripts.size} and ${unused.scripts.size} scripts are back`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  });
});
