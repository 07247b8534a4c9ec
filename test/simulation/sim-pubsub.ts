import { slotOfKey } from "./sim-routing.ts";
import type { NodeSession } from "./sim-session.ts";

/** What can be subscribed to; the prefixes of its commands are none, P and S. */
export type TopicKind = "channel" | "pattern" | "shard";

/** What servers call a message, a subscription and its end, by the kind of the topic. */
const WORDS = {
  channel: { message: "message", begin: "subscribe", end: "unsubscribe" },
  pattern: { message: "pmessage", begin: "psubscribe", end: "punsubscribe" },
  shard: { message: "smessage", begin: "ssubscribe", end: "sunsubscribe" },
} as const;

/** A message on its way to those who are subscribed at one node. */
export interface Message {
  readonly kind: "channel" | "shard";
  readonly channel: string;
  readonly payload: string;
  /** The payload tells which node hands it on, and as which of its messages. */
  readonly isStamped: boolean;
}

/** Who is subscribed to what at one node. */
export class PubSub {
  readonly #topics = {
    channel: new Map<string, Set<NodeSession>>(),
    pattern: new Map<string, Set<NodeSession>>(),
    shard: new Map<string, Set<NodeSession>>(),
  };

  #delivered = 0;

  /** The names of all topics of a kind. */
  names(kind: TopicKind): string[] {
    return [...this.#topics[kind].keys()];
  }

  subscribers(kind: TopicKind, name: string): NodeSession[] {
    return [...(this.#topics[kind].get(name) ?? [])];
  }

  get isListenedTo(): boolean {
    const { channel, pattern, shard } = this.#topics;
    return channel.size + pattern.size + shard.size > 0;
  }

  /** The reply to a subscription to one topic. */
  begin(session: NodeSession, kind: TopicKind, name: string): [word: string, name: string, count: number] {
    const topics = this.#topics[kind];
    const sessions = topics.get(name) ?? new Set();
    topics.set(name, sessions.add(session));
    session.topics[kind].add(name);
    return [WORDS[kind].begin, name, countOf(session, kind)];
  }

  /** The reply to the end of a subscription, and what the server says when it ends one by itself. */
  end(session: NodeSession, kind: TopicKind, name: string): [word: string, name: string, count: number] {
    const topics = this.#topics[kind];
    const sessions = topics.get(name);
    if (sessions?.delete(session) && sessions.size === 0) topics.delete(name);
    session.topics[kind].delete(name);
    return [WORDS[kind].end, name, countOf(session, kind)];
  }

  /** The replies to an end without names: all topics of the kind. */
  endAll(session: NodeSession, kind: TopicKind): [word: string, name: string | null, count: number][] {
    const names = [...session.topics[kind]];
    if (names.length === 0) return [[WORDS[kind].end, null, countOf(session, kind)]];
    return names.map((name) => this.end(session, kind, name));
  }

  /** A connection has ended. */
  forget(session: NodeSession): void {
    for (const kind of ["channel", "pattern", "shard"] as const) {
      for (const name of session.topics[kind]) this.end(session, kind, name);
    }
  }

  /** Returns to how many connections it went, as PUBLISH does. */
  deliver(message: Message, node: number): number {
    const { kind, channel } = message;
    const payload = message.isStamped ? `${message.payload}@${node}.${this.#delivered++}` : message.payload;
    const sessions = this.subscribers(kind, channel);
    for (const session of sessions) session.push([WORDS[kind].message, channel, payload]);
    let count = sessions.length;
    if (kind === "shard") return count;
    for (const [pattern, others] of this.#topics.pattern) {
      if (!matches(pattern, channel)) continue;
      for (const session of others) session.push([WORDS.pattern.message, pattern, channel, payload]);
      count += others.size;
    }
    return count;
  }

  /** Slots have left the node: those who are subscribed to their channels are told, and are not subscribed any more. */
  drop(hasLeft: (slot: number) => boolean): void {
    for (const name of this.names("shard")) {
      if (!hasLeft(slotOfKey(name))) continue;
      for (const session of this.subscribers("shard", name)) {
        session.push(this.end(session, "shard", name), true);
      }
    }
  }
}

/** Sharded channels are counted by themselves. */
function countOf({ topics }: NodeSession, kind: TopicKind): number {
  return kind === "shard" ? topics.shard.size : topics.channel.size + topics.pattern.size;
}

const patterns = new Map<string, RegExp>();

/** Glob patterns as servers know them. */
export function matches(pattern: string, text: string): boolean {
  let known = patterns.get(pattern);
  if (known === undefined) {
    const parts = pattern.match(/\\[\s\S]|\[(?:\\[\s\S]|[^\]])*\]|[\s\S]/g) ?? [];
    const source = parts.map((part) => {
      if (part === "*") return "[\\s\\S]*";
      if (part === "?") return "[\\s\\S]";
      return part.length > 1 && part.startsWith("[") ? part : (part.at(-1) as string).replace(/[^\w]/g, "\\$&");
    });
    known = new RegExp(`^${source.join("")}$`);
    patterns.set(pattern, known);
  }
  return known.test(text);
}
