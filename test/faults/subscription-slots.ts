import { connect, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { obtain, VERSIONS } from "../servers/versions.ts";
import { BareSubscriber } from "../support/bare-connection.ts";
import { epochMs } from "../support/epoch.ts";
import { atOnce, byGossip, byMigrate, bySetSlot, type SlotMove } from "../support/slot-moves.ts";
import { KEYSPACE_EVENTS, liveAfterMs, SubscribedCluster } from "../support/subscribed-cluster.ts";
import type { ToldGap } from "../support/subscription-history.ts";
import { atMost, type Fault, type Finding, finding, none } from "./fault.ts";
import { pause } from "./shards.ts";
import { figuresOf, heirOf } from "./subscriptions.ts";

const AFTER_WORD_MS = 100;
const AFTER_MOVE_MS = 1200;
/** How much of a gap may lie before its cause. */
const BEFORE_FAULT_MS = 3000;
const BETWEEN_MOVES_MS = 300;
const PATIENCE_MS = 5000;
const MOVES = 10;
const PER_SECOND = 500;

/** Servers that end subscriptions in ways of their own. */
const SERVERS = ["redis-7.0", "redis-8.6", "valkey-9.1"] as const;
type Server = (typeof SERVERS)[number];

async function withServer<T>(name: Server, replicas: number, use: (cluster: LocalCluster) => Promise<T>): Promise<T> {
  const version = VERSIONS.find((each) => each.name === name);
  if (version === undefined) throw new Error(`There is no server ${name}.`);
  // The usual server is Redis 7.0, unless the environment names another one.
  const server = name === "redis-7.0" ? undefined : (await obtain(version)).path;
  const cluster = await startCluster({ primaries: 3, replicasPerPrimary: replicas, server, args: KEYSPACE_EVENTS });
  try {
    return await use(cluster);
  } finally {
    await cluster.stop();
  }
}

/** What one move showed, in milliseconds. */
interface Moved {
  /** From the old owner's `sunsubscribe` to the subscription at the new owner; undefined where no such word came. */
  readonly liveAfterWord: number | undefined;
  /** From that word until the topology knew the new owner. */
  readonly knownAfterWord: number | undefined;
  /** From the end of the move to the subscription. */
  readonly liveAfterMove: number;
}

/** Moves the slot of a channel, and waits until the subscription to it is live again. */
async function moveOnce(subscribed: SubscribedCluster, channel: string, how: SlotMove, to: string): Promise<Moved> {
  const { cluster, client, hearers } = subscribed;
  const slot = slotOf(channel);
  const from = client.topology.primaryOf(slot)?.address as string;
  const word = await BareSubscriber.start(cluster, from, channel);
  const begun = epochMs();
  let known = Number.POSITIVE_INFINITY;
  const look = setInterval(() => {
    if (client.topology.primaryOf(slot)?.address === to) known = Math.min(known, epochMs());
  }, 2);
  await how.move(cluster, slot, from, to);
  const moved = epochMs();
  const isLive = () => hearers.shard.liveAgainAt([channel]) >= begun && hearers.shard.openGaps === 0;
  while (!isLive() && epochMs() < moved + PATIENCE_MS) await pause(5);
  const live = isLive() ? hearers.shard.liveAgainAt([channel]) : Number.POSITIVE_INFINITY;
  await pause(BETWEEN_MOVES_MS);
  clearInterval(look);
  word.stop();
  const [said] = word.ended;
  return {
    liveAfterWord: said === undefined ? undefined : Math.max(0, live - said),
    knownAfterWord: said === undefined ? undefined : Math.max(0, known - said),
    liveAfterMove: Math.max(0, live - moved),
  };
}

/** A client with a shard channel, its slot's owner, and another node. */
async function withMovingSlot(
  server: Server,
  body: (
    subscribed: SubscribedCluster,
    channel: string,
    nodes: readonly [owner: string, other: string],
  ) => Promise<Finding>,
): Promise<Finding> {
  return withServer(server, 0, async (cluster) => {
    const subscribed = await SubscribedCluster.start(cluster, { channels: { channel: 1, shard: 2 } });
    try {
      const [owner, channel] = cluster.nodes
        .map((address) => [address, subscribed.shardsOf(address)[0]] as const)
        .find(([, name]) => name !== undefined) as [string, string];
      const other = cluster.nodes.find((address) => address !== owner) as string;
      subscribed.publish(PER_SECOND * 3);
      await pause(2500);
      return await body(subscribed, channel, [owner, other]);
    } finally {
      await subscribed.stop();
    }
  });
}

const nameOf = (how: SlotMove) => how.name.toLowerCase().replaceAll(" ", "-");

const moved = (server: Server, how: SlotMove): Fault => ({
  name: `subs-moved-${nameOf(how)}@${server}`,
  must: `a sharded channel's slot moves back and forth ${MOVES} times by ${how.name} under ${PER_SECOND} messages/s, ${server}: live at most ${AFTER_WORD_MS} ms after the old owner's sunsubscribe, ${AFTER_MOVE_MS} ms after the move without one; the topology knows ${AFTER_WORD_MS} ms after that word; ${MOVES} gaps, missed numbers inside, nothing twice`,
  cause: () =>
    withMovingSlot(server, async (subscribed, channel, [owner, other]) => {
      const moves: Moved[] = [];
      while (moves.length < MOVES) {
        moves.push(await moveOnce(subscribed, channel, how, moves.length % 2 === 0 ? other : owner));
      }
      const judged = await subscribed.judge(() => ({ gaps: (topic) => (topic === channel ? MOVES : 0) }));
      const most = (figure: (move: Moved) => number | undefined) => {
        return Math.max(0, ...moves.map((move) => figure(move) ?? 0));
      };
      const words = moves.filter(({ liveAfterWord }) => liveAfterWord !== undefined).length;
      const afterWord = most(({ liveAfterWord }) => liveAfterWord);
      const known = most(({ knownAfterWord }) => knownAfterWord);
      const afterMove = most((move) => (move.liveAfterWord === undefined ? move.liveAfterMove : 0));
      return finding({
        sunsubscribes: [words, true],
        "live after it": atMost(afterWord, AFTER_WORD_MS),
        "topology after it": atMost(known, AFTER_WORD_MS),
        "live after a move without it": atMost(afterMove, AFTER_MOVE_MS),
        "longest gap": atMost(longestGapMs(judged.gaps), BEFORE_FAULT_MS + AFTER_MOVE_MS),
        ...figuresOf(judged),
        again: none(judged.again),
      });
    }),
});

const movedFast = (server: Server, how: SlotMove): Fault => ({
  name: `subs-moved-fast@${server}`,
  must: `the same by ${how.name}, one move after the other without a pause, ${server}: 1 to ${MOVES} gaps, missed numbers inside, nothing twice`,
  cause: () =>
    withMovingSlot(server, async (subscribed, channel, nodes) => {
      const { cluster } = subscribed;
      for (let made = 0; made < MOVES; made++) {
        const [from, to] = made % 2 === 0 ? nodes : nodes.toReversed();
        await how.move(cluster, slotOf(channel), from as string, to as string);
      }
      const at = epochMs();
      const isLive = await subscribed.liveAgain(at - PATIENCE_MS, ["shard"]);
      const after = Math.max(0, subscribed.hearers.shard.liveAgainAt() - at);
      await pause(PATIENCE_MS);
      const judged = await subscribed.judge(() => ({ gaps: (topic) => (topic === channel ? [1, MOVES] : 0) }));
      return finding({
        "live after the last move": isLive ? atMost(after, AFTER_MOVE_MS) : ["never", false],
        ...figuresOf(judged),
        again: none(judged.again),
      });
    }),
});

function longestGapMs(gaps: readonly ToldGap[]): number {
  return Math.max(0, ...gaps.map(({ from, to }) => to - from));
}

const failover = (server: Server): Fault => ({
  name: `subs-failover@${server}`,
  must: `CLUSTER FAILOVER of the shard of the subscribed node, ${server}: at most one gap of at most 1.2 s after the promotion for each shard channel there, none on other shards, none of channels and patterns; missed numbers inside, no event twice`,
  cause: () =>
    withServer(server, 1, async (cluster) => {
      const channels = { channel: 20, pattern: 20, shard: 60, keyspace: 30 };
      const subscribed = await SubscribedCluster.start(cluster, {
        channels,
        home: (address, { topology }) => topology.ranges.some(({ primary }) => primary.address === address),
      });
      try {
        const { client, home } = subscribed;
        const own = new Set(subscribed.shardsOf(home));
        const heir = heirOf(client, home);
        subscribed.publish(1000, { publishers: 5 });
        await pause(2500);
        const at = epochMs();
        await cluster.failover(heir);
        const promotedMs = epochMs() - at;
        await pause(4000);
        const judged = await subscribed.judge((kind) => ({
          gaps: kind === "shard" ? (topic) => (own.has(topic) ? [0, 1] : 0) : kind === "keyspace" ? 1 : 0,
        }));
        const counts = [...own].map((name) => judged.of.shard.gaps.filter(({ topic }) => topic === name).length);
        return finding({
          "promoted after": [`${Math.round(promotedMs)} ms`, true],
          "shard live": atMost(liveAfterMs(at, judged.of.shard.gaps) - promotedMs, AFTER_MOVE_MS),
          "keyspace live": atMost(liveAfterMs(at, judged.of.keyspace.gaps) - promotedMs, AFTER_MOVE_MS),
          "gaps a channel there": [`${Math.min(...counts)} to ${Math.max(...counts)}`, Math.max(...counts) <= 1],
          ...figuresOf(judged),
          // SPUBLISH reaches the replica by another way than the promotion, and may come later: from two nodes, then.
          "keyspace events again": none(judged.of.keyspace.again),
        });
      } finally {
        await subscribed.stop();
      }
    }),
});

const clusterDown: Fault = {
  name: "subs-clusterdown",
  must: "SSUBSCRIBE while the cluster is down (a slot without owner): waits, and is confirmed at most 250 ms after the cluster is up again; with a deadline, it is rejected with the server's words",
  cause: () =>
    withServer("redis-7.0", 0, async (cluster) => {
      const client = await connect({ ...cluster.connectOptions, commandTimeout: 10_000 });
      const hasty = await connect({ ...cluster.connectOptions, commandTimeout: 500 });
      try {
        const owner = client.topology.primaryOf(0)?.address as string;
        for (const address of cluster.nodes) {
          await cluster.command(address, "CONFIG", "SET", "cluster-allow-pubsubshard-when-down", "no");
          await cluster.command(address, "CLUSTER", "DELSLOTS", 0);
        }
        const isDown = async () =>
          String(await cluster.command(owner, "CLUSTER", "INFO")).includes("cluster_state:fail");
        while (!(await isDown())) await pause(10);
        const refused = await hasty
          .ssubscribe("down", () => {})
          .then(
            () => "confirmed",
            (error: Error) => error.message,
          );
        let confirmedAt = 0;
        const confirmed = client
          .ssubscribe("down", () => {})
          .then(() => {
            confirmedAt = epochMs();
          });
        await pause(500);
        const early = confirmedAt;
        await cluster.command(owner, "CLUSTER", "ADDSLOTS", 0);
        while (await isDown()) await pause(5);
        const slotOwner = client.topology.primaryOf(slotOf("down"))?.address as string;
        while (String(await cluster.command(slotOwner, "CLUSTER", "INFO")).includes("cluster_state:fail"))
          await pause(5);
        const up = epochMs();
        await confirmed;
        return finding({
          "while it is down": none(early),
          "confirmed after": atMost(Math.max(0, confirmedAt - up), 250),
          "with a deadline": [refused.slice(0, 80), refused.includes("CLUSTERDOWN")],
        });
      } finally {
        client.destroy();
        hasty.destroy();
      }
    }),
};

export const subscriptionSlots: readonly Fault[] = [
  ...SERVERS.flatMap((server) => [
    ...[byMigrate, bySetSlot, byGossip, ...(server === "redis-7.0" ? [] : [atOnce])].map((how) => moved(server, how)),
    movedFast(server, bySetSlot),
    failover(server),
  ]),
  clusterDown,
];
