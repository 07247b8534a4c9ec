import { Farewell } from "../connection/farewell.ts";
import { isRefusal } from "../connection/retry-policy.ts";
import { UnavailableError, withParticulars } from "../errors.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Desk } from "./desk.ts";
import { Feed } from "./feed.ts";
import { COMMANDS, type Hearer, type Topic } from "./topic.ts";

/** What happened to the feed of one node, where the places differ. */
export interface FeedNews {
  onLost(node: ClusterNode, feed: Feed, topics: readonly Topic[], cause: Error): void;
  onFailed(node: ClusterNode, feed: Feed, cause: Error): void;
  onSilent(node: ClusterNode, feed: Feed, cause: Error): void;
  onConfirmed?(node: ClusterNode, topic: Topic): void;
  onEnded?(node: ClusterNode, feed: Feed, topic: Topic): void;
  onProofRefused?(node: ClusterNode, feed: Feed, topic: Topic, text: string): void;
}

/** The pauses of whoever has paused so often are the longest. */
const OFTEN = 10;

/** The feeds of one sort, by their node. */
export class Feeds {
  readonly #desk: Desk;
  readonly #news: FeedNews;
  readonly #byNode = new Map<ClusterNode, Feed>();

  constructor(desk: Desk, news: FeedNews) {
    this.#desk = desk;
    this.#news = news;
  }

