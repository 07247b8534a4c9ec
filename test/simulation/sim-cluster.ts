import type { Ledger } from "./ledger.ts";
import { Chance } from "./random.ts";
import type { ReadHistory } from "./read-history.ts";
import { Bus } from "./sim-bus.ts";
import { Commands } from "./sim-commands.ts";
import { describerOf } from "./sim-description.ts";
import type { SimLoop } from "./sim-loop.ts";
import type { SimNetwork } from "./sim-network.ts";
import { type NodeWorld, SimNode } from "./sim-node.ts";
import { slotOfKey } from "./sim-routing.ts";
import { type Change, View } from "./sim-view.ts";
import type { Story } from "./story.ts";

export interface ClusterShape {
  /** Primaries with slots. */
  readonly shards: number;
  readonly replicasPerShard: number;
  /** Primaries without slots. */
  readonly spares: number;
  readonly password: string | undefined;
  readonly busyAfterMs: number;
  /** Until a write is on the replicas. */
  readonly replicationLagMs: number;
  /** Until all nodes have heard of a change. */
  readonly gossipMs: number;
  /** A node that does not know the owner of every slot serves none. */
  readonly needsAllSlots: boolean;
  /** Nodes are in the zones a and b in turn, and tell so. Default: false. */
  readonly hasZones?: boolean;
  /** Of Redis. Default: 7. */
  readonly version?: 7 | 8;
}

/** Servers that form a cluster: who owns what, as each of them sees it, and how that changes. */
export class SimCluster {
  readonly nodes: readonly SimNode[];
  readonly shape: ClusterShape;
  readonly loop: SimLoop;
  readonly story: Story;
  readonly bus: Bus;
  readonly #network: SimNetwork;
  readonly #chance: Chance;
  /** The highest config epoch. */
  #epoch: number;
  /** All that has happened, in its order; each node learns it in that order. */
  readonly #changes: Change[] = [];
  #newHosts = 0;
  /** Slots that are on their way. */
  readonly #moving = new Set<number>();
  /** A slot stopped on its way, and some of its keys are where it is not. */
  isTorn = false;
  /** How often a node stood still. */
  frozen = 0;
  /** Of its nodes, now and earlier. */
  readonly ids: Set<string>;
  /** When something went wrong for the first time. */
  troubledAt = Number.POSITIVE_INFINITY;
  /** All that it had is gone. */
  isReplaced = false;
  /** Failovers that were not coordinated: two primaries at once, and writes that are lost. */
  splits = 0;
  /** How often slots began to move; -1 stands for the slots of a shard that got another primary. */
  readonly moves = new Map<number, number>();

  /** @param busChance  Of its own, because few runs publish anything. */
  constructor(
    shape: ClusterShape,
    network: SimNetwork,
    ledger: Ledger,
    chance: Chance,
    busChance = new Chance(1),
    history?: ReadHistory,
  ) {
    this.shape = shape;
    this.loop = network.loop;
    this.story = network.story;
    this.#network = network;
    this.#chance = chance;
    const { loop, story } = network;
    const { password, busyAfterMs, replicationLagMs, shards, replicasPerShard, spares, needsAllSlots } = shape;
    const commands = new Commands(describerOf(() => this.nodes, shape.hasZones));
    this.bus = new Bus(() => this.nodes, loop, busChance);
    const { bus } = this;
    const { version = 7 } = shape;
    const known = { loop, ledger, story, commands, bus, history };
    const world: NodeWorld = { ...known, password, busyAfterMs, replicationLagMs, version };
    const primaries = Array.from({ length: shards + spares }, (_, shard) => shard);
    this.#epoch = primaries.length;
    const newNode = (index: number, shard: number) => {
      return new SimNode(
        { index, id: String(index).repeat(40) },
        shard,
        new View(primaries, shards, needsAllSlots),
        world,
      );
    };
    this.nodes = [
      ...primaries.map((shard) => newNode(shard, shard)),
      ...Array.from({ length: shards * replicasPerShard }, (_, replica) => {
        return newNode(primaries.length + replica, replica % shards);
      }),
    ];
    this.ids = new Set(this.nodes.map(({ id }) => id));
    for (const node of this.nodes) {
      network.listen(node.name, node);
      if (!node.isPrimary) node.source = this.nodes[node.shard];
    }
  }

  node(index: number): SimNode {
    return this.nodes[index] as SimNode;
  }

  get running(): SimNode[] {
    return this.nodes.filter((node) => node.isAlive && !node.isFrozen);
  }

