import { type BackoffRange, backoffMs } from "../connection/backoff.ts";
import { isRefusal } from "../connection/retry-policy.ts";
import type { Environment, Timer } from "../environment.ts";
import type { SlotwireError } from "../errors.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { NodeDirectory } from "../routing/node-directory.ts";
import { countIn, type Telemetry } from "../telemetry/counters.ts";
import { TopicTrace } from "../telemetry/topic-trace.ts";
import type { Topology } from "../topology/topology.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import type { Action } from "./coverage.ts";
import { Feed } from "./feed.ts";
import { type Gap, type GapReason, type Loss, Proofs, timesOf } from "./gap.ts";
import { GapTeller } from "./gap-teller.ts";
import { chooseHome, eventSources, mayBeHome } from "./placement.ts";
import { Refusals } from "./refusals.ts";
import { type Hearer, Topic, type TopicKind } from "./topic.ts";

/** The objects that `Subscriptions` works with. */
export interface SubscriptionsParts {
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  /** Milliseconds from the clock's times to the times since 1970. */
  readonly epochMs: number;
  readonly directory: () => NodeDirectory;
  readonly tracker: () => TopologyTracker;
  /** There is one server, which is not asked for the topology. */
  readonly isSingle: boolean;
}

/** Everything is proven once in this time, and the topology is asked for as often. */
const BEAT_MS = 1000;
/** The waits between homes to which no connection can be opened. */
const HOMES: BackoffRange = { firstMs: 20, mostMs: 500 };
/** The topology agrees with what a server seemed to contradict when it was asked so often since. */
const ROUNDS_OF_DOUBT = 2;
/** A node's MOVED is newer than what other nodes say, until they have heard of it. */
const NEWS_MS = 500;

/** A slot of sharded channels. */
interface Slot {
  readonly topics: Set<Topic>;
  owner: ClusterNode | undefined;
  /** When a node said by MOVED who the owner is. */
  movedAt: number;
  /** Since when a server's word makes the owner doubtful, and the rounds of queries that have begun since. */
  doubt: { readonly since: number; rounds: number } | undefined;
}

/**
 * What one client hears, and from which nodes: keeps every topic where it belongs.
 *
 *   topics --placement--> wanted nodes --coverage--> ask, leave --> feeds
 *   feeds, topology --what happened--> coverage --> gaps --> subscriptions
 */
