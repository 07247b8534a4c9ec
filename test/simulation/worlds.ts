import type { Faults } from "./faults.ts";
import type { Plan } from "./plan.ts";
import type { Chance } from "./random.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimNode } from "./sim-node.ts";
import { strangerAt } from "./sim-strangers.ts";

/** What is odd about the world of a run, beside the faults in it. */
export type WorldKind =
  | "stranger"
  | "recycle"
  | "replace"
  | "forget"
  | "join"
  | "unowned"
  | "pause"
  | "busy-connection"
  | "full"
  | "slow-network"
  | "long-stall"
  | "stalled-connect";

/** How often each is drawn. */
export const WORLDS: Readonly<Record<WorldKind, number>> = {
  stranger: 4,
  recycle: 2,
  replace: 1,
  forget: 4,
  join: 2,
  unowned: 2,
  pause: 3,
  "busy-connection": 2,
  full: 2,
  "slow-network": 3,
  "long-stall": 2,
  "stalled-connect": 2,
};

/** How long the others take to tell a newcomer of one more node, at most. */
const ACQUAINTANCE_MS = 1500;

/** Makes the world as it is: addresses change hands, and nodes know less than all. */
export class Worlds {
  readonly #cluster: SimCluster;
  readonly #faults: Faults;
  readonly #chance: Chance;
  readonly #plan: Plan;
  readonly #slots: readonly number[];
  /** Slots that were nobody's for a while. */
  readonly unownedSlots = new Set<number>();
  /** Slots that are nobody's, with the shard that they were in. */
  readonly #unowned = new Map<number, number>();
  readonly #strangers = new Set<SimNode>();
  /** For those who note what goes wrong. */
  onStrike: (kind: WorldKind, lastsMs: number) => void = () => {};

  constructor(cluster: SimCluster, faults: Faults, plan: Plan, slots: readonly number[], chance: Chance) {
    this.#slots = slots;
    this.#cluster = cluster;
    this.#faults = faults;
    this.#plan = plan;
    this.#chance = chance;
    if (plan.worlds.includes("join")) this.#keepNewcomerOut();
  }

  /** The client has something else to do while it connects. */
  scheduleConnect(): void {
    if (!this.#plan.worlds.includes("stalled-connect")) return;
    const { latencyMs, jitterMs } = this.#plan.network;
    this.#cluster.loop.inWorld(this.#chance.between(0, 20 * (latencyMs + jitterMs) + 5), () => this.#stall());
  }

  /** Schedules what the plan has. */
  schedule(): void {
    for (const kind of this.#plan.worlds) {
      this.#cluster.loop.inWorld(this.#chance.between(0, this.#plan.durationMs), () => this.#strike(kind));
    }
  }

  /** Strangers leave, and all nodes know all others. */
  heal(): void {
    for (const stranger of this.#strangers) if (stranger.isAlive) stranger.die();
    for (const node of this.#cluster.nodes) {
      node.view.lacks.clear();
      node.isFull = false;
    }
    for (const [slot, shard] of this.#unowned) this.#own(slot, shard);
  }

  #strike(kind: WorldKind): void {
    const lastsMs = this.#chance.pick([5, 100, 400, 1200, 3000]);
    this.#cluster.noteTrouble();
    this.onStrike(kind, lastsMs);
    this.#strikes[kind](lastsMs);
  }

  /** By kind; what lasts takes for how long. */
  readonly #strikes: Readonly<Record<WorldKind, (lastsMs: number) => void>> = {
    stranger: (lastsMs) => this.#bringStranger(this.#someNode(), lastsMs),
    recycle: () => this.#recycle(),
    replace: () => this.#cluster.replace(),
    forget: (lastsMs) => this.#forget(this.#someNode(), lastsMs),
    join: () => this.#join(),
    unowned: (lastsMs) => this.#disown(this.#chance.pick(this.#slots), lastsMs),
    pause: (lastsMs) => this.#someNode().pause(lastsMs),
    "busy-connection": (lastsMs) => this.#keepBusy(lastsMs),
    full: (lastsMs) => this.#fill(this.#someNode(), lastsMs),
    // It is as the plan says, from the beginning on.
    "slow-network": () => {},
    "long-stall": () => this.#stall(),
    "stalled-connect": () => {},
  };

  #someNode(): SimNode {
    return this.#chance.pick(this.#cluster.nodes);
  }

