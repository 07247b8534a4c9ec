import type { Faults } from "./faults.ts";
import type { Chance } from "./random.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimNode } from "./sim-node.ts";
import { relocate } from "./sim-relocation.ts";
import { slotOfKey } from "./sim-routing.ts";
import type { NodeSession } from "./sim-session.ts";
import { INVALIDATE } from "./sim-tracking.ts";

/** What goes wrong with the connections, slots and nodes that cached replies came from. */
export type CacheFaultKind =
  | "cut-reader"
  | "cut-hearer"
  | "half-open-reader"
  | "half-open-hearer"
  | "late-reader"
  | "late-hearer"
  | "busy-reader"
  | "busy-hearer"
  | "freeze"
  | "move"
  | "move-bare"
  | "move-atomic"
  | "failover"
  | "minority"
  | "flush-all-keys"
  | "evict"
  | "forbid"
  | "stall";

/** What goes wrong with the clocks of the client's machine. */
export type ClockFaultKind = "suspend" | "set-forward" | "set-back";

/** How often each is drawn. */
export const CACHE_FAULTS: Readonly<Record<CacheFaultKind, number>> = {
  "cut-reader": 3,
  "cut-hearer": 3,
  "half-open-reader": 3,
  "half-open-hearer": 3,
  "late-reader": 3,
  "late-hearer": 4,
  "busy-reader": 1,
  "busy-hearer": 1,
  freeze: 2,
  move: 4,
  "move-bare": 3,
  "move-atomic": 3,
  failover: 3,
  minority: 3,
  "flush-all-keys": 2,
  evict: 2,
  forbid: 2,
  stall: 3,
};

/** Until a node that reaches a minority only serves nothing, and until a replica takes over after that. */
const NODE_TIMEOUT_MS = 500;
const PROMOTION_MS = 250;
const MOST_SUSPENDED_MS = 5000;
const RIGHTS = ["client|tracking", "ssubscribe", "pttl", "exists"];

/** Aims at what cached reads rest on. */
export class CacheFaults {
  readonly #cluster: SimCluster;
  readonly #faults: Faults;
  readonly #chance: Chance;
  readonly #keys: readonly string[];
  readonly #denied: (() => void)[] = [];
  #isOver = false;

  constructor(cluster: SimCluster, faults: Faults, keys: readonly string[], chance: Chance) {
    this.#cluster = cluster;
    this.#faults = faults;
    this.#keys = keys;
    this.#chance = chance;
  }

  strike(kind: CacheFaultKind): void {
    const lastsMs = this.#chance.pick([5, 100, 400, 1500, 3500]);
    this.#cluster.noteTrouble();
    this.#cluster.story.tell(() => `cache: ${kind} for ${lastsMs} ms`);
    this.#strikes[kind](lastsMs);
  }

