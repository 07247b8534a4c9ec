/*
 * What was published and what came of it, as the publishers, the servers and the subscribers saw it: the input of
 * `subscription-promises.ts`. All times are of one clock, in milliseconds.
 */

/** A name that was subscribed to. */
export interface HeardTopic {
  readonly kind: "channel" | "pattern" | "shard" | "keyspace";
  /** As gaps name it. */
  readonly name: string;
  /** The channels whose messages it brings. */
  readonly channels: readonly string[];
}

/** Events, in the order in which they happened. */
export type HistoryEvent =
  /** Each channel has numbers of its own, which rise. */
  | { readonly what: "published"; readonly at: number; readonly channel: string; readonly number: number }
  /** The message did not reach the node that serves the client, and the client cannot know: it was lost between servers. */
  | { readonly what: "unheard"; readonly at: number; readonly channel: string; readonly number: number }
  | {
      readonly what: "asked";
      readonly at: number;
      readonly subscription: number;
      readonly topics: readonly HeardTopic[];
      /** It is iterated, and whoever iterates takes time. */
      readonly isSlow?: boolean;
    }
  /** The servers have confirmed all topics of the subscription: from now on messages are owed. */
  | { readonly what: "confirmed"; readonly at: number; readonly subscription: number }
  | {
      readonly what: "delivered";
      readonly at: number;
      readonly subscription: number;
      /** As gaps name it. */
      readonly topic: string;
      readonly channel: string;
      readonly number: number;
      /** Who sent it, and as which of all that it has sent; undefined where it is not known. */
      readonly from?: { readonly node: number; readonly order: number } | undefined;
    }
  | {
      readonly what: "gap";
      readonly at: number;
      readonly subscription: number;
      readonly topics: readonly string[];
      readonly from: number;
      readonly to: number | null;
      readonly reason: string;
    }
  /** A server has ended a topic unasked, and the client has read it. */
  | { readonly what: "news"; readonly at: number; readonly topic: string }
  /** The subscription was closed, or was ended with an error. */
  | { readonly what: "closed"; readonly at: number; readonly subscription: number }
  /** Something that may cost messages: until when at most it is felt if the client does nothing wrong. */
  | {
      readonly what: "fault";
      readonly at: number;
      readonly until: number;
      /** If it is the only one: every gap ends so long after it, or so long after what a server says of it unasked. */
      readonly heardWithin?: { readonly ms: number; readonly of: "fault" | "news" } | undefined;
    }
  /** Everything is mended, and time enough has passed. */
  | { readonly what: "settled"; readonly at: number };

type Of<W extends HistoryEvent["what"]> = Extract<HistoryEvent, { readonly what: W }>;
type Gap = Of<"gap">;

/** What one subscription told of one topic. */
export interface Heard {
  readonly subscription: number;
  readonly topic: HeardTopic;
  readonly isSlow: boolean;
  /** From when on messages are owed, and until when. */
  readonly from: number;
  readonly until: number;
  /** In the order of the history, with their positions in it. */
  readonly delivered: readonly (Of<"delivered"> & { readonly position: number })[];
  readonly gaps: readonly (Gap & { readonly position: number })[];
}

/** Sorts a history by subscription and topic. */
export function heardIn(history: readonly HistoryEvent[]): Heard[] {
  const end = history.at(-1)?.at ?? 0;
  const closedAt = new Map<number, number>();
  const confirmedAt = new Map<number, number>();
  for (const event of history) {
    if (event.what === "confirmed") confirmedAt.set(event.subscription, event.at);
    if (event.what === "closed" && !closedAt.has(event.subscription)) closedAt.set(event.subscription, event.at);
  }
  const all = new Map<string, Heard & { delivered: Heard["delivered"][number][]; gaps: Heard["gaps"][number][] }>();
  const find = (subscription: number, topic: string) => all.get(`${subscription} ${topic}`);
  for (const [position, event] of history.entries()) {
    if (event.what === "asked") {
      const { subscription, isSlow = false } = event;
      const from = confirmedAt.get(subscription) ?? Number.POSITIVE_INFINITY;
      const until = closedAt.get(subscription) ?? end;
      for (const topic of event.topics) {
        all.set(`${subscription} ${topic.name}`, { subscription, topic, isSlow, from, until, delivered: [], gaps: [] });
      }
    } else if (event.what === "delivered") {
      find(event.subscription, event.topic)?.delivered.push({ ...event, position });
    } else if (event.what === "gap") {
      for (const topic of event.topics) find(event.subscription, topic)?.gaps.push({ ...event, position });
    }
  }
  return [...all.values()];
}
