/** What is published, and how it is heard. */
export interface SubscriptionLoad {
  readonly kind: "channel" | "pattern" | "sharded";
  readonly replies: "string" | "buffer";
  readonly messagesPerSecond: number;
  readonly payloadBytes: number;
  /** Messages that are heard before the measurement. */
  readonly warmUp: number;
  /** Messages that are measured. */
  readonly messages: number;
}

/** The result of a subscriber, printed as one line of JSON. */
export interface SubscriptionResult {
  /** The CPU time of the subscriber's process, user and system, in microseconds per message. */
  readonly cpuMicroseconds: number;
}

export const CHANNELS: readonly string[] = Array.from({ length: 10 }, (_, index) => `{bench}:channel:${index}`);
export const PATTERN = "{bench}:channel:*";
