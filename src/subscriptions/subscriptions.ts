import type { Environment, Timer } from "../environment.ts";
import type { SlotwireError } from "../errors.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { NodeDirectory } from "../routing/node-directory.ts";
import { countIn, type Telemetry } from "../telemetry/counters.ts";
import { TopicTrace } from "../telemetry/topic-trace.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import type { Action } from "./coverage.ts";
import type { Desk } from "./desk.ts";
import type { Feed } from "./feed.ts";
import { Feeds } from "./feeds.ts";
import { type Gap, type GapReason, type Loss, Proofs, timesOf } from "./gap.ts";
import { GapTeller } from "./gap-teller.ts";
import { Home } from "./home.ts";
import { Lifeless } from "./lifeless.ts";
import { type EventSources, eventSources } from "./placement.ts";
import { Refusals } from "./refusals.ts";
import { ShardSlots } from "./shard-slots.ts";
import { Succession } from "./succession.ts";
import { type Hearer, type Raw, Topic, type TopicKind } from "./topic.ts";

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
  /** Milliseconds without a sign of life after which a node is unavailable; 0 for never. */
  readonly unavailableAfter: number;
}

/** Everything is proven once in this time, and the topology is asked for as often. */
const BEAT_MS = 1000;

/**
 * What one client hears, and from which nodes: keeps every topic where it belongs.
 *
 *   topics --placement--> wanted nodes --coverage--> ask, leave --> feeds
 *   feeds, topology --what happened--> coverage --> gaps --> subscriptions
 */
export class Subscriptions implements Desk {
  readonly environment: Environment;
  readonly trace: TopicTrace;
  readonly refusals: Refusals;
  readonly directory: () => NodeDirectory;
  readonly tracker: () => TopologyTracker;
  readonly #telemetry: Telemetry;
  readonly #isSingle: boolean;
  readonly #teller: GapTeller;
  readonly #topics = new Map<string, Topic>();
  readonly #hearers = new Set<Hearer>();
  readonly #home: Home;
  /** Connections for what only certain nodes send. */
  readonly #nodeFeeds: Feeds;
  readonly #shards: ShardSlots;
  /** The topics of keyspace events, and the nodes that send them. */
  readonly #keyspace = new Set<Topic>();
  #eventSources: EventSources = new Map();
  readonly #succession: Succession;
  readonly #lifeless: Lifeless;
  #beat: Timer | undefined;
  /** When the topology was asked for in which everything was in its place. */
  #inPlace = new Proofs(Number.NEGATIVE_INFINITY);
  #isClosed = false;

