import type { Clock } from "../environment.ts";
import { gapChannel } from "../telemetry/channels.ts";
import type { Loss } from "./gap.ts";
import type { Hearer, Topic } from "./topic.ts";

interface News {
  /** Undefined: the diagnostics channel. */
  readonly hearer: Hearer | undefined;
  readonly topics: Topic[];
  readonly loss: Loss;
  readonly to: number | null;
}

/**
 * Tells subscriptions of the gaps of their topics. What begins or ends for many topics at one moment is told in one call
 * for each subscription, at the end of the tick, or before the next message if that comes earlier. The diagnostics channel
 * is told like a subscription to all topics.
 */
export class GapTeller {
  readonly #clock: Clock;
  readonly #publish: (topics: readonly Topic[], loss: Loss, to: number | null) => void;
  /** In the order in which they have to be told. */
  #news = new Map<string, News>();
  readonly #numbers = new WeakMap<Hearer, number>();
  #count = 0;

  constructor(clock: Clock, publish: (topics: readonly Topic[], loss: Loss, to: number | null) => void) {
    this.#clock = clock;
    this.#publish = publish;
  }

  get hasNews(): boolean {
    return this.#news.size > 0;
  }

  /** A gap of `topic` begins, or ends at `to`. */
  tell(topic: Topic, loss: Loss, to: number | null): void {
    for (const hearer of topic.hearers) if (hearer.hasBegun(topic)) this.#add(hearer, topic, loss, to);
    if (gapChannel.hasSubscribers) this.#add(undefined, topic, loss, to);
  }

  #add(hearer: Hearer | undefined, topic: Topic, loss: Loss, to: number | null): void {
    const key = `${hearer && this.#numberOf(hearer)} ${loss.reason} ${loss.from} ${to}`;
    const news = this.#news.get(key);
    if (news !== undefined) news.topics.push(topic);
    else {
      if (this.#news.size === 0) this.#clock.nextTick(() => this.flush());
      this.#news.set(key, { hearer, topics: [topic], loss, to });
    }
  }

  flush(): void {
    const all = this.#news;
    if (all.size === 0) return;
    this.#news = new Map();
    for (const { hearer, topics, loss, to } of all.values()) {
      if (hearer === undefined) this.#publish(topics, loss, to);
      else hearer.tellGap(topics, loss, to);
    }
  }

  #numberOf(hearer: Hearer): number {
    let number = this.#numbers.get(hearer);
    if (number === undefined) {
      number = this.#count++;
      this.#numbers.set(hearer, number);
    }
    return number;
  }
}
