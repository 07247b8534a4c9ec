import type { UnavailableError } from "../errors.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Desk } from "./desk.ts";
import type { Feeds } from "./feeds.ts";
import { mayBeHome } from "./placement.ts";
import type { Topic } from "./topic.ts";

/** What the judge of topics asks. */
export interface LifelessParts {
  readonly desk: Desk;
  /** The connections on which topics are heard that are like `topic`. */
  readonly feedsOf: (topic: Topic) => Feeds;
  /** The nodes that send keyspace events. */
  readonly sources: () => readonly ClusterNode[];
  /** Milliseconds without a sign of life after which a node is unavailable; 0 for never. */
  readonly limitMs: number;
}

/**
 * Refuses to begin what only nodes could send that are unavailable (`unavailableAfter`), as calls for such nodes are refused.
 *
 * | a topic that is not covered, for somebody who has not heard it yet | |
 * | --- | --- |
 * | sharded, and the owner of its slot is unavailable | refused |
 * | of keyspace events, and any of their sources is | refused: it resolves when all have confirmed |
 * | a channel or a pattern, and every node that may be its home is | refused |
 *
 * Who wanted a topic that is written to such a node by now keeps the deadline, as calls in flight do. Who has heard it waits
 * in a gap, for as long as it takes.
 */
export class Lifeless {
  readonly #parts: LifelessParts;

  constructor(parts: LifelessParts) {
    this.#parts = parts;
  }

  /**
   * Topics are about to be asked for.
   * @throws {UnavailableError} One of them is refused.
   */
  admit(topics: readonly Topic[]): void {
    if (this.#parts.limitMs === 0) return;
    for (const topic of topics) {
      const lost = topic.coverage.isCovered ? undefined : this.#lostFor(topic, () => false);
      if (lost !== undefined) throw this.#refusal(topic, lost);
    }
  }

  /** Topics were asked for. A node that nobody else calls is asked whether it lives, because somebody waits for it now. */
  watch(topics: readonly Topic[]): void {
    if (this.#parts.limitMs === 0) return;
    const senders = new Set(
      topics.flatMap((topic) => {
        if (topic.coverage.isCovered) return [];
        return isAnywhere(topic) ? topic.coverage.wanted : this.#senders(topic);
      }),
    );
    for (const { pool } of senders) pool.askForLife();
  }

  /** Nodes may have become unavailable, or the places of topics may have changed. */
  look(topics: Iterable<Topic>): void {
    if (this.#parts.limitMs === 0) return;
    for (const topic of [...topics]) {
      const waiting = topic.hearers.filter((hearer) => !hearer.hasBegun(topic));
      const feeds = this.#parts.feedsOf(topic);
      const isWritten = (node: ClusterNode) => feeds.at(node)?.hasAsked(topic) === true;
      const lost = waiting.length === 0 ? undefined : this.#lostFor(topic, isWritten);
      if (lost !== undefined) for (const hearer of waiting) hearer.fail(this.#refusal(topic, lost));
    }
  }

  /** The node, for want of which the topic cannot begin. */
  #lostFor(topic: Topic, isExempt: (node: ClusterNode) => boolean): ClusterNode | undefined {
    if (isAnywhere(topic)) return topic.coverage.wanted.some(isExempt) ? undefined : this.#homeless();
    return this.#senders(topic).find((node) => node.pool.isUnavailable && !isExempt(node));
  }

  #refusal(topic: Topic, lost: ClusterNode): UnavailableError {
    return this.#parts.desk.refusals.unavailable(topic, lost, this.#parts.limitMs);
  }

  /** The nodes, all of which have to send the topic. */
  #senders(topic: Topic): readonly ClusterNode[] {
    if (topic.kind === "keyspace") return this.#parts.sources();
    if (topic.kind !== "shard") return [];
    const owner = this.#parts.desk.directory().ownerOf(topic.slot);
    return owner === undefined ? [] : [owner];
  }

  /** A node, if none can be the home of channels and patterns. */
  #homeless(): ClusterNode | undefined {
    const fit = this.#parts.desk.directory().nodes.filter(mayBeHome);
    return fit.every(({ pool }) => pool.isUnavailable) ? fit[0] : undefined;
  }
}

function isAnywhere({ kind }: Topic): boolean {
  return kind === "channel" || kind === "pattern";
}
