import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, type Gap, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";

describe("subscriptions whose connection is refused, though the node serves", () => {
  let cluster: LocalCluster;
  let client: Cluster;

  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect(cluster.connectOptions);
  });
  after(async () => {
    client.destroy();
    await cluster.stop();
  });

  it("go on at the owner of the slot, where all other connections were open all the time (maxclients)", async () => {
    const gaps: Gap[] = [];
    let heard = 0;
    const channel = "refused";
    const owner = client.topology.primaryOf(slotOf(channel))?.address ?? "";
    const replica = client.topology.replicasOf(slotOf(channel))[0]?.address ?? "";
    const admin = await connect({ nodes: [owner], mode: "single" });
    const heir = await connect({ nodes: [replica], mode: "single" });
    try {
      await client.ssubscribe(channel, () => heard++, { onGap: (gap) => gaps.push(gap) });
      // A connection that is killed makes room for none.
      await admin.command("CONFIG", "SET", "maxclients", 1);
      await admin.command("CLIENT", "KILL", "TYPE", "pubsub");
      await eventually(async () => {
        assert.deepEqual(await heir.command("PUBSUB", "SHARDNUMSUB", channel), [channel, 1]);
      }, 20_000);
      assert.deepEqual(
        gaps.map(({ to }) => to),
        [null],
      );
      await admin.command("CONFIG", "SET", "maxclients", 10_000);
      await eventually(() => assert.equal(gaps.length, 2, "the gap ends"), 10_000);
      await client.command("SPUBLISH", channel, "m");
      await eventually(() => assert.equal(heard, 1));
    } finally {
      admin.destroy();
      heir.destroy();
    }
  });
});