  strikeClock(kind: ClockFaultKind): void {
    // Timers of calls that nobody makes any more would run out too late.
    if (this.#isOver) return;
    const ms = this.#chance.pick([5, 100, 400, 1500, 3500, 60_000]);
    this.#cluster.noteTrouble();
    this.#cluster.story.tell(() => `clock: ${kind}, ${ms} ms`);
    const { loop } = this.#cluster;
    if (kind === "suspend") loop.arrive(() => this.#suspend(Math.min(ms, MOST_SUSPENDED_MS)));
    else loop.setWall(kind === "set-back" ? -ms : ms);
  }

  /** The machine stands still. What is sent to it meanwhile is lost, and comes when the servers send it again. */
  #suspend(ms: number): void {
    const { loop, nodes } = this.#cluster;
    loop.suspend(ms);
    for (const { link } of nodes.flatMap((node) => [...node.sessions])) {
      if (this.#chance.of(0.5)) link.delay(ms * this.#chance.between(1, 1.6), true);
    }
  }

  /** Everything is permitted again, and everybody reaches everybody. */
  heal(): void {
    this.#isOver = true;
    for (const permit of this.#denied.splice(0)) permit();
    for (const node of this.#cluster.nodes) this.#reunite(node);
  }

  readonly #strikes: Readonly<Record<CacheFaultKind, (lastsMs: number) => void>> = {
    "cut-reader": () => this.#some(isReader)?.link.cut("read ECONNRESET"),
    "cut-hearer": () => this.#some(isHearer)?.link.cut("read ECONNRESET"),
    "half-open-reader": () => this.#goHalfOpen(isReader),
    "half-open-hearer": () => this.#goHalfOpen(isHearer),
    "late-reader": (lastsMs) => this.#some(isReader)?.link.delay(lastsMs),
    "late-hearer": (lastsMs) => this.#some(isHearer)?.link.delay(lastsMs),
    "busy-reader": (lastsMs) => this.#some(isReader)?.keepBusy(lastsMs),
    "busy-hearer": (lastsMs) => this.#some(isHearer)?.keepBusy(lastsMs),
    freeze: (lastsMs) => this.#faults.freeze(this.#owner, lastsMs),
    move: () => this.#cluster.migrate(this.#slot, this.#anyShard, this.#chance.pick([0.1, 3, 60])),
    "move-bare": () => relocate(this.#cluster, this.#slot, this.#anyShard, "bare", this.#chance),
    "move-atomic": () => relocate(this.#cluster, this.#slot, this.#anyShard, "atomic", this.#chance),
    failover: () => this.#failover(),
    minority: (lastsMs) => this.#separate(this.#owner, NODE_TIMEOUT_MS + lastsMs),
    "flush-all-keys": () => this.#flush(),
    evict: () => this.#evict(),
    forbid: (lastsMs) => this.#forbid(lastsMs),
    stall: () => this.#cluster.loop.arrive(() => this.#cluster.loop.stall(this.#chance.pick([30, 400, 1500, 4000]))),
  };

  get #slot(): number {
    return slotOfKey(this.#chance.pick(this.#keys));
  }

  get #anyShard(): number {
    return this.#chance.whole(0, this.#cluster.truth.primaries.length - 1);
  }

  /** A node that owns a slot of the keys, or any where nobody does. */
  get #owner(): SimNode {
    return this.#cluster.node(this.#cluster.truth.ownerOf(this.#slot) ?? 0);
  }

  #some(isIt: (session: NodeSession) => boolean): NodeSession | undefined {
    const sessions = this.#cluster.nodes.flatMap((node) => [...node.sessions].filter(isIt));
    return sessions.length === 0 ? undefined : this.#chance.pick(sessions);
  }

  #goHalfOpen(isIt: (session: NodeSession) => boolean): void {
    const link = this.#some(isIt)?.link;
    if (link?.isWhole !== true) return;
    if (this.#chance.of(0.5)) link.goHalfOpen();
    else link.endUnheard();
  }

  #failover(): void {
    const shard = this.#cluster.truth.shardOf(this.#slot);
    const replicas = shard < 0 ? [] : this.#cluster.replicasOf(shard);
    if (replicas.length > 0) this.#cluster.failover(this.#chance.pick(replicas));
  }

  /** A primary reaches a minority only, and its clients: for a while it serves on, then it says that the cluster is down. */
  #separate(node: SimNode, lastsMs: number): void {
    const { loop, story } = this.#cluster;
    const isPossible = node.isAlive && !node.isFrozen && !node.isApart && !this.#cluster.isAnyMoving;
    if (!isPossible || this.#cluster.replicasOf(node.shard).length === 0) return;
    story.tell(() => `${node.name} reaches a minority only`);
    node.isApart = true;
    loop.inWorld(NODE_TIMEOUT_MS * this.#chance.between(0.9, 1), () => {
      if (node.isApart) node.view.isDown = true;
    });
    loop.inWorld(NODE_TIMEOUT_MS * this.#chance.between(1, 1.3), () => {
      if (!node.isApart || this.#cluster.truth.primaries[node.shard] !== node.index) return;
      this.#cluster.loseSlots(node.shard, PROMOTION_MS * this.#chance.between(0.5, 1.5));
    });
    loop.inWorld(lastsMs, () => this.#reunite(node));
  }

  #reunite(node: SimNode): void {
    if (!node.isApart) return;
    node.isApart = false;
    if (!node.isAlive) {
      // It hears of the others when it has restarted.
      node.view.isDown = false;
      return;
    }
    this.#cluster.story.tell(() => `${node.name} reaches the others again`);
    node.backSince = this.#cluster.loop.time;
    if (this.#cluster.truth.failed.has(node.index)) this.#cluster.recover(node);
    else {
      node.view.isDown = false;
      this.#cluster.rejoin(node);
    }
  }

  /** FLUSHALL, of the keys that may be cached. */
  #flush(): void {
    for (const node of this.#cluster.nodes) {
      if (!node.isPrimary || !node.isAlive || node.isFrozen) continue;
      for (const key of this.#keys) if (node.data.has(key)) node.set(key, null);
      node.tracking.invalidateAll();
    }
  }

  /** The table of tracked keys is full. */
  #evict(): void {
    for (const { tracking } of this.#cluster.nodes) {
      for (let left = this.#chance.pick([1, 10]); left > 0; left--) {
        const key = tracking.keyAt(this.#chance.next());
        if (key !== undefined) tracking.invalidate(key);
      }
    }
  }

  /** The client's user may not do what caching needs, and the server ends connections that do. */
  #forbid(lastsMs: number): void {
    const right = this.#chance.of(0.3) ? INVALIDATE : this.#chance.pick(RIGHTS);
    const isChannel = right === INVALIDATE;
    this.#cluster.story.tell(() => `${right} is not permitted`);
    for (const node of this.#cluster.nodes) {
      const denied = isChannel ? node.deniedChannels : node.denied;
      denied.add(right);
      this.#denied.push(() => denied.delete(right));
      this.#cluster.loop.inWorld(lastsMs, () => denied.delete(right));
      if (this.#chance.of(0.5)) for (const { link } of [...node.sessions].filter(isHearer)) link.cut("ended");
    }
  }
}

export function isReader({ redirect }: NodeSession): boolean {
  return redirect !== undefined;
}

export function isHearer({ topics }: NodeSession): boolean {
  return topics.channel.has(INVALIDATE);
}
