import { connect } from "../../src/cluster.ts";
import { slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { obtain, VERSIONS } from "../servers/versions.ts";
import { BareSubscriber } from "../support/bare-connection.ts";
import { epochMs } from "../support/epoch.ts";
import { atOnce, byGossip, byMigrate, bySetSlot, movesInOneStep, type SlotMove } from "../support/slot-moves.ts";
import { KEYSPACE_EVENTS, liveAfterMs, SubscribedCluster } from "../support/subscribed-cluster.ts";
import { atMost, type Fault, finding, none } from "./fault.ts";
import { pause } from "./shards.ts";
import { figuresOf, heirOf } from "./subscriptions.ts";

const AFTER_WORD_MS = 100;
const AFTER_MOVE_MS = 1200;
const MOVES = 10;
const PER_SECOND = 500;

/** Servers that end subscriptions in ways of their own. */
const SERVERS = ["redis-7.0", "redis-8.6", "valkey-9.1"] as const;

async function withServer<T>(name: string, replicas: number, use: (cluster: LocalCluster) => Promise<T>): Promise<T> {
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
  readonly afterWord: number | undefined;
  /** From the moment at which the new owner takes the subscription. */
  readonly afterMove: number;
  /** From the word until the topology knew. */
  readonly known: number | undefined;
}

const slotMoves = (server: (typeof SERVERS)[number], how: SlotMove, spacingMs: number): Fault => {
  const isFast = spacingMs === 0;
  const name = how.name.toLowerCase().replaceAll(" ", "-");
  return {
    name: `subs-moved-${name}${isFast ? "-fast" : ""}@${server}`,
    must: `a sharded channel's slot moves back and forth ${MOVES} times by ${how.name}${isFast ? " without a pause" : ""}, ${PER_SECOND} messages/s, ${server}: live at most ${AFTER_WORD_MS} ms after the sunsubscribe, ${AFTER_MOVE_MS} ms after the move without one; the topology knows ${AFTER_WORD_MS} ms after it; ${isFast ? "1 to" : ""} ${MOVES} gaps, missed numbers inside, nothing twice`,
    cause: () =>
      withServer(server, 0, async (cluster) => {
        if (how === atOnce && !(await movesInOneStep(cluster)))
          throw new Error(`${server} does not move slots in one step`);
        const channels = { channel: 1, shard: 2, keyspace: 0 };
        const subscribed = await SubscribedCluster.start(cluster, { channels });
        const moves: Moved[] = [];
        try {
          const { client, hearers } = subscribed;
          const { topology } = client;
          const channel = topology.nodes.flatMap(({ address }) => subscribed.shardsOf(address))[0] as string;
          const slot = slotOf(channel);
          let from = topology.primaryOf(slot)?.address as string;
          let to = cluster.nodes.find((address) => address !== from) as string;
          subscribed.publish(PER_SECOND * 3);
          await pause(2500);
          for (let made = 0; made < MOVES; made++, [from, to] = [to, from]) {
            const word = await BareSubscriber.start(cluster, from, channel);
            const begun = epochMs();
            let known = Number.POSITIVE_INFINITY;
            const off = client.on("topology", () => {
              if (client.topology.primaryOf(slot)?.address === to) known = Math.min(known, epochMs());
            });
            await how.move(cluster, slot, from, to);
            const moved = epochMs();
            if (isFast) await pause(0);
            else {
              const patience = moved + 5000;
              while (
                (hearers.shard.liveAgainAt([channel]) < begun || hearers.shard.openGaps > 0) &&
                epochMs() < patience
              )
                await pause(5);
              await pause(spacingMs);
              const live = hearers.shard.liveAgainAt([channel]);
              const [said] = word.ended;
              moves.push({
                afterWord: said === undefined ? undefined : Math.max(0, live - said),
                afterMove: live < begun ? Number.POSITIVE_INFINITY : Math.max(0, live - moved),
                known: said === undefined ? undefined : Math.max(0, known - said),
              });
            }
            off();
            word.stop();
          }
          await pause(3000);
          const judged = await subscribed.judge((kind) => ({
            gaps: (topic) => (kind !== "shard" || topic !== channel ? 0 : isFast ? -1 : MOVES),
          }));
          const count = judged.of.shard.gaps.length;
          // Without pauses, moves may share a gap: the number is judged here.
          const faults = isFast
            ? judged.faults.filter((fault) => !fault.includes(`gaps of ${channel} in place`))
            : judged.faults;
          const most = (figure: (move: Moved) => number | undefined) =>
            Math.max(0, ...moves.map((move) => figure(move) ?? 0));
          const lasted = judged.gaps.map((gap) => gap.to - gap.from);
          return finding({
            ...(!isFast && {
              sunsubscribes: [moves.filter(({ afterWord }) => afterWord !== undefined).length, true],
              "live after it": atMost(
                most(({ afterWord }) => afterWord),
                AFTER_WORD_MS,
              ),
              "topology after it": atMost(
                most(({ known }) => known),
                AFTER_WORD_MS,
              ),
              "live after the move": atMost(
                most(({ afterMove }) => afterMove),
                AFTER_MOVE_MS,
              ),
            }),
            "longest gap": atMost(Math.max(0, ...lasted), 4200),
            ...figuresOf({ ...judged, faults }),
            gaps: [count, count >= 1 && count <= MOVES],
            again: none(judged.again),
          });
        } finally {
          await subscribed.stop();
        }
      }),
  };
};

const failover = (server: (typeof SERVERS)[number]): Fault => ({
  name: `subs-failover@${server}`,
  must: `CLUSTER FAILOVER of the shard of the subscribed node, ${server}: at most one gap of at most 1.2 s after the promotion for each shard channel there, none on other shards, none of channels and patterns; missed numbers inside, nothing twice`,
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
          gaps: kind === "shard" ? (topic) => (own.has(topic) ? -1 : 0) : kind === "keyspace" ? 1 : 0,
        }));
        const counts = [...own].map((name) => judged.of.shard.gaps.filter(({ topic }) => topic === name).length);
        const faults = judged.faults.filter(
          (fault) => ![...own].some((name) => fault.includes(`gaps of ${name} in place`)),
        );
        return finding({
          "promoted after": [`${Math.round(promotedMs)} ms`, true],
          "shard live": atMost(liveAfterMs(at, judged.of.shard.gaps) - promotedMs, AFTER_MOVE_MS),
          "keyspace live": atMost(liveAfterMs(at, judged.of.keyspace.gaps) - promotedMs, AFTER_MOVE_MS),
          "gaps a channel there": [`${Math.min(...counts)} to ${Math.max(...counts)}`, Math.max(...counts) <= 1],
          ...figuresOf({ ...judged, faults }),
          again: none(judged.again),
        });
      } finally {
        await subscribed.stop();
      }
    }),
});

/** Publishing as an own client would: it cannot go while nobody owns the slot, and the subscription cannot either. */
const clusterDown: Fault = {
  name: "subs-clusterdown",
  must: "SSUBSCRIBE while the cluster is down (a slot without owner): waits, and is confirmed at most 250 ms after the cluster is up again; with a deadline, it is rejected with the server's words",
  cause: () =>
    withServer("redis-7.0", 0, async (cluster) => {
      const client = await connect({ ...cluster.connectOptions, commandTimeout: 10_000 });
      const hasty = await connect({ ...cluster.connectOptions, commandTimeout: 500 });
      try {
        const owner = client.topology.primaryOf(0)?.address as string;
        for (const address of cluster.nodes) await cluster.command(address, "CLUSTER", "DELSLOTS", 0);
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
    ...[byMigrate, bySetSlot, byGossip].map((how) => slotMoves(server, how, 300)),
    slotMoves(server, bySetSlot, 0),
    ...(server === "redis-7.0" ? [] : [slotMoves(server, atOnce, 300)]),
    failover(server),
  ]),
  clusterDown,
];