  constructor(parts: SubscriptionsParts) {
    const { directory, environment, telemetry, tracker } = parts;
    this.environment = environment;
    this.directory = directory;
    this.tracker = tracker;
    this.#telemetry = telemetry;
    this.#isSingle = parts.isSingle;
    this.trace = new TopicTrace(telemetry.client);
    this.#teller = new GapTeller(environment.clock, (topics, loss, to) => {
      this.trace.onGap(topics, { reason: loss.reason, ...timesOf(loss, to, parts.epochMs) });
    });
    const onPromoted = () => this.#askForTopology();
    this.#succession = new Succession(environment.clock, () => this.#heirs(), onPromoted);
    this.refusals = new Refusals({
      ...parts,
      onAgain: (topics, node) => {
        for (const topic of topics) this.do(topic, topic.coverage.again(node, this.now()));
      },
      onRejected: (topic, error) => this.reject(topic, error),
    });
    const lookForLife = (topics: readonly Topic[]) => {
      this.#lifeless.watch(topics);
      this.#lifeless.look(topics);
    };
    this.#home = new Home(this, lookForLife);
    this.#nodeFeeds = new Feeds(this, {
      onLost: (node, feed, topics) => this.#nodeFeeds.lose(node, feed, topics, "connection-lost"),
      onFailed: (node, feed) => {
        this.#shards.noteFailed(node);
        lookForLife(feed.topics);
      },
      onSilent: (node, feed) => {
        for (const topic of feed.topics) {
          this.do(topic, topic.coverage.silent(node, this.now(), this.lossAt(feed, topic, "node-silent")));
        }
      },
      onConfirmed: (node, topic) => this.#shards.confirmed(node, topic),
      onEnded: (node, feed, topic) => this.#shards.ended(node, feed, topic),
      onProofRefused: (node, feed, topic, text) => this.#shards.proofRefused(node, feed, topic, text),
    });
    this.#shards = new ShardSlots(this, this.#nodeFeeds);
    this.#lifeless = new Lifeless({
      desk: this,
      feedsOf: (topic) => this.#feedsOf(topic),
      sources: () => this.#sourcesNow(),
      limitMs: parts.unavailableAfter,
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
   * @throws {UnavailableError} Nodes have given no sign of life for long that would have to send one of them.
   */
  add(hearer: Hearer, kind: TopicKind, names: readonly string[]): readonly Topic[] {
    const topics = [...new Set(names)].map((binary) => this.#topicOf(kind, binary));
    if (this.#isClosed) return topics;
    this.#lifeless.admit(topics);
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
        this.do(topic, topic.coverage.retain(this.now()));
      } else this.#begin(topic);
    }
    this.#lifeless.watch(topics);
    this.#beatWhileWanted();
    return topics;
  }

  /** Nodes have given no sign of life for long: what waits for them, and was never heard, is refused. */
  noteUnavailable(): void {
    this.#home.noteUnavailable();
    this.#lifeless.look(this.#topics.values());
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
      this.do(topic, topic.coverage.release(this.now()));
    }
    await Promise.all(left);
  }

  /**
   * The topology has changed.
   * @param how  `patched`: by one MOVED, and not by what nodes say of all slots.
   */
  follow(how: "patched" | "refreshed"): void {
    if (this.#isClosed) return;
    const { nodes } = this.directory();
    this.#home.follow(nodes);
    this.#shards.follow();
    // One slot that a replica has taken over shows two owners of one shard, and both would send each event.
    if (how === "refreshed") this.#placeKeyspace();
    else if (this.#keyspace.size > 0) this.tracker().refreshSoon("urgent");
    this.#home.feeds.endWithout(nodes);
    this.#nodeFeeds.endWithout(nodes);
    this.#lifeless.look(this.#topics.values());
  }

  /**
   * A round of topology queries has ended.
   * @param askedAt  When it began.
   * @param isSure   Whether what it found is the topology by now.
   */
  noteRound(askedAt: number, isSure: boolean): void {
    if (this.#topics.size === 0) return;
    if (isSure) {
      this.#inPlace.note(askedAt);
      // Without a view that counts, the topology may still have an entry that one MOVED has changed.
      this.#placeKeyspace();
    }
    const isDoubtful = this.#shards.noteRound(askedAt, isSure);
    if (isDoubtful || this.#lostNodes().size > 0) this.tracker().refreshSoon("urgent");
  }

  /** The nodes that should send topics and do not, although no others can: others may take their places at any moment. */
  #lostNodes(): ReadonlySet<ClusterNode> {
    const lost = this.#shards.lostOwners();
    for (const { coverage } of this.#keyspace) {
      if (coverage.isCovered) continue;
      for (const node of coverage.wanted) if (coverage.stateAt(node) !== "live") lost.add(node);
    }
    return lost;
  }

  /** The replicas of those nodes. */
  #heirs(): readonly ClusterNode[] {
    const lost = new Set([...this.#lostNodes()].map(({ address }) => address));
    if (lost.size === 0) return [];
    return this.directory().nodes.filter(({ info }) => info.primary !== undefined && lost.has(info.primary));
  }

  /** An iteration that is too slow loses messages of `topic`. */
  noteOverflow(topic: Topic, gap: Gap): void {
    if (gap.to === null) countIn(this.#telemetry.counters.gaps, gap.reason);
    this.trace.onGap([topic], gap);
  }

  /** A node is connected. */
  noteUp(node: ClusterNode): void {
    this.#home.noteUp(node);
    this.#nodeFeeds.at(node)?.tryNow();
    this.#shards.noteUp(node);
  }

  /** Ends every connection and every subscription. */
  close(cause: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#beat?.cancel();
    this.refusals.close();
    this.#succession.close();
    this.#home.close(cause);
    this.#nodeFeeds.endAll(cause);
    for (const { whenSettled } of this.#topics.values()) for (const resolve of whenSettled.splice(0)) resolve();
    for (const hearer of [...this.#hearers]) hearer.end();
    this.#topics.clear();
  }

  #feeds(): readonly Feed[] {
    return [...this.#home.feeds.all, ...this.#nodeFeeds.all];
  }

  #topicOf(kind: TopicKind, binary: string): Topic {
    return this.#topics.get(Topic.keyOf(kind, binary)) ?? new Topic(kind, binary);
  }

  /** Places a topic that is new. */
  #begin(topic: Topic): void {
    if (this.#topics.size === 0) this.#inPlace = new Proofs(this.now());
    this.#topics.set(topic.key, topic);
    if (topic.kind === "shard") this.#shards.place(topic);
    else if (topic.kind !== "keyspace") this.#home.place(topic);
    else {
      if (this.#keyspace.size === 0) this.#eventSources = new Map();
      this.#keyspace.add(topic);
      this.want(topic, this.#sources(), "node-joined");
    }
  }

  #forget(topic: Topic): void {
    this.#topics.delete(topic.key);
    this.#home.forget(topic);
    this.#shards.forget(topic);
    this.#keyspace.delete(topic);
    for (const resolve of topic.whenSettled.splice(0)) resolve();
    this.#beatWhileWanted();
  }

  #sources(): readonly ClusterNode[] {
    this.#eventSources = this.#eventSourcesNow();
    return [...this.#eventSources.keys()];
  }

  #sourcesNow(): readonly ClusterNode[] {
    return [...this.#eventSourcesNow().keys()];
  }

  #eventSourcesNow(): EventSources {
    return eventSources(this.directory().nodes, this.tracker().current, this.#eventSources);
  }

  #placeKeyspace(): void {
    if (this.#keyspace.size === 0) return;
    const sources = this.#sources();
    for (const topic of this.#keyspace) this.want(topic, sources, "node-joined");
  }

  #feedsOf({ kind }: Topic): Feeds {
    return kind === "channel" || kind === "pattern" ? this.#home.feeds : this.#nodeFeeds;
  }

  // Desk.

  now(): number {
    return this.environment.clock.now();
  }

  want(topic: Topic, nodes: readonly ClusterNode[], reason: GapReason, isInDoubt = false): void {
    const { coverage } = topic;
    const feeds = this.#feedsOf(topic);
    const proven = coverage.wanted.map((node) => feeds.at(node)?.provenAt(topic) ?? this.now());
    const loss = { from: Math.min(this.#inPlace.older, ...proven), reason };
    this.do(topic, coverage.want(nodes, this.now(), loss, isInDoubt));
  }

  lossAt(feed: Feed | undefined, topic: Topic | undefined, reason: GapReason): Loss {
    const proven = topic === undefined ? feed?.provenAtHome : feed?.provenAt(topic);
    return { from: Math.min(this.#inPlace.older, proven ?? this.now()), reason };
  }

  reject(topic: Topic, error: Error): void {
    for (const hearer of topic.hearers) hearer.fail(error as SlotwireError);
  }

  hear(topic: Topic, { address }: ClusterNode, channel: Raw, payload: Raw): void {
    if (this.#teller.hasNews) this.#teller.flush();
    this.#telemetry.counters.messages++;
    this.trace.onMessage(topic, address, topic.hearers.length);
    for (const hearer of topic.hearers) hearer.hear(topic, channel, payload);
  }

  do(topic: Topic, actions: readonly Action<ClusterNode>[]): void {
    for (const action of actions) {
      switch (action.do) {
        case "ask":
          this.trace.happened("asked", topic, action.node.address);
          this.#feedsOf(topic).ask(action.node, topic);
          break;
        case "leave":
          this.#feedsOf(topic).leave(action.node, topic);
          break;
        case "open-gap":
          countIn(this.#telemetry.counters.gaps, action.loss.reason);
          if (topic.kind === "shard" || topic.kind === "keyspace") this.#succession.watch();
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

  // Proofs.

  #beatWhileWanted(): void {
    if (this.#topics.size === 0 || this.#isClosed) {
      this.#beat?.cancel();
      this.#beat = undefined;
    } else this.#beat ??= this.environment.clock.setTimer(() => this.#proveAll(), BEAT_MS, true);
  }

  #proveAll(): void {
    this.#beat = undefined;
    this.#beatWhileWanted();
    this.#home.prove();
    const provable = this.#shards.provable();
    for (const feed of this.#nodeFeeds.all) feed.prove(provable.get(feed) ?? []);
    if (this.#isSingle) this.#inPlace.note(this.now());
    else this.#askForTopology();
  }

  #askForTopology(): void {
    this.tracker()
      .refresh()
      .catch(() => {});
  }
}