  /** What has happened in the end, whoever knows of it yet. */
  get truth(): View {
    const { shards, spares, needsAllSlots } = this.shape;
    const primaries = Array.from({ length: shards + spares }, (_, shard) => shard);
    const view = new View(primaries, shards, needsAllSlots);
    for (const change of this.#changes) change(view);
    return view;
  }

  replicasOf(shard: number): SimNode[] {
    const { primaries } = this.truth;
    return this.nodes.filter((node) => node.shard === shard && primaries[shard] !== node.index);
  }

  /** Something happens. `first` know it at once, the others a little later. */
  happen(what: string, change: Change, first: readonly SimNode[]): void {
    this.story.tell(() => `cluster: ${what}`);
    this.#changes.push(change);
    for (const node of first) this.#learn(node, this.#changes.length);
    const known = this.#changes.length;
    for (const node of this.nodes) {
      this.loop.inWorld(this.shape.gossipMs * this.#chance.next(), () => {
        if (node.isAlive && !node.isFrozen && !node.isApart) this.#learn(node, known);
      });
    }
  }

  noteTrouble(): void {
    this.troubledAt = Math.min(this.troubledAt, this.loop.time);
  }

  /** A node listens from now on: at its address, or at another one. A stranger that was there goes away. */
  moveIn(node: SimNode, host: string): void {
    const there = this.#network.listenerAt(`${host}:${node.port}`);
    const isTaken = this.nodes.some((other) => other === there && other !== node && other.isAlive);
    if (isTaken) {
      // Addresses go round.
      this.moveIn(node, this.newHost());
      return;
    }
    if (there?.isStranger) (there as SimNode).die();
    if (host !== node.host) {
      if (this.#network.listenerAt(node.name) === node) this.#network.listen(node.name, undefined);
      node.host = host;
      this.happen(`node ${node.index} is at ${host} now`, (view) => view.nodeIsAt(node.index, host), [node]);
    }
    this.#network.listen(node.name, node);
  }

  /** Where nobody has been. */
  newHost(): string {
    return `10.0.1.${++this.#newHosts}`;
  }

  /** A server that is not of this cluster takes the address of a node that is not there. */
  letIn(stranger: SimNode): void {
    this.story.tell(() => `a stranger starts at ${stranger.name}`);
    this.#network.listen(stranger.name, stranger);
  }

  /** Keys that were there before the client. */
  hold(keys: readonly string[]): void {
    for (const key of keys) {
      const shard = this.truth.shardOf(slotOfKey(key));
      for (const { data } of this.nodes.filter((node) => node.shard === shard)) data.set(key, "kept");
    }
  }

  /** What is in the lists of all primaries. */
  get listElements(): string[] {
    const lists = this.nodes.flatMap((node) => (node.isPrimary ? [...node.data] : []));
    return lists.flatMap(([key, value]) => (key.startsWith("queue:") ? value.split(" ") : []));
  }

  /** CLUSTER RESET HARD everywhere, and a new cluster of the same shape at the same addresses. */
  replace(): void {
    this.isReplaced = true;
    this.story.tell(() => "cluster: it is replaced by another one at the same addresses");
    for (const node of this.nodes) {
      node.id = `${node.index}${++this.#epoch}`.padEnd(40, "c");
      this.ids.add(node.id);
      node.migrating.clear();
      node.importing.clear();
      for (const key of [...node.data.keys()]) node.set(key, null);
      node.pubsub.drop(() => true);
    }
  }

  /** A node that was away hears what it missed. */
  rejoin(node: SimNode): void {
    this.loop.inWorld(this.shape.gossipMs * this.#chance.next(), () => {
      if (node.isAlive && !node.isFrozen && !node.isApart) this.#learn(node, this.#changes.length);
    });
  }

  /** A replica takes over, with its primary's consent: nothing is lost. */
  failover(replica: SimNode): void {
    const old = this.node(this.truth.primaries[replica.shard] as number);
    if (old === replica || !old.isAlive || old.isFrozen || old.isApart || !replica.isAlive || replica.isFrozen) return;
    replica.follow(this.loop.time);
    this.#promote(replica, [replica, old]);
  }

  /** The nodes notice that a primary is gone; a replica takes over when there is one. What it has not got is lost. */
  loseSlots(shard: number, untilPromotionMs: number): void {
    this.splits++;
    const gone = this.truth.primaries[shard] as number;
    const takeDown: Change = (view) => {
      view.failed.add(gone);
      view.isDown = true;
    };
    this.happen(`${this.node(gone).name} is marked as failed, slots are not served`, takeDown, []);
    this.loop.inWorld(untilPromotionMs, () => {
      if (this.truth.primaries[shard] !== gone || !this.truth.failed.has(gone)) return;
      const replica = this.replicasOf(shard).find((node) => node.isAlive && !node.isFrozen);
      if (replica !== undefined) {
        replica.follow(this.loop.time - this.shape.replicationLagMs);
        this.#promote(replica, [replica]);
      }
    });
  }

  /** A node that had failed is back. */
  recover(node: SimNode): void {
    const change: Change = (view) => {
      view.failed.delete(node.index);
      view.isDown = view.primaries.some((primary) => view.failed.has(primary));
    };
    this.happen(`${node.name} is back`, change, [node]);
  }

