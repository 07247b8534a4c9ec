import { ReplyError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Desk } from "./desk.ts";
import type { Feed } from "./feed.ts";
import type { Feeds } from "./feeds.ts";
import type { Topic } from "./topic.ts";

/** The topology agrees with what a server seemed to contradict when it was asked so often since. */
const ROUNDS_OF_DOUBT = 2;
/** When a replica could not stand in for its primary, none is asked to for this long. */
const STAND_IN_REST_MS = 500;
/** So long a replica stands in before the owner is tried again: its connections may have been dead, and nobody noticed. */
const STAND_IN_MS = 2000;

/** A slot of sharded channels. */
interface Slot {
  readonly number: number;
  readonly topics: Set<Topic>;
  owner: ClusterNode | undefined;
  /** The owner before, until the present one confirms. */
  former: ClusterNode | undefined;
  /** A replica of the owner, where the topics are while the owner is down. */
  standIn: ClusterNode | undefined;
  /** Since when a replica stands in, if one does. */
  standsInSince: number;
  /** Until when no replica is asked to stand in. */
  restsUntil: number;
  /** Since when a server's word makes the owner doubtful, and the rounds of queries that have begun since. */
  doubt: { readonly since: number; rounds: number } | undefined;
}

/**
 * Sharded channels are heard where their slot is served. SPUBLISH reaches the owner and its replicas.
 *
 *   at the owner --its connection cannot be opened again--> at a replica, in a gap --a topology names the owner--> there
 *        '--MOVED, a topology that names another owner--> there
 *        '--sunsubscribe unasked--> asked again, in a gap, until two rounds of queries agree
 */
export class ShardSlots {
  readonly #desk: Desk;
  readonly #feeds: Feeds;
  readonly #slots = new Map<number, Slot>();
  /** Owners that have not answered yet whether they serve again. */
  readonly #asked = new Set<ClusterNode>();

  constructor(desk: Desk, feeds: Feeds) {
    this.#desk = desk;
    this.#feeds = feeds;
  }

  /** The owners of slots that should send topics and do not. */
  lostOwners(): Set<ClusterNode> {
    const lost = new Set<ClusterNode>();
    for (const { owner, topics } of this.#slots.values()) {
      if (owner === undefined || lost.has(owner)) continue;
      const isLost = ({ coverage }: Topic) => !coverage.isCovered && coverage.stateAt(owner) !== "live";
      if ([...topics].some(isLost)) lost.add(owner);
    }
    return lost;
  }

  place(topic: Topic): void {
    const slot = this.#slots.get(topic.slot) ?? newSlot(topic.slot);
    this.#slots.set(topic.slot, slot);
    // The topics of a slot stay together: if the owner is another one by now, all of them follow it, or none.
    this.#follow(slot);
    slot.topics.add(topic);
    const node = slot.standIn ?? slot.owner;
    this.#desk.want(topic, node === undefined ? [] : [node], "slot-moved", slot.standIn !== undefined);
    if (node === undefined) this.#desk.tracker().seekOwner();
  }

  forget(topic: Topic): void {
    const slot = this.#slots.get(topic.slot);
    slot?.topics.delete(topic);
    if (slot?.topics.size === 0) this.#slots.delete(topic.slot);
  }

