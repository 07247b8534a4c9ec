import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { epochMs } from "../support/epoch.ts";
import {
  KEYSPACE_EVENTS,
  type Kind,
  liveAfterMs,
  SubscribedCluster,
  type SubscribedOptions,
} from "../support/subscribed-cluster.ts";
import type { Judgement } from "../support/subscription-history.ts";
import { atMost, type Fault, type Finding, finding, none } from "./fault.ts";
import { addUser, pause, promotion } from "./shards.ts";

/** Publishing goes on for so long before a fault: proofs are a second old at most. */
const BEFORE_MS = 2500;
const AFTER_MS = 1000;
/** How much of a gap may lie before its fault. */
const BEFORE_FAULT_MS = 3000;
const PER_SECOND = 1000;

const CHANNELS: SubscribedOptions["channels"] = { channel: 20, pattern: 20, shard: 60, keyspace: 30 };

/** How soon a subscription is live where another node, or another connection, serves it. */
const LIVE_AFTER_LOSS_MS = 250;
const LIVE_AFTER_SILENCE_MS = 2500;
const LIVE_AFTER_SILENCE_DENIED_MS = 4000;

/** What a fault did. */
interface Caused {
  /** When it began, in epoch milliseconds. */
  readonly at: number;
  /** When another node could serve the shard; where nothing has to be waited for, the same. */
  readonly servedAt: number;
}

interface SubscribedFault {
  readonly replicas?: number;
  readonly spare?: boolean;
  readonly args?: readonly string[];
  readonly options?: Partial<SubscribedOptions>;
  /** How soon channels and patterns, and how soon shard channels and keyspace events are live after they can be served. */
  readonly limitMs: number;
  readonly servedLimitMs?: number;
  /** Whether shard channels and keyspace events of the home node are hit as well. */
  readonly hitsShards?: boolean;
  /** Whether nothing can be published at the home node. */
  readonly isNodeDown?: boolean;
  readonly prepare?: (cluster: LocalCluster) => Promise<void>;
  cause(subscribed: SubscribedCluster): Promise<Caused>;
}

async function underFault(fault: SubscribedFault): Promise<Finding> {
  const { replicas = 0, spare = false, options = {}, limitMs, servedLimitMs = limitMs, hitsShards = true } = fault;
  const args = [...KEYSPACE_EVENTS, ...(fault.args ?? [])];
  const cluster = await startCluster({ primaries: 3, replicasPerPrimary: replicas, args });
  let subscribed: SubscribedCluster | undefined;
  try {
    await fault.prepare?.(cluster);
    const empty = spare ? await cluster.addNode() : undefined;
    subscribed = await SubscribedCluster.start(cluster, {
      channels: CHANNELS,
      home: (address, { topology }) =>
        empty === undefined
          ? topology.nodes.some((node) => node.address === address && node.role === "primary")
          : address === empty,
      ...options,
    });
    const { home } = subscribed;
    const own = new Set(hitsShards ? subscribed.shardsOf(home) : []);
    const at = fault.isNodeDown === true ? cluster.nodes.filter((address) => address !== home) : cluster.nodes;
    subscribed.publish(PER_SECOND, { at, publishers: 5 });
    await pause(BEFORE_MS);
    const caused = await fault.cause(subscribed);
    const hit: Kind[] = hitsShards ? ["channel", "pattern", "shard", "keyspace"] : ["channel", "pattern"];
    const isLive = await subscribed.liveAgain(caused.at, hit);
    await pause(AFTER_MS);
    const judged = await subscribed.judge((kind) => ({
      around: caused.at,
      gaps: kind === "shard" ? (topic) => Number(own.has(topic)) : Number(hit.includes(kind)),
    }));
    return found(judged, { ...caused, isLive, hit, limitMs, servedLimitMs });
  } finally {
    await subscribed?.stop();
    await cluster.stop();
  }
}

type Judged = Awaited<ReturnType<SubscribedCluster["judge"]>>;

interface Seen extends Caused {
  readonly isLive: boolean;
  readonly hit: readonly Kind[];
  readonly limitMs: number;
  readonly servedLimitMs: number;
}

function found(judged: Judged, { at, servedAt, isLive, hit, limitMs, servedLimitMs }: Seen): Finding {
  const after = (kind: Kind) => liveAfterMs(at, judged.of[kind].gaps);
  const early = judged.gaps.map(({ from }) => at - from);
  const live = Object.fromEntries(
    hit.map((kind) => {
      const waited = kind === "shard" || kind === "keyspace";
      return [`${kind} live`, atMost(after(kind) - (waited ? servedAt - at : 0), waited ? servedLimitMs : limitMs)];
    }),
  );
  return finding({
    ...(servedAt > at && { "served after": [`${Math.round(servedAt - at)} ms`, true] }),
    live: [isLive, isLive],
    ...live,
    "gaps begin before it": atMost(Math.max(0, ...early), BEFORE_FAULT_MS),
    ...figuresOf(judged),
  });
}

/** What every row shows. */
export function figuresOf(judged: Judgement): Parameters<typeof finding>[0] {
  const [first = "", ...others] = judged.faults;
  const reasons = [...new Set(judged.gaps.map(({ reason }) => reason))].join("+") || "no reason";
  return {
    gaps: [`${judged.gaps.length} (${reasons})`, true],
    published: [judged.acknowledged, judged.acknowledged > 0],
    missed: [judged.missed, true],
    again: [judged.again, true],
    wrong: [first === "" ? 0 : `${1 + others.length}: ${first}`, first === ""],
  };
}