  /** A slot goes to another shard, key by key. Resolves nothing: it ends by itself. */
  migrate(slot: number, to: number, stepMs: number): void {
    const { truth } = this;
    const owner = truth.ownerOf(slot);
    if (owner === undefined) return;
    const source = this.node(owner);
    const target = this.node(truth.primaries[to] as number);
    if (source === target || this.#moving.has(slot)) return;
    if (source.view.lacks.has(target.index) || target.view.lacks.has(source.index)) return;
    if (!source.isAlive || !target.isAlive) return;
    this.story.tell(() => `cluster: slot ${slot} begins to move from ${source.name} to ${target.name}`);
    this.moves.set(slot, (this.moves.get(slot) ?? 0) + 1);
    this.#moving.add(slot);
    target.importing.set(slot, source.index);
    this.loop.inWorld(this.#chance.between(0, stepMs), () => {
      if (source.isAlive) source.migrating.set(slot, target.index);
      this.#migrateNext(slot, to, source, target, stepMs);
    });
  }

  #migrateNext(slot: number, to: number, source: SimNode, target: SimNode, stepMs: number): void {
    this.loop.inWorld(this.#chance.between(0, stepMs), () => {
      const isBroken = !source.isPrimary || !target.isPrimary || !source.isAlive || !target.isAlive;
      if (isBroken || source.migrating.get(slot) !== target.index || !target.importing.has(slot)) {
        source.migrating.delete(slot);
        target.importing.delete(slot);
        this.#moving.delete(slot);
        this.isTorn = true;
        return;
      }
      const key = [...source.data.keys()].find((each) => slotOfKey(each) === slot);
      const isHeld = source.isPaused || target.isPaused;
      const isStuck = isHeld || source.isFrozen || target.isFrozen || source.blockedUntil > this.loop.time;
      if (isStuck || target.blockedUntil > this.loop.time) {
        this.#migrateNext(slot, to, source, target, Math.max(1, stepMs));
      } else if (key !== undefined) {
        this.story.tell(() => `cluster: ${key} moves to ${target.name}`);
        target.set(key, source.data.get(key) as string, "restore", source.expiries.get(key));
        source.set(key, null);
        this.#migrateNext(slot, to, source, target, stepMs);
      } else {
        this.#handOver(slot, to, source, target);
      }
    });
  }

  isMoving(slot: number): boolean {
    return this.#moving.has(slot);
  }

  /** Whether any slot is on its way from one node to another. */
  get isAnyMoving(): boolean {
    return this.#moving.size > 0;
  }

  /** A slot that was nobody's is a shard's again. */
  handTo(slot: number, shard: number, alsoKnownTo: readonly SimNode[] = []): void {
    const epoch = ++this.#epoch;
    const owner = this.node(this.truth.primaries[shard] as number);
    const change: Change = (view) => {
      view.own(slot, shard);
      view.epochs[shard] = epoch;
    };
    this.happen(`slot ${slot} is shard ${shard}'s`, change, [owner, ...alsoKnownTo]);
  }

  /** The new owner first, as resharding tools do it. */
  #handOver(slot: number, to: number, source: SimNode, target: SimNode): void {
    const epoch = ++this.#epoch;
    const change: Change = (view) => {
      view.own(slot, to);
      view.epochs[to] = epoch;
    };
    const finish = () => {
      this.#moving.delete(slot);
      source.migrating.delete(slot);
      this.happen(`slot ${slot} belongs to ${target.name}`, change, [target, source]);
    };
    target.importing.delete(slot);
    change(target.view);
    this.loop.inWorld(this.#chance.between(0, this.shape.gossipMs / 4), finish);
  }

  #promote(replica: SimNode, first: readonly SimNode[]): void {
    const old = this.truth.primaries[replica.shard] as number;
    for (const node of this.nodes) {
      if (node.index !== old && node.shard !== replica.shard) continue;
      // The new primary knows of no slot that leaves: it answers for keys that have gone.
      if (node.migrating.size > 0) this.isTorn = true;
      node.migrating.clear();
      node.importing.clear();
    }
    replica.source = undefined;
    this.moves.set(-1, (this.moves.get(-1) ?? 0) + 1);
    const epoch = ++this.#epoch;
    const change: Change = (view) => {
      view.primaries[replica.shard] = replica.index;
      view.epochs[replica.shard] = epoch;
      view.isDown = view.primaries.some((primary) => view.failed.has(primary));
    };
    this.happen(`${replica.name} is promoted`, change, first);
  }

  #learn(node: SimNode, upTo: number): void {
    const wasPrimary = node.isPrimary;
    for (; node.learned < upTo; node.learned++) node.learn(this.#changes[node.learned]);
    const primary = this.node(node.view.primaries[node.shard] as number);
    // Commands that wait are looked at when the servers' clock ticks.
    if (node.waiting.size > 0) this.loop.inWorld(10 * this.#chance.next(), () => node.serveWaiting());
    if (primary === node) {
      node.source = undefined;
    } else if (wasPrimary || (node.source !== undefined && node.source !== primary)) {
      // A demoted primary, and a replica whose primary changed, take over what the new one has.
      node.copyFrom(primary);
      node.migrating.clear();
      node.importing.clear();
    }
  }
}