  /** A node dies, and somebody else gets its address. It comes back there, or at another one. */
  #bringStranger(node: SimNode, lastsMs: number): void {
    if (!node.isAlive) return;
    const { host } = node;
    // A seed stays where it is: somebody must be found when all others have gone.
    const isElsewhere = this.#chance.of(0.4) && node.index > 0;
    this.#faults.kill(node, 600 + lastsMs, () => (isElsewhere ? this.#cluster.newHost() : node.host));
    const kind = this.#chance.pick(["plain server", "node of another cluster"] as const);
    this.#cluster.loop.inWorld(this.#chance.between(1, 300), () => {
      if (node.isAlive || node.host !== host) return;
      const stranger = strangerAt(host, kind, node.world);
      this.#strangers.add(stranger);
      this.#cluster.letIn(stranger);
    });
  }

  /** Two nodes restart, each at the address of the other. */
  #recycle(): void {
    const [one, other] = [this.#someNode(), this.#someNode()];
    const isNew = [one, other].some(({ index }) => this.#cluster.node(0).view.lacks.has(index));
    if (one === other || isNew || !one.isAlive || !other.isAlive) return;
    const [there, here] = [other.host, one.host];
    this.#faults.kill(one, this.#chance.between(1, 400), () => there);
    this.#faults.kill(other, this.#chance.between(1, 400), () => here);
  }

  /** A node is told to forget another one (CLUSTER FORGET), and hears of it again from the others. */
  #forget({ view, index, name }: SimNode, lastsMs: number): void {
    const forgotten = this.#chance.pick(this.#cluster.nodes);
    if (forgotten.index === index) return;
    this.#cluster.story.tell(() => `${name} forgets ${forgotten.name}`);
    view.lacks.add(forgotten.index);
    this.#cluster.loop.inWorld(lastsMs, () => view.lacks.delete(forgotten.index));
  }

  /** A slot is nobody's for a while (CLUSTER DELSLOTS). */
  #disown(slot: number, lastsMs: number): void {
    const { truth } = this.#cluster;
    const shard = truth.shardOf(slot);
    if (this.#unowned.has(slot) || this.#cluster.isMoving(slot)) return;
    this.#unowned.set(slot, shard);
    this.unownedSlots.add(slot);
    this.#cluster.happen(`slot ${slot} is nobody's`, (view) => view.disown(slot), this.#cluster.nodes);
    this.#cluster.loop.inWorld(lastsMs, () => this.#own(slot, shard));
  }

  #own(slot: number, shard: number): void {
    if (!this.#unowned.delete(slot)) return;
    this.#cluster.handTo(slot, shard);
  }

  /** The server does something in a thread for one connection, and answers the others. */
  #keepBusy(lastsMs: number): void {
    const sessions = [...this.#someNode().sessions];
    if (sessions.length === 0) return;
    const session = this.#chance.pick(sessions);
    this.#cluster.story.tell(() => `${session.link} is busy for ${lastsMs} ms, alone`);
    session.keepBusy(lastsMs);
  }

  /** A node takes no new client for a while. */
  #fill(node: SimNode, lastsMs: number): void {
    this.#cluster.story.tell(() => `${node.name} has as many clients as it takes`);
    node.isFull = true;
    this.#cluster.loop.inWorld(lastsMs, () => {
      node.isFull = false;
    });
  }

  /** For longer than the client waits for a connection. */
  #stall(): void {
    this.#cluster.loop.arrive(() => this.#cluster.loop.stall(this.#chance.pick([700, 2500, 4000])));
  }

  get #newcomer(): SimNode {
    const { shards, spares } = this.#plan.shape;
    return this.#cluster.node(shards + spares - 1);
  }

  #keepNewcomerOut(): void {
    for (const node of this.#cluster.nodes) {
      if (node === this.#newcomer) for (const { index } of this.#cluster.nodes) node.view.lacks.add(index);
      else node.view.lacks.add(this.#newcomer.index);
    }
    this.#newcomer.view.lacks.delete(this.#newcomer.index);
    this.#newcomer.backSince = Number.POSITIVE_INFINITY;
  }

  /** The others soon know the newcomer, which knows few of them at first. */
  #join(): void {
    const newcomer = this.#newcomer;
    this.#cluster.story.tell(() => `${newcomer.name} joins`);
    newcomer.backSince = this.#cluster.loop.time + ACQUAINTANCE_MS;
    for (const { view, index } of this.#cluster.nodes) {
      this.#cluster.loop.inWorld(this.#plan.shape.gossipMs * this.#chance.next(), () =>
        view.lacks.delete(newcomer.index),
      );
      this.#cluster.loop.inWorld(ACQUAINTANCE_MS * this.#chance.next(), () => newcomer.view.lacks.delete(index));
    }
  }
}
