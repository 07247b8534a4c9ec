import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Message, ReplyError, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { KEYSPACE_EVENTS, SubscribedCluster, takesShardChannels } from "../support/subscribed-cluster.ts";

describe("subscriptions", () => {
  let cluster: LocalCluster;
  let hasShards: boolean;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args: KEYSPACE_EVENTS });
    hasShards = await takesShardChannels(cluster);
  });
  after(() => cluster?.stop());

  it("hear every message of 1,000 channels of all kinds once, in order, from 10 publishers: no gaps", async () => {
    const channels = { channel: 400, pattern: 300, shard: hasShards ? 200 : 0, keyspace: 100 };
    const subscribed = await SubscribedCluster.start(cluster, { channels });
    try {
      subscribed.publish(3000, { publishers: 10 });
      await sleep(2500);
      const judged = await subscribed.judge(() => ({ gaps: 0 }));
      assert.deepEqual(judged.faults, []);
      assert.deepEqual([judged.heard, judged.missed, judged.again], [judged.acknowledged, 0, 0]);
      for (const kind of ["channel", "pattern", "keyspace"] as const) {
        assert.equal(judged.of[kind].heard > 100, true, `${kind}: ${judged.of[kind].heard} messages`);
      }
      assert.equal(judged.of.shard.heard > 100, hasShards, `${judged.of.shard.heard} messages of shard channels`);
    } finally {
      await subscribed.stop();
    }
  });

  it("are rejected with the server's words where a channel is not allowed, and others go on", async (test) => {
    const rights = ["on", ">pw", "~*", "+@all", "resetchannels", "&open*"];
    for (const address of cluster.nodes) {
      const made = await cluster.command(address, "ACL", "SETUSER", "reader", ...rights).catch(() => undefined);
      if (made === undefined) return test.skip("this server has no rights to channels");
    }
    const client = await connect({ ...cluster.connectOptions, username: "reader", password: "pw" });
    const heard: string[] = [];
    const hear = ({ channel, payload }: Message) => heard.push(`${channel} ${payload}`);
    const isNoperm = (error: unknown) => error instanceof ReplyError && /^NOPERM /.test(error.message);
    try {
      await client.subscribe("open:1", hear);
      await assert.rejects(client.subscribe("secret", hear), isNoperm);
      await assert.rejects(client.subscribe(["open:2", "secret", "open:3"], hear), isNoperm);
      await assert.rejects(client.psubscribe("*", hear), isNoperm);
      if (hasShards) {
        await client.ssubscribe("open:4", hear);
        await assert.rejects(client.ssubscribe(["{open:4}:secret", "secret"], hear), isNoperm);
        await client.command("SPUBLISH", "open:4", "shard");
      }
      for (const channel of ["open:1", "open:2"]) await client.command("PUBLISH", channel, "all");
      const all = ["open:1 all", ...(hasShards ? ["open:4 shard"] : [])];
      await until(() => heard.length >= all.length);
      await sleep(100);
      assert.deepEqual(heard.sort(), all, "and nothing of a subscription that was rejected");
    } finally {
      client.destroy();
    }
  });

  it("to a shard channel wait while the cluster is down, or are rejected with the server's words at their deadline", async (test) => {
    if (!hasShards) return test.skip("this server has no SSUBSCRIBE");
    const patient = await connect({ ...cluster.connectOptions, commandTimeout: 20_000 });
    const hasty = await connect({ ...cluster.connectOptions, commandTimeout: 300 });
    try {
      const [lost, kept] = [0, 16_383].map((slot) => patient.topology.primaryOf(slot)?.address as string);
      const channel = ["a", "b", "c", "d", "e", "f", "g"].find((name) => {
        return patient.topology.primaryOf(slotOf(name))?.address === kept;
      }) as string;
      for (const address of cluster.nodes) {
        await cluster.command(address, "CONFIG", "SET", "cluster-allow-pubsubshard-when-down", "no");
        // A slot without owner is not gossiped: each node is told.
        await cluster.command(address, "CLUSTER", "DELSLOTS", 0).catch(() => {});
      }
      const state = async () => String(await cluster.command(kept as string, "CLUSTER", "INFO"));
      await until(async () => (await state()).includes("cluster_state:fail"));
      await assert.rejects(
        hasty.ssubscribe(channel, () => {}),
        /CLUSTERDOWN/,
      );
      let isConfirmed = false;
      const subscribing = patient
        .ssubscribe(channel, () => {})
        .then(() => {
          isConfirmed = true;
        });
      await sleep(300);
      assert.equal(isConfirmed, false, "it waits");
      await cluster.command(lost as string, "CLUSTER", "ADDSLOTS", 0);
      await subscribing;
      assert.match(await state(), /cluster_state:ok/);
    } finally {
      patient.destroy();
      hasty.destroy();
    }
  });

  it("to a shard channel are refused with a clear error by servers before 7.0", async (test) => {
    if (hasShards) return test.skip("this server has SSUBSCRIBE");
    const client = await connect(cluster.connectOptions);
    try {
      await assert.rejects(
        client.ssubscribe("c", () => {}),
        /sharded channels need Redis 7\.0/,
      );
      await client.subscribe("c", () => {});
    } finally {
      client.destroy();
    }
  });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, String(holds));
    await sleep(10);
  }
}
