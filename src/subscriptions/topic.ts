import type { SlotwireError } from "../errors.ts";
import { slotOf } from "../protocol/hash-slot.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { TopicInfo } from "../telemetry/channels.ts";
import { Coverage } from "./coverage.ts";
import type { Loss } from "./gap.ts";

/**
 * The kinds of topics.
 *
 *   channel    SUBSCRIBE    at one node, the home node     PUBLISH reaches every node
 *   pattern    PSUBSCRIBE   at the home node
 *   shard      SSUBSCRIBE   at the owner of its slot       SPUBLISH stays within a shard
 *   keyspace   PSUBSCRIBE   at every primary               notifications stay on the node where the key is
 */
export type TopicKind = "channel" | "pattern" | "shard" | "keyspace";

/** The commands of each kind. */
export const COMMANDS = {
  channel: { ask: "SUBSCRIBE", leave: "UNSUBSCRIBE" },
  pattern: { ask: "PSUBSCRIBE", leave: "PUNSUBSCRIBE" },
  shard: { ask: "SSUBSCRIBE", leave: "SUNSUBSCRIBE" },
  keyspace: { ask: "PSUBSCRIBE", leave: "PUNSUBSCRIBE" },
} as const satisfies Record<TopicKind, { readonly ask: string; readonly leave: string }>;

/** A text, or the bytes that were sent. Feeds on which somebody wants Buffers get Buffers. */
export type Raw = string | Buffer;

/** A subscription, as the topics see it. */
export interface Hearer {
  /** Whether the subscription takes Buffers. */
  readonly wantsBuffers: boolean;
  /** A message. `topic.pattern` is what it matched. */
  hear(topic: Topic, channel: Raw, payload: Raw): void;
  /** The topic is covered, for this subscription for the first time or again. */
  covered(topic: Topic): void;
  /** A gap begins, or ends at `to`. The subscription has heard the topic before. */
  tellGap(topics: readonly Topic[], loss: Loss, to: number | null): void;
  /** Whether the topic has been covered since the subscription wants it. */
  hasBegun(topic: Topic): boolean;
  /** A server refuses the topic for now, or cannot be reached, and is asked again, or another one is. */
  refused(error: SlotwireError): void;
  /** The servers refuse the topic for good. */
  fail(error: SlotwireError): void;
  /** The client has ended. */
  end(): void;
}

const NOBODY: readonly Hearer[] = [];

/** One thing that servers can be asked to send. Subscriptions that want the same share it. */
export class Topic {
  readonly kind: TopicKind;
  /** The name as a binary string, in which each character is one byte. */
  readonly binary: string;
  /** The name as text. */
  readonly text: string;
  /** Whether `text` says all of the name. */
  readonly isText: boolean;
  /** The slot of a sharded channel; -1 for other topics. */
  readonly slot: number;
  /** The topic as the diagnostics channels show it. */
  readonly info: TopicInfo;
  readonly coverage = new Coverage<ClusterNode>();
  /** Never changed but replaced, because listeners subscribe and unsubscribe while a message is delivered. */
  hearers: readonly Hearer[] = NOBODY;
  /** Called when no server sends the topic any more. */
  readonly whenSettled: (() => void)[] = [];

  constructor(kind: TopicKind, binary: string) {
    this.kind = kind;
    this.binary = binary;
    const bytes = Buffer.from(binary, "latin1");
    this.text = bytes.toString();
    this.isText = Buffer.from(this.text).equals(bytes);
    this.slot = kind === "shard" ? slotOf(bytes) : -1;
    this.info = Object.freeze({ kind, slot: this.slot });
  }

  /** The key under which a topic is found. */
  static keyOf(kind: TopicKind, binary: string): string {
    return `${kind} ${binary}`;
  }

  get key(): string {
    return Topic.keyOf(this.kind, this.binary);
  }

  /** Whether messages carry the pattern that they matched. */
  get isPattern(): boolean {
    return this.kind === "pattern" || this.kind === "keyspace";
  }

  /** Whether the feeds of the topic must not decode its messages as text. */
  get needsBytes(): boolean {
    return !this.isText || this.hearers.some(({ wantsBuffers }) => wantsBuffers);
  }

  add(hearer: Hearer): void {
    this.hearers = [...this.hearers, hearer];
  }

  remove(hearer: Hearer): void {
    this.hearers = this.hearers.filter((each) => each !== hearer);
  }
}