const allKinds: Fault = {
  name: "subs-all-kinds",
  must: "subscriptions: 1,000 channels of all kinds, 10 publishers at all nodes, 5,000 messages/s: every message once, in order; 0 gaps",
  cause: async () => {
    const cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args: KEYSPACE_EVENTS });
    let subscribed: SubscribedCluster | undefined;
    try {
      const channels = { channel: 400, pattern: 300, shard: 200, keyspace: 100 };
      subscribed = await SubscribedCluster.start(cluster, { channels });
      subscribed.publish(5000, { publishers: 10 });
      await pause(10_000);
      const judged = await subscribed.judge(() => ({ gaps: 0 }));
      const missing = judged.acknowledged - judged.heard;
      return finding({
        ...figuresOf(judged),
        "heard of all": [judged.heard, missing === 0],
        twice: none(judged.again),
      });
    } finally {
      await subscribed?.stop();
      await cluster.stop();
    }
  },
};

const ONE_GAP = "one gap a channel that it hits and none elsewhere, every missed number inside, nothing twice";

const killed: Fault = {
  name: "subs-killed",
  must: `the subscribed primary is killed: channels and patterns live after ${LIVE_AFTER_LOSS_MS} ms, shard channels and keyspace events so soon after the promotion; ${ONE_GAP}`,
  cause: () =>
    underFault({
      replicas: 1,
      limitMs: LIVE_AFTER_LOSS_MS,
      isNodeDown: true,
      cause: async ({ cluster, client, home }) => {
        const heir = heirOf(client, home);
        const at = epochMs();
        await Promise.all([cluster.kill(home), promotion(cluster, heir)]);
        return { at, servedAt: epochMs() };
      },
    }),
};

const frozen: Fault = {
  name: "subs-frozen",
  must: `the subscribed primary is frozen (SIGSTOP) for 8 s: channels and patterns live after ${LIVE_AFTER_SILENCE_MS} ms, shard channels and keyspace events at most 1.2 s after the promotion; ${ONE_GAP}`,
  cause: () =>
    underFault({
      replicas: 1,
      limitMs: LIVE_AFTER_SILENCE_MS,
      servedLimitMs: 1200,
      isNodeDown: true,
      cause: async ({ cluster, client, home }) => {
        const heir = heirOf(client, home);
        const at = epochMs();
        cluster.pause(home);
        await promotion(cluster, heir);
        const servedAt = epochMs();
        await pause(8000 - (servedAt - at));
        cluster.resume(home);
        return { at, servedAt };
      },
    }),
};

const frozenAlone: Fault = {
  name: "subs-frozen-alone",
  must: `the same without a replica, for 5 s: channels and patterns live after ${LIVE_AFTER_SILENCE_MS} ms, the others at most 1.2 s after the thaw; ${ONE_GAP}`,
  cause: () =>
    underFault({
      args: ["--cluster-require-full-coverage", "no"],
      limitMs: LIVE_AFTER_SILENCE_MS,
      servedLimitMs: 1200,
      isNodeDown: true,
      cause: async ({ cluster, home }) => {
        const at = epochMs();
        cluster.pause(home);
        await pause(5000);
        cluster.resume(home);
        return { at, servedAt: epochMs() };
      },
    }),
};

const halfOpen = (limitMs: number, user?: string): Fault => ({
  name: user === undefined ? "subs-half-open" : "subs-half-open-denied",
  must: `every connection to the subscribed node is half-open (bytes vanish, no close)${user === undefined ? "" : ", and CLIENT LIST may not be asked"}: all kinds live after ${limitMs} ms; ${ONE_GAP}`,
  cause: () =>
    underFault({
      limitMs,
      options: { proxied: true, ...(user !== undefined && { client: { username: user, password: "pw" } }) },
      cause: async ({ proxies, home }) => {
        const at = epochMs();
        proxies.get(home)?.swallow();
        return { at, servedAt: at };
      },
      ...(user !== undefined && {
        prepare: (cluster) => addUser(cluster, user, "+@all", "-@dangerous", "-@admin", "+cluster"),
      }),
    }),
});

const left: Fault = {
  name: "subs-left",
  must: `the subscribed node, an empty primary, leaves the cluster (FORGET, RESET): channels and patterns live after ${LIVE_AFTER_SILENCE_MS} ms; ${ONE_GAP}`,
  cause: () =>
    underFault({
      spare: true,
      hitsShards: false,
      isNodeDown: true,
      limitMs: LIVE_AFTER_SILENCE_MS,
      cause: async ({ cluster, home }) => {
        const id = String(await cluster.command(home, "CLUSTER", "MYID"));
        const at = epochMs();
        for (const address of cluster.nodes) {
          if (address !== home) await cluster.command(address, "CLUSTER", "FORGET", id);
        }
        await cluster.command(home, "CLUSTER", "RESET");
        return { at, servedAt: at };
      },
    }),
};

const clientKilled: Fault = {
  name: "subs-client-kill",
  must: `CLIENT KILL TYPE pubsub at the subscribed node: all kinds live after ${LIVE_AFTER_LOSS_MS} ms; ${ONE_GAP}`,
  cause: () =>
    underFault({
      limitMs: LIVE_AFTER_LOSS_MS,
      cause: async ({ cluster, home }) => {
        const at = epochMs();
        await cluster.command(home, "CLIENT", "KILL", "TYPE", "pubsub");
        return { at, servedAt: at };
      },
    }),
};

export function heirOf({ topology }: SubscribedCluster["client"], primary: string): string {
  const range = topology.ranges.find((each) => each.primary.address === primary);
  return topology.replicasOf(range?.start ?? 0)[0]?.address as string;
}

export const subscriptions: readonly Fault[] = [
  allKinds,
  killed,
  frozen,
  frozenAlone,
  halfOpen(LIVE_AFTER_SILENCE_MS),
  halfOpen(LIVE_AFTER_SILENCE_DENIED_MS, "denied"),
  left,
  clientKilled,
];
