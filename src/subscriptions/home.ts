import { type BackoffRange, backoffMs } from "../connection/backoff.ts";
import type { Timer } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Desk } from "./desk.ts";
import type { Feed } from "./feed.ts";
import { Feeds } from "./feeds.ts";
import type { GapReason } from "./gap.ts";
import { chooseHome, mayBeHome } from "./placement.ts";
import type { Topic } from "./topic.ts";

/** The waits between homes to which no connection can be opened. */
const HOMES: BackoffRange = { firstMs: 20, mostMs: 500 };

/**
 * The one node where channels and patterns are heard. Any node will do, because PUBLISH reaches them all.
 *
 *   none --chosen--> home --lost, silent, failed, gone--> none
 */
export class Home {
  readonly feeds: Feeds;
  readonly #desk: Desk;
  readonly #topics = new Set<Topic>();
  readonly #onUncovered: (topics: readonly Topic[]) => void;
  #home: ClusterNode | undefined;
  #failures = 0;
  #retry: Timer | undefined;

  /** @param onUncovered  Called when topics have got another home, or no connection to theirs could be opened. */
  constructor(desk: Desk, onUncovered: (topics: readonly Topic[]) => void) {
    this.#desk = desk;
    this.#onUncovered = onUncovered;
    this.feeds = new Feeds(desk, {
      onLost: (node, feed, topics, cause) => {
        if (node === this.#home) this.#move("connection-lost", cause);
        else this.feeds.lose(node, feed, topics, "connection-lost");
      },
      onFailed: (node, _, cause) => {
        if (node !== this.#home) return;
        // Without another node to go to, the feed tries again.
        if (this.#isElsewhere(node)) this.#move("connection-lost", cause);
        else this.#onUncovered([...this.#topics]);
      },
      onSilent: (node, _, cause) => {
        if (node === this.#home) this.#move("node-silent", cause);
      },
    });
  }

  place(topic: Topic): void {
    this.#topics.add(topic);
    if (this.#home === undefined) this.#settle();
    else this.#desk.want(topic, [this.#home], "connection-lost");
  }

  forget(topic: Topic): void {
    this.#topics.delete(topic);
    if (this.#topics.size > 0) return;
    this.#home = undefined;
    this.#retry?.cancel();
  }

  /** The topology has changed. */
  follow(nodes: readonly ClusterNode[]): void {
    const home = this.#home;
    if (home === undefined || (nodes.includes(home) && mayBeHome(home))) return;
    this.#move("node-left", new Error("the node left the cluster, or failed"));
  }

  noteUp(node: ClusterNode): void {
    const home = this.#home;
    if (home === undefined) this.#settle();
    else if (home !== node && this.feeds.at(home)?.isOpen === false) {
      this.#move("connection-lost", new Error("another node is connected"));
    }
    this.feeds.at(node)?.tryNow();
  }

  /** Nodes have given no sign of life for long. A home to which no connection is open is left for another node. */
  noteUnavailable(): void {
    const home = this.#home;
    if (home?.pool.isUnavailable !== true || this.feeds.at(home)?.isOpen === true) return;
    if (this.#isElsewhere(home)) this.#move("connection-lost", new Error("the node gives no sign of life"));
  }

  #isElsewhere(home: ClusterNode): boolean {
    return chooseHome(this.#desk.directory().nodes, home, 0)?.pool.ready === true;
  }

  prove(): void {
    for (const feed of this.feeds.all) feed.prove([]);
  }

  close(cause: Error): void {
    this.#retry?.cancel();
    this.feeds.endAll(cause);
  }

  /** Leaves the home at once, and goes to another node if there is one. */
  #move(reason: GapReason, cause: Error): void {
    const old = this.#home as ClusterNode;
    const feed: Feed | undefined = this.feeds.at(old);
    const loss = this.#desk.lossAt(feed, undefined, reason);
    if (feed?.wasOpen === true) this.#failures = 0;
    this.feeds.end(old, cause);
    this.#home = undefined;
    const now = this.#desk.now();
    // The old home is left before a new one is chosen, even if it is the same node.
    for (const topic of this.#topics) this.#desk.do(topic, topic.coverage.want([], now, loss));
    // Topics that were being left there are gone with the connection: nobody confirms that any more.
    for (const topic of this.#topics) {
      if (topic.coverage.stateAt(old) === undefined) continue;
      this.#desk.trace.happened("lost", topic, old.address);
      this.#desk.do(topic, topic.coverage.lost(old, now, loss));
    }
    if (feed?.wasOpen === false) this.#settleLater(old);
    else this.#settle(old);
  }

  #settleLater(before: ClusterNode): void {
    this.#retry?.cancel();
    const { clock, random } = this.#desk.environment;
    this.#retry = clock.setTimer(() => this.#settle(before), backoffMs(this.#failures++, HOMES, random()));
  }

  #settle(before?: ClusterNode): void {
    if (this.#home !== undefined || this.#topics.size === 0) return;
    this.#retry?.cancel();
    this.#home = chooseHome(this.#desk.directory().nodes, before, this.#desk.environment.random());
    if (this.#home === undefined) return;
    for (const topic of this.#topics) this.#desk.want(topic, [this.#home], "connection-lost");
    if (before !== undefined) this.#onUncovered([...this.#topics]);
  }
}