  get all(): readonly Feed[] {
    return [...this.#byNode.values()];
  }

  at(node: ClusterNode): Feed | undefined {
    return this.#byNode.get(node);
  }

  ask(node: ClusterNode, topic: Topic): void {
    let feed = this.#byNode.get(node);
    if (feed === undefined) {
      feed = this.#newFeed(node);
      this.#byNode.set(node, feed);
    }
    feed.ask(topic);
  }

  leave(node: ClusterNode, topic: Topic): void {
    const feed = this.#byNode.get(node);
    if (feed === undefined) this.#lost(node, topic, () => topic.coverage.left(node, this.#desk.now()));
    else feed.leave(topic);
  }

  /** Ends the feed of a node at once. Nobody is told. */
  end(node: ClusterNode, cause: Error): void {
    const feed = this.#byNode.get(node);
    this.#byNode.delete(node);
    feed?.end(cause);
  }

  endAll(cause: Error): void {
    for (const node of [...this.#byNode.keys()]) this.end(node, cause);
  }

  /** Ends the feeds of nodes that are not in the topology any more. Their topics are lost. */
  endWithout(nodes: readonly ClusterNode[]): void {
    for (const [node, feed] of [...this.#byNode]) {
      if (nodes.includes(node)) continue;
      const { topics } = feed;
      this.end(node, new Farewell("node-left", "the node left the cluster"));
      this.lose(node, feed, topics, "node-left");
    }
  }

  /** The topics are not heard at the node any more. */
  lose(node: ClusterNode, feed: Feed, topics: readonly Topic[], reason: "connection-lost" | "node-left"): void {
    for (const topic of topics) {
      const loss = this.#desk.lossAt(feed, topic, reason);
      this.#lost(node, topic, () => topic.coverage.lost(node, this.#desk.now(), loss));
    }
  }

  #lost(node: ClusterNode, topic: Topic, event: () => ReturnType<Topic["coverage"]["lost"]>): void {
    this.#desk.trace.happened("lost", topic, node.address);
    this.#desk.do(topic, event());
  }

  #newFeed(node: ClusterNode): Feed {
    const desk = this.#desk;
    const { address } = node;
    const feed: Feed = new Feed(node.pool.settings, node.pool.probe, {
      onMessage: (topic, channel, payload) => desk.hear(topic, node, channel, payload),
      onConfirmed: (topic, askedAt, now) => {
        desk.refusals.noteConfirmed(topic.slot);
        this.#news.onConfirmed?.(node, topic);
        desk.trace.happened("confirmed", topic, address);
        desk.do(topic, topic.coverage.confirmed(node, now, askedAt));
      },
      onRefused: (topics, text) => this.#refused(feed, node, topics, text),
      onProofRefused: (topic, text) => this.#news.onProofRefused?.(node, feed, topic, text),
      onLeft: (topic) => {
        desk.trace.happened("left", topic, address);
        desk.do(topic, topic.coverage.left(node, desk.now()));
      },
      onLeaveRefused: (topics, text) => this.#leaveRefused(feed, node, topics, text),
      onEnded: (topic) => this.#news.onEnded?.(node, feed, topic),
      onLost: (topics, cause) => this.#news.onLost(node, feed, topics, cause),
      onFailed: (cause) => {
        if (isRefusal(cause)) for (const topic of feed.topics) if (!topic.coverage.hasBegun) desk.reject(topic, cause);
        tellUnreachable(feed, address, cause);
        this.#news.onFailed(node, feed, cause);
      },
      onSilent: (cause) => this.#news.onSilent(node, feed, cause),
      onSpeaking: () => {
        for (const topic of feed.topics) desk.do(topic, topic.coverage.speaking(node, desk.now()));
      },
      onStranger: (cause) => node.dropConnections(cause),
      onOver: () => {
        if (this.#byNode.get(node) === feed) this.#byNode.delete(node);
      },
    });
    return feed;
  }

  #leaveRefused(feed: Feed, node: ClusterNode, topics: readonly Topic[], text: string): void {
    const { refusals } = this.#desk;
    const step = refusals.decideLeaving((topics[0] as Topic).slot, node, text);
    if (step.kind === "reject") feed.drop(new Error(`topics could not be left: ${text}`));
    // MOVED says that the slot, and its channels with it, have left the node.
    else if (step.to.kind === "named") feed.noteNotSent(topics);
    // The server may still send them. The end of the connection would cost its other topics.
    else {
      const isLeaving = ({ coverage }: Topic) => coverage.stateAt(node) === "leaving";
      refusals.pauseThen(OFTEN, () => feed.leaveAgain(topics.filter(isLeaving)));
    }
  }

  #refused(feed: Feed, node: ClusterNode, refused: readonly Topic[], text: string): void {
    const { refusals, trace } = this.#desk;
    // A topic that is being left by now must not be asked for once more.
    const topics = refused.filter((topic) => topic.coverage.stateAt(node) === "asked");
    if (topics.length === 0) return;
    const step = refusals.decide((topics[0] as Topic).slot, node, text);
    if (step.kind === "reject" && topics.length > 1) {
      // One of them may be to blame, and must not harm the others.
      const half = Math.ceil(topics.length / 2);
      feed.askApart([topics.slice(0, half), topics.slice(half)]);
      return;
    }
    for (const topic of topics) trace.happened("refused", topic, node.address, step.row);
    if (step.kind === "reject") {
      refusals.reject(topics, node, step, text);
      return;
    }
    const isAway = step.to.kind === "named";
    for (const topic of topics) {
      if (isAway) feed.noteAway(topic);
      const loss = this.#desk.lossAt(feed, topic, isAway ? "slot-moved" : "connection-lost");
      this.#desk.do(topic, topic.coverage.refused(node, this.#desk.now(), loss, isAway));
    }
    refusals.follow(topics, node, step, text);
  }
}

/** Tells each subscription that waits for its first confirmation here why it does not come. */
function tellUnreachable(feed: Feed, address: string, cause: Error): void {
  const told = new Set<Hearer>();
  for (const topic of feed.topics) {
    for (const hearer of topic.hearers) {
      if (told.has(hearer) || hearer.hasBegun(topic)) continue;
      told.add(hearer);
      hearer.refused(unreachable(topic, address, cause));
    }
  }
}

function unreachable({ kind, slot }: Topic, address: string, cause: Error): UnavailableError {
  const error = new UnavailableError(`${address} could not be reached`, new Map([[address, cause]]));
  return withParticulars(error, { command: COMMANDS[kind].ask, address, slot: slot === -1 ? undefined : slot });
}
