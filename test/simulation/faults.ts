import type { FaultKind, Plan } from "./plan.ts";
import type { Chance } from "./random.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { Link, SimNetwork } from "./sim-network.ts";
import type { SimNode } from "./sim-node.ts";

/** How long a node may be silent before the others call it failed, and until a replica is promoted after that. */
const NODE_TIMEOUT_MS = 500;
const PROMOTION_MS = 250;
const DENIABLE = ["script|load", "script|exists", "evalsha", "eval", "cluster|shards", "set"];

/** Makes things go wrong, and mends them. */
export class Faults {
  readonly #cluster: SimCluster;
  readonly #network: SimNetwork;
  readonly #chance: Chance;
  readonly #plan: Plan;
  readonly #slots: readonly number[];
  readonly #partitioned = new Set<SimNode>();
  /** For those who note what goes wrong. */
  onStrike: (kind: FaultKind, lastsMs: number) => void = () => {};

  constructor(cluster: SimCluster, network: SimNetwork, plan: Plan, slots: readonly number[], chance: Chance) {
    this.#cluster = cluster;
    this.#network = network;
    this.#plan = plan;
    this.#slots = slots;
    this.#chance = chance;
  }

  /** Schedules what the plan has. */
  schedule(): void {
    for (const kind of this.#plan.faults) {
      this.#cluster.loop.inWorld(this.#chance.between(0, this.#plan.durationMs), () => this.#strike(kind));
    }
  }

  /** Everything is as it should be again; nodes need a moment to agree. */
  heal(): void {
    for (const node of this.#cluster.nodes) {
      node.denied.clear();
      this.#thaw(node);
      if (!node.isAlive) this.#restart(node, node.host);
      this.#reconnect(node);
    }
  }

  #strike(kind: FaultKind): void {
    const lastsMs = this.#chance.pick([5, 100, 400, 1200, 3000]);
    this.#cluster.noteTrouble();
    this.onStrike(kind, lastsMs);
    this.#strikes[kind](lastsMs);
  }

  /** By kind; what lasts takes for how long. */
  readonly #strikes: Readonly<Record<FaultKind, (lastsMs: number) => void>> = {
    cut: () => this.#someLink()?.cut("read ECONNRESET"),
    "cut-all": () => {
      for (const link of [...this.#network.links]) link.cut("read ECONNRESET");
    },
    "half-open": () => this.#someLink()?.goHalfOpen(),
    flush: () => this.#someNode().flushScripts(),
    "flush-all": () => {
      for (const node of this.#cluster.running) node.flushScripts();
    },
    migrate: () => this.#migrate(),
    failover: () => this.#failover(),
    kill: (lastsMs) => this.kill(this.#someNode(), lastsMs + NODE_TIMEOUT_MS),
    restart: () => this.kill(this.#someNode(), this.#chance.between(1, 200)),
    freeze: (lastsMs) => this.freeze(this.#someNode(), lastsMs),
    partition: (lastsMs) => this.#partition(this.#someNode(), lastsMs),
    deny: (lastsMs) => this.#deny(lastsMs),
    // The client does it itself, between two callbacks.
    stall: () => this.#cluster.loop.arrive(() => this.#cluster.loop.stall(this.#chance.pick([5, 60, 400]))),
  };

  #someNode(): SimNode {
    return this.#chance.pick(this.#cluster.nodes);
  }

  #migrate(): void {
    const { truth } = this.#cluster;
    const slots = this.#chance.of(0.5) ? this.#slots : [this.#chance.pick(this.#slots)];
    for (const slot of slots) {
      this.#cluster.migrate(slot, this.#chance.whole(0, truth.primaries.length - 1), this.#chance.pick([0.1, 3, 60]));
    }
  }

  #failover(): void {
    const { primaries } = this.#cluster.truth;
    const replicas = this.#cluster.running.filter((node) => primaries[node.shard] !== node.index);
    if (replicas.length > 0) this.#cluster.failover(this.#chance.pick(replicas));
  }

  #someLink(): Link | undefined {
    const links = [...this.#network.links];
    return links.length === 0 ? undefined : this.#chance.pick(links);
  }

  /** @param host  Where it listens when it is back. */
  kill(node: SimNode, restartAfterMs: number, host = () => node.host): void {
    if (!node.isAlive) return;
    node.die();
    this.#noticeLater(node, () => !node.isAlive);
    this.#cluster.loop.inWorld(restartAfterMs, () => this.#restart(node, host()));
  }

  #restart(node: SimNode, host: string): void {
    if (node.isAlive) return;
    this.#cluster.moveIn(node, host);
    node.reachability = this.#partitioned.has(node) ? "vanished" : "accepts";
    node.flushScripts();
    node.runId += "1";
    node.backSince = this.#cluster.loop.time;
    node.loadingUntil = this.#cluster.loop.time + this.#chance.pick([0, 20, 200]);
    this.#cluster.story.tell(() => `${node.name} has restarted`);
    this.#back(node);
  }

  freeze(node: SimNode, lastsMs: number): void {
    if (!node.isAlive || node.isFrozen) return;
    node.freeze();
    this.#cluster.frozen++;
    this.#noticeLater(node, () => node.isFrozen);
    this.#cluster.loop.inWorld(lastsMs, () => this.#thaw(node));
  }

  #thaw(node: SimNode): void {
    if (!node.isFrozen) return;
    node.thaw();
    this.#back(node);
  }

  /** The others can reach it, the client cannot: bytes vanish, new connections hang. */
  #partition(node: SimNode, lastsMs: number): void {
    if (!node.isAlive) return;
    this.#partitioned.add(node);
    this.#cluster.story.tell(() => `the client is cut off from ${node.name}`);
    node.reachability = "vanished";
    for (const { link } of node.sessions) link.goHalfOpen();
    this.#cluster.loop.inWorld(lastsMs, () => this.#reconnect(node));
  }

  #reconnect(node: SimNode): void {
    if (!this.#partitioned.delete(node) || !node.isAlive) return;
    this.#cluster.story.tell(() => `the client can reach ${node.name} again`);
    node.reachability = "accepts";
    node.backSince = this.#cluster.loop.time;
  }

  #deny(lastsMs: number): void {
    const command = this.#chance.pick(DENIABLE);
    const nodes = this.#chance.of(0.5) ? this.#cluster.nodes : [this.#chance.pick(this.#cluster.nodes)];
    for (const node of nodes) node.denied.add(command);
    this.#cluster.story.tell(() => `${nodes.map(({ name }) => name).join(", ")}: ${command} is not permitted`);
    this.#cluster.loop.inWorld(lastsMs, () => {
      for (const node of nodes) node.denied.delete(command);
    });
  }

  /** The others mark a primary as failed when it stays away for long enough. */
  #noticeLater(node: SimNode, isStillGone: () => boolean): void {
    const { loop } = this.#cluster;
    loop.inWorld(NODE_TIMEOUT_MS * this.#chance.between(1, 1.3), () => {
      const { truth } = this.#cluster;
      const isMissed = truth.primaries[node.shard] === node.index && truth.rangesOf(node.shard).length > 0;
      if (isStillGone() && isMissed) {
        this.#cluster.loseSlots(node.shard, PROMOTION_MS * this.#chance.between(0.5, 1.5));
      }
    });
  }

  #back(node: SimNode): void {
    if (this.#cluster.truth.failed.has(node.index)) this.#cluster.recover(node);
    else this.#cluster.rejoin(node);
  }
}