export class Subscriptions {
  readonly #parts: SubscriptionsParts;
  readonly #environment: Environment;
  readonly #trace: TopicTrace;
  readonly #teller: GapTeller;
  readonly #refusals: Refusals;
  readonly #topics = new Map<string, Topic>();
  readonly #hearers = new Set<Hearer>();
  /** Connections for channels and patterns: one, and those that are being left. */
  readonly #homeFeeds = new Map<ClusterNode, Feed>();
  /** Connections for what only certain nodes send. */
  readonly #nodeFeeds = new Map<ClusterNode, Feed>();
  readonly #atHome = new Set<Topic>();
  readonly #keyspace = new Set<Topic>();
  #eventSources: readonly ClusterNode[] = [];
  readonly #slots = new Map<number, Slot>();
  #home: ClusterNode | undefined;
  #homeFailures = 0;
  #homeRetry: Timer | undefined;
  #beat: Timer | undefined;
  /** When the topology was asked for in which everything was in its place. */
  #inPlace = new Proofs(Number.NEGATIVE_INFINITY);
  #isClosed = false;

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
    this.#environment = parts.environment;
    this.#trace = new TopicTrace(parts.telemetry.client);
    this.#teller = new GapTeller(this.#environment.clock, (topics, loss, to) => {
      this.#trace.onGap(topics, { reason: loss.reason, ...timesOf(loss, to, parts.epochMs) });
    });
    this.#refusals = new Refusals({
      ...parts,
      onAgain: (topics, node) => {
        for (const topic of topics) this.#do(topic, topic.coverage.again(node, this.#now()));
      },
      onMoved: (number) => {
        const slot = this.#slots.get(number);
        if (slot !== undefined) this.#placeSlot(slot, true);
      },
      onRejected: (topic, error) => this.#reject(topic, error),
    });
  }

  /** The number of topics, of subscriptions, and of connections that are open for them. */
  get figures(): { readonly topics: number; readonly subscriptions: number; readonly connections: number } {
    const connections = this.#feeds().filter(({ isOpen }) => isOpen).length;
    return { topics: this.#topics.size, subscriptions: this.#hearers.size, connections };
  }

  /**
   * Adds a subscription to topics. `hearer.covered` is told of each topic, perhaps at once.
   * @returns The topics, in the order of the names, each once.
   */
  add(hearer: Hearer, kind: TopicKind, names: readonly string[]): readonly Topic[] {
    const topics = [...new Set(names)].map((binary) => this.#topicOf(kind, binary));
    if (this.#isClosed) return topics;
    this.#hearers.add(hearer);
    for (const topic of topics) {
      const isWanted = topic.hearers.length > 0;
      topic.add(hearer);
      for (const feed of this.#feeds()) feed.noteHearers(topic);
      if (isWanted) {
        if (topic.coverage.isCovered) hearer.covered(topic);
      } else if (this.#topics.has(topic.key)) {
        // Those who left it need not wait any more: from now on others hear the topic.
        for (const resolve of topic.whenSettled.splice(0)) resolve();
        this.#do(topic, topic.coverage.retain(this.#now()));
      } else this.#begin(topic);
    }
    this.#beatWhileWanted();
    return topics;
  }

  /** Takes a subscription off its topics. Resolves when no server sends any for it. */
  async remove(hearer: Hearer, topics: readonly Topic[]): Promise<void> {
    this.#hearers.delete(hearer);
    const left: Promise<void>[] = [];
    for (const topic of topics) {
      if (!topic.hearers.includes(hearer)) continue;
      topic.remove(hearer);
      for (const feed of this.#feeds()) feed.noteHearers(topic);
      if (topic.hearers.length > 0 || this.#isClosed) continue;
      left.push(new Promise((resolve) => topic.whenSettled.push(resolve)));
      this.#do(topic, topic.coverage.release(this.#now()));
    }
    await Promise.all(left);
  }

  /**
   * The topology has changed.
   * @param patched  The topology before, if a MOVED has changed it, and not what nodes say of all slots.
   */
  follow(patched: Topology | undefined): void {
    if (this.#isClosed) return;
    const { nodes } = this.#parts.directory();
    const home = this.#home;
    if (home !== undefined && !(nodes.includes(home) && mayBeHome(home))) {
      this.#moveHome("node-left", new Error("the node left the cluster, or failed"));
    }
    const { current } = this.#parts.tracker();
    for (const [number, slot] of this.#slots) {
      this.#placeSlot(slot, patched !== undefined && patched.primaryOf(number) !== current.primaryOf(number));
    }
    // One slot that a replica has taken over shows two owners of one shard, and both would send each event.
    if (patched === undefined) this.#placeKeyspace();
    else if (this.#keyspace.size > 0) this.#parts.tracker().refreshSoon("urgent");
    this.#endFeedsWithout(nodes);
  }

  /**
   * A round of topology queries has ended.
   * @param askedAt  When it began.
   * @param isSure   Whether what it found is the topology by now.
   */
  noteRound(askedAt: number, isSure: boolean): void {
    if (this.#topics.size === 0) return;
    if (isSure) this.#inPlace.note(askedAt);
    // What was not believed at first is by now.
    for (const slot of this.#slots.values()) this.#placeSlot(slot, false);
    this.#placeKeyspace();
    let isDoubtful = false;
    for (const { doubt, topics } of this.#slots.values()) {
      if (doubt === undefined) continue;
      if (isSure && askedAt >= doubt.since) doubt.rounds++;
      if (doubt.rounds < ROUNDS_OF_DOUBT) isDoubtful = true;
      else for (const topic of topics) this.#do(topic, topic.coverage.settled(this.#now()));
    }
    for (const slot of this.#slots.values()) if ((slot.doubt?.rounds ?? 0) >= ROUNDS_OF_DOUBT) slot.doubt = undefined;
    if (isDoubtful || this.#isAnyLost()) this.#parts.tracker().refreshSoon("urgent");
  }

  /** Whether a topic is not heard that only certain nodes can send: others may take their places at any moment. */
  #isAnyLost(): boolean {
    const isLost = ({ coverage }: Topic) => !coverage.isCovered;
    for (const { topics } of this.#slots.values()) for (const topic of topics) if (isLost(topic)) return true;
    return [...this.#keyspace].some(isLost);
  }

  /** An iteration that is too slow loses messages of `topic`. */
  noteOverflow(topic: Topic, gap: Gap): void {
    if (gap.to === null) countIn(this.#parts.telemetry.counters.gaps, gap.reason);
    this.#trace.onGap([topic], gap);
  }

  /** A node is connected. */
  noteUp(node: ClusterNode): void {
    const home = this.#home;
    if (home === undefined) this.#settleHome();
    else if (home !== node && this.#homeFeeds.get(home)?.isOpen === false) {
      this.#moveHome("connection-lost", new Error("another node is connected"));
    }
    this.#nodeFeeds.get(node)?.tryNow();
    this.#homeFeeds.get(node)?.tryNow();
  }

  /** Ends every connection and every subscription. */
  close(cause: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#beat?.cancel();
    this.#homeRetry?.cancel();
    this.#refusals.close();
    for (const feed of this.#feeds()) feed.end(cause);
    for (const { whenSettled } of this.#topics.values()) for (const resolve of whenSettled.splice(0)) resolve();
    for (const hearer of [...this.#hearers]) hearer.end();
    this.#topics.clear();
  }

  #now(): number {
    return this.#environment.clock.now();
  }

  #feeds(): Feed[] {
    return [...this.#homeFeeds.values(), ...this.#nodeFeeds.values()];
  }

  #topicOf(kind: TopicKind, binary: string): Topic {
    return this.#topics.get(Topic.keyOf(kind, binary)) ?? new Topic(kind, binary);
  }

  /** Places a topic that is new. */
  #begin(topic: Topic): void {
    if (this.#topics.size === 0) this.#inPlace = new Proofs(this.#now());
    this.#topics.set(topic.key, topic);
    if (topic.kind === "shard") {
      const slot = this.#slots.get(topic.slot) ?? newSlot();
      this.#slots.set(topic.slot, slot);
      slot.owner = this.#parts.directory().ownerOf(topic.slot) ?? slot.owner;
      slot.topics.add(topic);
      this.#want(topic, slot.owner === undefined ? [] : [slot.owner], "slot-moved");
      if (slot.owner === undefined) this.#parts.tracker().seekOwner();
    } else if (topic.kind === "keyspace") {
      if (this.#keyspace.size === 0) this.#eventSources = [];
      this.#keyspace.add(topic);
      this.#want(topic, this.#sources(), "node-joined");
    } else {
      this.#atHome.add(topic);
      if (this.#home === undefined) this.#settleHome();
      else this.#want(topic, [this.#home], "connection-lost");
    }
  }

  #sources(): readonly ClusterNode[] {
    const { nodes } = this.#parts.directory();
    this.#eventSources = eventSources(nodes, this.#parts.tracker().current, this.#eventSources);
    return this.#eventSources;
  }

  /** @param isMoved  A node has said by MOVED where the slot is. */
  #placeSlot(slot: Slot, isMoved: boolean): void {
    const directory = this.#parts.directory();
    const [first] = slot.topics;
    const before = slot.owner;
    const isGone = before !== undefined && !directory.nodes.includes(before);
    // Without another owner, the present one may still serve.
    const owner = (first && directory.ownerOf(first.slot)) ?? (isGone ? undefined : before);
    if (owner === before) return;
    const now = this.#now();
    if (isMoved) slot.movedAt = now;
    else if (!isGone && now - slot.movedAt < NEWS_MS) return;
    slot.owner = owner;
    slot.doubt = undefined;
    for (const topic of slot.topics) {
      this.#want(topic, owner === undefined ? [] : [owner], isGone ? "node-left" : "slot-moved");
    }
  }

  #placeKeyspace(): void {
    if (this.#keyspace.size === 0) return;
    const sources = this.#sources();
    for (const topic of this.#keyspace) this.#want(topic, sources, "node-joined");
  }

  #want(topic: Topic, nodes: readonly ClusterNode[], reason: GapReason): void {
    const { coverage } = topic;
    const proven = coverage.wanted.map((node) => this.#feedAt(topic, node)?.provenAt(topic) ?? this.#now());
    const loss = { from: Math.min(this.#inPlace.older, ...proven), reason };
    this.#do(topic, coverage.want(nodes, this.#now(), loss));
  }

  /** What it costs that `topic` is not heard at `node` any more. */
  #lossAt(topic: Topic, feed: Feed, reason: GapReason): Loss {
    return { from: Math.min(this.#inPlace.older, feed.provenAt(topic)), reason };
  }

  #do(topic: Topic, actions: readonly Action<ClusterNode>[]): void {
    for (const action of actions) {
      switch (action.do) {
        case "ask":
          this.#trace.happened("asked", topic, action.node.address);
          this.#feedFor(topic, action.node).ask(topic);
          break;
        case "leave": {
          const feed = this.#feedAt(topic, action.node);
          if (feed !== undefined) feed.leave(topic);
          else {
            this.#trace.happened("lost", topic, action.node.address);
            this.#do(topic, topic.coverage.left(action.node, this.#now()));
          }
          break;
        }
        case "open-gap":
          countIn(this.#parts.telemetry.counters.gaps, action.loss.reason);
          this.#teller.tell(topic, action.loss, null);
          break;
        case "close-gap":
          this.#teller.tell(topic, action.loss, action.at);
          for (const hearer of topic.hearers) if (!hearer.hasBegun(topic)) hearer.covered(topic);
          break;
        case "begin":
          for (const hearer of topic.hearers) hearer.covered(topic);
          break;
        case "forget":
          this.#forget(topic);
          break;
      }
    }
  }

  #forget(topic: Topic): void {
    this.#topics.delete(topic.key);
    this.#atHome.delete(topic);
    this.#keyspace.delete(topic);
    const slot = this.#slots.get(topic.slot);
    slot?.topics.delete(topic);
    if (slot?.topics.size === 0) this.#slots.delete(topic.slot);
    if (this.#atHome.size === 0) {
      this.#home = undefined;
      this.#homeRetry?.cancel();
    }
    for (const resolve of topic.whenSettled.splice(0)) resolve();
    this.#beatWhileWanted();
  }

  #reject(topic: Topic, error: SlotwireError): void {
    for (const hearer of topic.hearers) hearer.fail(error);
  }

  // Feeds.

  #feedsOf({ kind }: Topic): Map<ClusterNode, Feed> {
    return kind === "channel" || kind === "pattern" ? this.#homeFeeds : this.#nodeFeeds;
  }

  #feedAt(topic: Topic, node: ClusterNode): Feed | undefined {
    return this.#feedsOf(topic).get(node);
  }

  #feedFor(topic: Topic, node: ClusterNode): Feed {
    const feeds = this.#feedsOf(topic);
    let feed = feeds.get(node);
    if (feed === undefined) {
      feed = this.#newFeed(node, feeds);
      feeds.set(node, feed);
    }
    return feed;
  }

  #newFeed(node: ClusterNode, feeds: Map<ClusterNode, Feed>): Feed {
    const { counters } = this.#parts.telemetry;
    const isHome = feeds === this.#homeFeeds;
    const feed: Feed = new Feed(node.pool.settings, node.pool.probe, {
      onMessage: (topic, channel, payload) => {
        if (this.#teller.hasNews) this.#teller.flush();
        counters.messages++;
        this.#trace.onMessage(topic, node.address, topic.hearers.length);
        for (const hearer of topic.hearers) hearer.hear(topic, channel, payload);
      },
      onConfirmed: (topic, askedAt, now) => {
        if (isHome) this.#homeFailures = 0;
        this.#refusals.noteConfirmed(topic.slot);
        this.#trace.happened("confirmed", topic, node.address);
        this.#do(topic, topic.coverage.confirmed(node, now, askedAt));
      },
      onRefused: (topics, text) => this.#refused(feed, node, topics, text),
      onProofRefused: (topic, text) => this.#proofRefused(feed, node, topic, text),
      onLeft: (topic) => {
        this.#trace.happened("left", topic, node.address);
        this.#do(topic, topic.coverage.left(node, this.#now()));
      },
      onEnded: (topic) => this.#ended(feed, node, topic),
      onLost: (topics, cause) => {
        if (isHome && node === this.#home) this.#moveHome("connection-lost", cause);
        else for (const topic of topics) this.#lost(feed, node, topic);
      },
      onFailed: (cause) => {
        if (isRefusal(cause)) for (const topic of feed.topics) if (!topic.coverage.hasBegun) this.#reject(topic, cause);
        // Without another node to go to, the feed tries again.
        const isElsewhere = chooseHome(this.#parts.directory().nodes, node, 0)?.pool.ready === true;
        if (isHome && node === this.#home && isElsewhere) this.#moveHome("connection-lost", cause);
      },
      onSilent: (cause) => {
        if (isHome) this.#moveHome("node-silent", cause);
        else {
          for (const topic of feed.topics) {
            this.#do(topic, topic.coverage.silent(node, this.#now(), this.#lossAt(topic, feed, "node-silent")));
          }
        }
      },
      onSpeaking: () => {
        for (const topic of feed.topics) this.#do(topic, topic.coverage.speaking(node, this.#now()));
      },
      onStranger: (cause) => node.dropConnections(cause),
      onOver: () => {
        if (feeds.get(node) === feed) feeds.delete(node);
      },
    });
    return feed;
  }

  #lost(feed: Feed, node: ClusterNode, topic: Topic): void {
    const loss = this.#lossAt(topic, feed, "connection-lost");
    this.#trace.happened("lost", topic, node.address);
    this.#do(topic, topic.coverage.lost(node, this.#now(), loss));
  }

  /** Ends the feeds of nodes that are not in the topology any more. */
  #endFeedsWithout(nodes: readonly ClusterNode[]): void {
    for (const feeds of [this.#homeFeeds, this.#nodeFeeds]) {
      for (const [node, feed] of feeds) {
        if (nodes.includes(node)) continue;
        const topics = feed.topics;
        feeds.delete(node);
        feed.end(new Error("the node left the cluster"));
        for (const topic of topics) {
          this.#trace.happened("lost", topic, node.address);
          this.#do(topic, topic.coverage.lost(node, this.#now(), this.#lossAt(topic, feed, "node-left")));
        }
      }
    }
  }

  // What servers say.

  #refused(feed: Feed, node: ClusterNode, refused: readonly Topic[], text: string): void {
    // A topic that is being left by now must not be asked for once more.
    const topics = refused.filter((topic) => topic.coverage.stateAt(node) === "asked");
    if (topics.length === 0) return;
    const step = this.#refusals.decide((topics[0] as Topic).slot, node, text);
    if (step.kind === "reject") {
      const half = Math.ceil(topics.length / 2);
      // One of them may be to blame, and must not harm the others.
      if (topics.length > 1) feed.askApart([topics.slice(0, half), topics.slice(half)]);
      else {
        this.#tellRefused(topics, node, step.row);
        this.#refusals.reject(topics, node, step, text);
      }
      return;
    }
    this.#tellRefused(topics, node, step.row);
    const isAway = step.to.kind === "named";
    for (const topic of topics) {
      if (isAway) feed.noteAway(topic);
      const loss = this.#lossAt(topic, feed, isAway ? "slot-moved" : "connection-lost");
      this.#do(topic, topic.coverage.refused(node, this.#now(), loss, isAway));
    }
    this.#refusals.follow(topics, node, step, text);
  }

  #tellRefused(topics: readonly Topic[], { address }: ClusterNode, row: string): void {
    for (const topic of topics) this.#trace.happened("refused", topic, address, row);
  }

  /** Only MOVED says that the channels of the slot are not heard any more. */
  #proofRefused(feed: Feed, node: ClusterNode, { slot }: Topic, text: string): void {
    const topics = feed.topics.filter((topic) => topic.slot === slot && topic.coverage.stateAt(node) === "live");
    if (topics.length === 0) return;
    const step = this.#refusals.decide(slot, node, text);
    if (step.kind === "reject") {
      this.#tellRefused(topics, node, step.row);
      this.#refusals.reject(topics, node, step, text);
      return;
    }
    if (step.to.kind !== "named") return;
    this.#tellRefused(topics, node, step.row);
    for (const topic of topics) {
      feed.noteAway(topic);
      this.#do(topic, topic.coverage.refused(node, this.#now(), this.#lossAt(topic, feed, "slot-moved"), true));
    }
    this.#refusals.follow(topics, node, step, text);
  }

  /** A slot leaves the node, or its node has changed its role. The answer of the node and the topology tell which. */
  #ended(feed: Feed, node: ClusterNode, topic: Topic): void {
    const slot = this.#slots.get(topic.slot);
    if (slot !== undefined) slot.doubt = { since: this.#now(), rounds: 0 };
    this.#parts.tracker().refreshSoon("urgent");
    this.#trace.happened("ended", topic, node.address);
    this.#do(topic, topic.coverage.ended(node, this.#now(), this.#lossAt(topic, feed, "slot-moved")));
  }

  // The home.

  /** Leaves the home at once, and goes to another node if there is one. */
  #moveHome(reason: GapReason, cause: Error): void {
    const old = this.#home as ClusterNode;
    const feed = this.#homeFeeds.get(old);
    const loss = { from: Math.min(this.#inPlace.older, feed?.provenAtHome ?? this.#now()), reason };
    const isFailing = feed?.wasOpen === false;
    this.#homeFeeds.delete(old);
    feed?.end(cause);
    this.#home = undefined;
    const now = this.#now();
    // The old home is left before a new one is chosen, even if it is the same node.
    for (const topic of this.#atHome) this.#do(topic, topic.coverage.want([], now, loss));
    // Topics that were being left there are gone with the connection: nobody confirms that any more.
    for (const topic of this.#atHome) {
      if (topic.coverage.stateAt(old) === undefined) continue;
      this.#trace.happened("lost", topic, old.address);
      this.#do(topic, topic.coverage.lost(old, now, loss));
    }
    if (isFailing) this.#settleHomeLater(old);
    else this.#settleHome(old);
  }

  #settleHomeLater(before: ClusterNode): void {
    this.#homeRetry?.cancel();
    const delayMs = backoffMs(this.#homeFailures++, HOMES, this.#environment.random());
    this.#homeRetry = this.#environment.clock.setTimer(() => this.#settleHome(before), delayMs);
  }

  #settleHome(before?: ClusterNode): void {
    if (this.#home !== undefined || this.#atHome.size === 0) return;
    this.#homeRetry?.cancel();
    this.#home = chooseHome(this.#parts.directory().nodes, before, this.#environment.random());
    if (this.#home === undefined) return;
    for (const topic of this.#atHome) this.#want(topic, [this.#home], "connection-lost");
  }

  // Proofs.

  #beatWhileWanted(): void {
    if (this.#topics.size === 0 || this.#isClosed) {
      this.#beat?.cancel();
      this.#beat = undefined;
    } else this.#beat ??= this.#environment.clock.setTimer(() => this.#proveAll(), BEAT_MS, true);
  }

  #proveAll(): void {
    this.#beat = undefined;
    this.#beatWhileWanted();
    for (const feed of this.#homeFeeds.values()) feed.prove([]);
    const bySlot = new Map<Feed, Topic[]>();
    for (const { owner, topics } of this.#slots.values()) {
      const feed = owner && this.#nodeFeeds.get(owner);
      const live = owner && [...topics].find(({ coverage }) => coverage.stateAt(owner) === "live");
      if (feed === undefined || live === undefined) continue;
      const asked = bySlot.get(feed) ?? [];
      bySlot.set(feed, asked);
      asked.push(live);
    }
    for (const feed of this.#nodeFeeds.values()) feed.prove(bySlot.get(feed) ?? []);
    if (this.#parts.isSingle) this.#inPlace.note(this.#now());
    else
      this.#parts
        .tracker()
        .refresh()
        .catch(() => {});
  }
}

function newSlot(): Slot {
  return { topics: new Set(), owner: undefined, movedAt: Number.NEGATIVE_INFINITY, doubt: undefined };
}
