import type { Faults } from "./faults.ts";
import type { Chance } from "./random.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimNode } from "./sim-node.ts";
import { slotOfKey } from "./sim-routing.ts";
import type { NodeSession } from "./sim-session.ts";

/** What goes wrong with subscriptions, beside all that goes wrong with everything. */
export type FeedFaultKind = "cut" | "half-open" | "freeze" | "move" | "failover" | "forbid" | "refuse" | "leave";

/** When topics are heard again after a fault that comes alone. */
export interface HeardWithin {
  readonly ms: number;
  readonly of: "fault" | "news";
}

/** How often each is drawn. */
export const FEED_FAULTS: Readonly<Record<FeedFaultKind, number>> = {
  cut: 4,
  "half-open": 4,
  freeze: 4,
  move: 6,
  failover: 3,
  forbid: 1,
  refuse: 2,
  leave: 2,
};

const REFUSALS = [
  "TRYAGAIN Multiple keys request during rehashing of slot",
  "CLUSTERDOWN The cluster is down",
  "LOADING Redis is loading the dataset in memory",
] as const;

/** Aims at the connections and nodes that subscriptions use. */
export class FeedFaults {
  readonly #cluster: SimCluster;
  readonly #faults: Faults;
  readonly #chance: Chance;
  readonly #channels: readonly string[];
  /** Something begins that is felt for so long at most. */
  readonly #note: (lastsMs: number, heardWithin?: HeardWithin) => void;
  /** Names that were not permitted for a while. */
  readonly forbidden: string[] = [];
  /** When nodes left that are not back. */
  readonly left = new Map<SimNode, number>();

  /** @param channels  The sharded ones. */
  constructor(
    cluster: SimCluster,
    faults: Faults,
    channels: readonly string[],
    chance: Chance,
    note: (lastsMs: number, heardWithin?: HeardWithin) => void,
  ) {
    this.#cluster = cluster;
    this.#faults = faults;
    this.#channels = channels;
    this.#chance = chance;
    this.#note = note;
  }

  /** Sessions that are subscribed to something. */
  get #sessions(): NodeSession[] {
    return this.#cluster.nodes.flatMap(({ sessions }) => [...sessions].filter(({ isSubscribed }) => isSubscribed));
  }

  strike(kind: FeedFaultKind): void {
    const sessions = this.#sessions;
    if (sessions.length === 0) return;
    const { node, link } = this.#chance.pick(sessions);
    const lastsMs = this.#chance.pick([5, 400, 1500, 3500]);
    this.#cluster.noteTrouble();
    this.#cluster.story.tell(() => `feeds: ${kind} for ${lastsMs} ms, at ${link}`);
    switch (kind) {
      case "cut":
        this.#note(0, { ms: 250, of: "fault" });
        link.cut("read ECONNRESET");
        break;
      case "half-open":
        this.#note(2500, { ms: 2500, of: "fault" });
        if (link.isWhole) link.goHalfOpen();
        break;
      case "freeze":
        this.#note(lastsMs + 1500);
        this.#faults.freeze(node, lastsMs);
        break;
      case "move":
        this.#note(500, { ms: 100, of: "news" });
        this.#move();
        break;
      case "failover":
        this.#note(500);
        this.#failover();
        break;
      case "forbid":
        this.#note(lastsMs);
        this.#forbid(lastsMs);
        break;
      case "refuse":
        this.#note(lastsMs);
        this.#refuse(node, lastsMs);
        break;
      case "leave":
        this.#note(500);
        this.#leave(node);
        break;
    }
  }

  heal(): void {
    for (const node of this.#cluster.nodes) {
      node.refusal = undefined;
      node.deniedChannels.clear();
    }
    this.left.clear();
  }

  #move(): void {
    const slot = slotOfKey(this.#chance.pick(this.#channels));
    const to = this.#chance.whole(0, this.#cluster.truth.primaries.length - 1);
    this.#cluster.migrate(slot, to, this.#chance.pick([0.1, 3]));
  }

  #failover(): void {
    const shard = this.#cluster.truth.shardOf(slotOfKey(this.#chance.pick(this.#channels)));
    const [replica] = shard < 0 ? [] : this.#cluster.replicasOf(shard);
    if (replica !== undefined) this.#cluster.failover(replica);
  }

  /** A channel is not permitted any more, and servers end the connections that are subscribed to it. */
  #forbid(lastsMs: number): void {
    const channel = this.#chance.pick(this.#channels);
    this.forbidden.push(channel);
    for (const node of this.#cluster.nodes) {
      node.deniedChannels.add(channel);
      for (const { link } of node.pubsub.subscribers("shard", channel)) link.cut("the server has ended it");
      this.#cluster.loop.inWorld(lastsMs, () => node.deniedChannels.delete(channel));
    }
  }

  #refuse(node: SimNode, lastsMs: number): void {
    node.refusal = this.#chance.pick(REFUSALS);
    for (const { link, isSubscribed } of node.sessions) if (isSubscribed) link.cut("read ECONNRESET");
    this.#cluster.loop.inWorld(lastsMs, () => {
      node.refusal = undefined;
    });
  }

  /** Everybody forgets a node without slots, for good until all is mended. */
  #leave(node: SimNode): void {
    const { truth, nodes } = this.#cluster;
    const isNeeded = truth.primaries[node.shard] === node.index && truth.rangesOf(node.shard).length > 0;
    // The first two are the seeds.
    if (isNeeded || node.index < 2 || nodes.length < 3) return;
    this.left.set(node, this.#cluster.loop.time);
    for (const { view, index } of nodes) if (index !== node.index) view.lacks.add(node.index);
    for (const { index } of nodes) if (index !== node.index) node.view.lacks.add(index);
  }
}