  /** The topology has changed. */
  follow(): void {
    for (const slot of this.#slots.values()) this.#follow(slot);
  }

  /** A round of topology queries has ended: see `Subscriptions.noteRound`. Returns whether a slot is still in doubt. */
  noteRound(askedAt: number, isSure: boolean): boolean {
    let isDoubtful = false;
    for (const slot of this.#slots.values()) {
      const { doubt, owner, standIn } = slot;
      const isTried = standIn !== undefined && askedAt - slot.standsInSince > STAND_IN_MS;
      if (isTried && owner !== undefined) this.#askWhetherBack(owner);
      if (doubt === undefined || standIn !== undefined) continue;
      if (isSure && askedAt >= doubt.since) doubt.rounds++;
      if (doubt.rounds < ROUNDS_OF_DOUBT) isDoubtful = true;
      else this.#settle(slot);
    }
    return isDoubtful;
  }

  /** A node is connected. An owner takes its topics back. */
  noteUp(node: ClusterNode): void {
    for (const slot of this.#slots.values()) {
      if (slot.owner === node && slot.standIn !== undefined) this.#standDown(slot);
    }
  }

  /** No connection to the node can be opened. A replica of it may be promoted at any moment, and hears what comes then. */
  noteFailed(node: ClusterNode): void {
    const now = this.#desk.now();
    for (const slot of this.#slots.values()) {
      if (slot.standIn === node) {
        slot.restsUntil = now + STAND_IN_REST_MS;
        this.#standDown(slot);
      } else if (slot.owner === node && slot.standIn === undefined && now >= slot.restsUntil) {
        slot.standIn = this.#desk
          .directory()
          .replicasOf(slot.number)
          .find(({ pool }) => pool.ready);
        if (slot.standIn === undefined) continue;
        slot.standsInSince = now;
        for (const topic of slot.topics) this.#desk.want(topic, [slot.standIn], "connection-lost", true);
      }
    }
  }

  /** The topics that prove, each for its slot, that it is heard: by the feed that is to be asked. */
  provable(): Map<Feed, Topic[]> {
    const byFeed = new Map<Feed, Topic[]>();
    for (const { owner, standIn, topics } of this.#slots.values()) {
      const node = standIn ?? owner;
      const feed = node && this.#feeds.at(node);
      const live = node && [...topics].find(({ coverage }) => coverage.stateAt(node) === "live");
      if (feed === undefined || live === undefined) continue;
      const asked = byFeed.get(feed) ?? [];
      byFeed.set(feed, asked);
      asked.push(live);
    }
    return byFeed;
  }

  /** A new owner serves the slot. Older views of others, which still name the owner of before, do not undo the move. */
  confirmed(node: ClusterNode, { slot: number }: Topic): void {
    const slot = this.#slots.get(number);
    if (slot?.former === undefined || slot.owner !== node) return;
    this.#desk.tracker().slotServed(number, slot.former.address, node.address);
    slot.former = undefined;
  }

  /** A slot leaves the node, or the node has changed its role. The answer of the node and the topology tell which. */
  ended(node: ClusterNode, feed: Feed, topic: Topic): void {
    const slot = this.#slots.get(topic.slot);
    if (slot !== undefined) slot.doubt = { since: this.#desk.now(), rounds: 0 };
    this.#desk.tracker().refreshSoon("urgent");
    this.#desk.trace.happened("ended", topic, node.address);
    const loss = this.#desk.lossAt(feed, topic, "slot-moved");
    this.#desk.do(topic, topic.coverage.ended(node, this.#desk.now(), loss));
  }

  /** Only MOVED says that the channels of the slot are not heard any more. */
  proofRefused(node: ClusterNode, feed: Feed, { slot }: Topic, text: string): void {
    const { refusals, trace } = this.#desk;
    const topics = feed.topics.filter((topic) => topic.slot === slot && topic.coverage.stateAt(node) === "live");
    if (topics.length === 0) return;
    const step = refusals.decide(slot, node, text);
    if (step.kind === "retry" && step.to.kind !== "named") return;
    for (const topic of topics) trace.happened("refused", topic, node.address, step.row);
    if (step.kind === "reject") {
      refusals.reject(topics, node, step, text);
      return;
    }
    for (const topic of topics) {
      feed.noteAway(topic);
      const loss = this.#desk.lossAt(feed, topic, "slot-moved");
      this.#desk.do(topic, topic.coverage.refused(node, this.#desk.now(), loss, true));
    }
    refusals.follow(topics, node, step, text);
  }

  #follow(slot: Slot): void {
    const directory = this.#desk.directory();
    const before = slot.owner;
    const isGone = before !== undefined && !directory.nodes.includes(before);
    if (slot.standIn !== undefined && !directory.nodes.includes(slot.standIn)) this.#standDown(slot);
    // Without another owner, the present one may still serve.
    const owner = directory.ownerOf(slot.number) ?? (isGone ? undefined : before);
    if (owner === before) return;
    const { standIn } = slot;
    slot.owner = owner;
    slot.former = before;
    slot.standIn = undefined;
    if (owner !== undefined && owner === standIn) {
      // The replica was promoted: it is where the topics are.
      this.#settle(slot);
      return;
    }
    slot.doubt = undefined;
    const nodes = owner === undefined ? [] : [owner];
    for (const topic of slot.topics) this.#desk.want(topic, nodes, isGone ? "node-left" : "slot-moved");
  }

  #settle(slot: Slot): void {
    slot.doubt = undefined;
    const now = this.#desk.now();
    for (const topic of slot.topics) this.#desk.do(topic, topic.coverage.settled(now));
  }

  /**
   * A replica stands in for the owner. `noteUp` does not tell that the owner serves if only the connection for its topics
   * was refused, and the others have been open all the time. An owner that answers on one of those takes its topics back.
   */
  #askWhetherBack(owner: ClusterNode): void {
    const connection = owner.pool.lanes.find(({ ready }) => ready)?.useConnection();
    if (connection === undefined || this.#asked.has(owner)) return;
    this.#asked.add(owner);
    (connection.exchange(["PING"])[0] as Promise<Reply>)
      .then(
        () => this.noteUp(owner),
        (error) => error instanceof ReplyError && this.noteUp(owner),
      )
      .finally(() => this.#asked.delete(owner));
  }

  /** The topics go back to the owner. */
  #standDown(slot: Slot): void {
    slot.standIn = undefined;
    const nodes = slot.owner === undefined ? [] : [slot.owner];
    for (const topic of slot.topics) this.#desk.want(topic, nodes, "connection-lost");
  }
}

function newSlot(number: number): Slot {
  return {
    number,
    topics: new Set(),
    owner: undefined,
    former: undefined,
    standIn: undefined,
    standsInSince: Number.NEGATIVE_INFINITY,
    restsUntil: Number.NEGATIVE_INFINITY,
    doubt: undefined,
  };
}
