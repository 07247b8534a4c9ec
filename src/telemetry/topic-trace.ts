import {
  type ClientInfo,
  type GapMessage,
  gapChannel,
  messageChannel,
  type TopicInfo,
  type TopicMessage,
  topicChannel,
} from "./channels.ts";
import { nextSeq } from "./sequence.ts";

/** The property of a topic that a trace reads. */
export interface TracedTopic {
  readonly info: TopicInfo;
}

/** Publishes what becomes of the topics of one client on the diagnostics channels. */
export class TopicTrace {
  readonly #client: ClientInfo;

  constructor(client: ClientInfo) {
    this.#client = client;
  }

  /** @param row  The row of the decision on a refusal. */
  happened(event: TopicMessage["event"], { info: topic }: TracedTopic, address: string, row?: string): void {
    if (!topicChannel.hasSubscribers) return;
    topicChannel.publish({ seq: nextSeq(), client: this.#client, topic, address, event, row });
  }

  onMessage({ info: topic }: TracedTopic, address: string, subscriptions: number): void {
    if (!messageChannel.hasSubscribers) return;
    messageChannel.publish({ seq: nextSeq(), client: this.#client, topic, address, subscriptions });
  }

  /** Times are those of the message. */
  onGap(topics: readonly TracedTopic[], { reason, from, to }: Pick<GapMessage, "reason" | "from" | "to">): void {
    if (!gapChannel.hasSubscribers) return;
    gapChannel.publish({
      seq: nextSeq(),
      client: this.#client,
      topics: topics.map(({ info }) => info),
      reason,
      from,
      to,
    });
  }
}
