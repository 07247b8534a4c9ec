import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { epochMs } from "../support/epoch.ts";
import { atOnce, byMigrate, bySetSlot, movesInOneStep } from "../support/slot-moves.ts";
import {
  KEYSPACE_EVENTS,
  type Kind,
  SubscribedCluster,
  type SubscribedOptions,
  takesShardChannels,
} from "../support/subscribed-cluster.ts";

/*
 * One fault after another under 500 messages a second: one gap a channel that the fault hits and none elsewhere, every
 * missed message inside of it, nothing twice. How soon everything is live again is measured by npm run test:faults.
 */

/** Proofs are asked for each second: a fault is met in the regular state. */
const BEFORE_MS = 1200;
const AFTER_MS = 300;
/** No fault here may take longer, on a busy machine either. */
const LIVE_MS = 20_000;

describe("subscriptions, when", () => {
  let cluster: LocalCluster;
  let channels: SubscribedOptions["channels"];
  before(async () => {
    const args = [...KEYSPACE_EVENTS, "--cluster-require-full-coverage", "no"];
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args });
    channels = { channel: 10, pattern: 10, shard: (await takesShardChannels(cluster)) ? 30 : 0, keyspace: 10 };
  });
  after(() => cluster?.stop());

  const isPrimary: NonNullable<SubscribedOptions["home"]> = (address, { topology }) => {
    return topology.ranges.some(({ primary }) => primary.address === address);
  };

  interface Case {
    readonly options?: Partial<SubscribedOptions>;
    /** The kinds of which everything at the home node is hit. */
    readonly hits: readonly Kind[];
    /** Whether nothing can be published at the home node. */
    readonly isNodeDown?: boolean;
    cause(subscribed: SubscribedCluster): Promise<unknown>;
  }

  async function holds({ options = {}, hits, isNodeDown = false, cause }: Case): Promise<void> {
    const subscribed = await SubscribedCluster.start(cluster, { channels, home: isPrimary, ...options });
    try {
      const { home } = subscribed;
      const own = new Set(hits.includes("shard") ? subscribed.shardsOf(home) : []);
      const hit = hits.filter((kind) => kind !== "shard" || own.size > 0);
      subscribed.publish(500, { at: isNodeDown ? cluster.nodes.filter((address) => address !== home) : cluster.nodes });
      await sleep(BEFORE_MS);
      const around = epochMs();
      await cause(subscribed);
      assert.equal(await subscribed.liveAgain(around, hit, LIVE_MS), true, "live again");
      await sleep(AFTER_MS);
      const judged = await subscribed.judge((kind) => ({
        around,
        gaps: kind === "shard" ? (topic) => Number(own.has(topic)) : Number(hits.includes(kind)),
      }));
      assert.deepEqual(judged.faults, []);
      assert.equal(judged.of.shard.again + judged.of.keyspace.again, 0, "nothing of a shard comes from two nodes");
      assert.equal(judged.heard > 200, true, `${judged.heard} messages`);
    } finally {
      await subscribed.stop();
    }
  }

  const all: readonly Kind[] = ["channel", "pattern", "shard", "keyspace"];

  it("the server closes their connections (CLIENT KILL)", () =>
    holds({ hits: all, cause: ({ home }) => cluster.command(home, "CLIENT", "KILL", "TYPE", "pubsub") }));

  it("their connections are half-open: nothing arrives, and nobody says so", () =>
    holds({ hits: all, options: { proxied: true }, cause: async ({ proxies, home }) => proxies.get(home)?.swallow() }));

  it("their node leaves the cluster", async () => {
    const empty = await cluster.addNode();
    try {
      await holds({
        options: { home: (address) => address === empty },
        hits: ["channel", "pattern"],
        isNodeDown: true,
        cause: async () => {
          const id = String(await cluster.command(empty, "CLUSTER", "MYID"));
          for (const address of cluster.nodes) {
            if (address !== empty) await cluster.command(address, "CLUSTER", "FORGET", id);
          }
          await cluster.command(empty, "CLUSTER", "RESET");
        },
      });
    } finally {
      await cluster.kill(empty);
    }
  });

  it("the slot of a shard channel moves, there and back: it follows, and nothing else has a gap", async (test) => {
    if (channels.shard === 0) return test.skip("this server has no shard channels");
    const ways = [byMigrate, bySetSlot, (await movesInOneStep(cluster)) ? atOnce : byMigrate, bySetSlot];
    const subscribed = await SubscribedCluster.start(cluster, { channels });
    try {
      const { client, hearers } = subscribed;
      const [owner, other] = client.topology.nodes.filter(({ address }) => isPrimary(address, client));
      const [from, to] = [owner?.address as string, other?.address as string];
      const [channel] = subscribed.shardsOf(from) as [string];
      subscribed.publish(500);
      await sleep(BEFORE_MS);
      for (const [index, way] of ways.entries()) {
        const begun = epochMs();
        const [source, target] = index % 2 === 0 ? [from, to] : [to, from];
        await way.move(cluster, slotOf(channel), source, target);
        const isThere = () => {
          return client.topology.primaryOf(slotOf(channel))?.address === target && hearers.shard.openGaps === 0;
        };
        const deadline = begun + LIVE_MS;
        while (!isThere() || hearers.shard.liveAgainAt([channel]) < begun) {
          assert.equal(epochMs() < deadline, true, `live again after ${way.name}`);
          await sleep(10);
        }
        await sleep(AFTER_MS);
      }
      const judged = await subscribed.judge(() => ({ gaps: (topic) => (topic === channel ? ways.length : 0) }));
      assert.deepEqual(judged.faults, []);
      assert.equal(judged.again, 0);
      assert.deepEqual(new Set(judged.gaps.map(({ reason }) => reason)), new Set(["slot-moved"]));
    } finally {
      await subscribed.stop();
    }
  });

  it("a replica is promoted: at most one gap a channel of its shard, and none of others", async () => {
    const subscribed = await SubscribedCluster.start(cluster, { channels, home: isPrimary });
    try {
      const { client, home } = subscribed;
      const own = new Set(subscribed.shardsOf(home));
      const range = client.topology.ranges.find(({ primary }) => primary.address === home);
      subscribed.publish(500);
      await sleep(BEFORE_MS);
      await cluster.failover(client.topology.replicasOf(range?.start as number)[0]?.address as string);
      await sleep(2500);
      const judged = await subscribed.judge((kind) => {
        if (kind === "shard") return { gaps: (topic) => (own.has(topic) ? [0, 1] : 0) };
        return { gaps: kind === "keyspace" ? 1 : 0 };
      });
      assert.deepEqual(judged.faults, []);
      // SPUBLISH reaches the promoted node by another way than the promotion, and may come later.
      assert.equal(judged.of.keyspace.again, 0);
    } finally {
      await subscribed.stop();
    }
  });

  it("their node answers nobody for a while (SIGSTOP), too short for a promotion", () =>
    holds({
      hits: all,
      isNodeDown: true,
      cause: async ({ home }) => {
        for (const address of cluster.nodes) {
          await cluster.command(address, "CONFIG", "SET", "cluster-node-timeout", 30_000);
        }
        cluster.pause(home);
        await sleep(3000);
        cluster.resume(home);
      },
    }));

  it("their node is killed", () =>
    holds({
      hits: all,
      isNodeDown: true,
      cause: async ({ home }) => {
        for (const address of cluster.nodes) {
          await cluster.command(address, "CONFIG", "SET", "cluster-node-timeout", 1000);
        }
        await cluster.kill(home);
      },
    }));
});
