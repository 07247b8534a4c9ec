import type { Clock } from "../environment.ts";
import { AbortedError, ClosedError, InvalidArgumentError, type SlotwireError } from "../errors.ts";
import { type Gap, type Loss, timesOf } from "./gap.ts";
import { Iteration } from "./iteration.ts";
import { MessageQueue } from "./message-queue.ts";
import type { Hearer, Raw, Topic } from "./topic.ts";

/** A message as a subscription's listener or iteration gets it. Strings, or Buffers in a view with `replies: "buffer"`. */
export interface Message<S extends string | Buffer = string> {
  /** The channel on which the message was published. For keyspace events, `__keyspace@<db>__:` and the key. */
  readonly channel: S;
  /** What was published. For keyspace events, the name of the event. */
  readonly payload: S;
  /** The pattern that the channel matched; undefined for a channel that was named. */
  readonly pattern?: S;
}

/** Gets each message as it arrives. What it throws harms nobody; the event `listenerError` tells of it. */
export type MessageListener<S extends string | Buffer = string> = (message: Message<S>) => void;

/** The options of `subscribe` and its like. */
export interface SubscribeOptions {
  /**
   * Ends the subscription when it is aborted, whether the servers have confirmed it by then or not.
   * @default the `signal` of the view, or else no signal
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Told of each time in which messages may have been missed: when it begins, and when it ends.
   * @default only `events()` has the gaps
   */
  readonly onGap?: ((gap: Gap) => void) | undefined;
  /**
   * The most messages that wait for an iteration. The oldest are dropped, and a gap `overflow` is told.
   * @default 10000
   */
  readonly maxQueued?: number | undefined;
  /**
   * The most bytes of messages that wait for an iteration.
   * @default 16777216
   */
  readonly maxQueuedBytes?: number | undefined;
}

/** The settings of one subscription. */
export interface SubscriptionSettings {
  readonly wantsBuffers: boolean;
  readonly listener: ((message: Message<string | Buffer>) => unknown) | undefined;
  readonly onGap: ((gap: Gap) => void) | undefined;
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  readonly clock: Clock;
  /** Milliseconds from the clock's times to the times since 1970. */
  readonly epochMs: number;
  /** A listener has thrown, or its promise has rejected. */
  onListenerError(error: unknown, what: "message" | "gap"): void;
  /** Messages of a topic are dropped, because the iteration is too slow. Told when that begins and when it ends. */
  onOverflow(topic: Topic, gap: Gap): void;
  /** Takes the subscription off its topics. Resolves when no server sends anything for it. */
  remove(subscription: Hearer, topics: readonly Topic[]): Promise<void>;
}

/** What waits for an iteration. */
type Item =
  | { readonly gap: Gap; readonly topics: readonly Topic[]; readonly message?: undefined }
  /** `at`: when the message arrived, in milliseconds since 1970. */
  | { readonly gap?: undefined; readonly message: Message<never>; readonly topic: Topic; readonly at: number };

/** So many gaps are kept for an iteration that is too slow. Those before them are parts of an `overflow`. */
const MOST_CARRIED = 1000;

const nothing = () => {};

/**
 * What `subscribe`, `psubscribe`, `ssubscribe` and `keyspaceEvents` resolve to. Without a listener, it is iterated:
 * `for await (const message of subscription)`. Leaving the loop does not close the subscription.
 *
 *   begun --every topic is covered--> confirmed --close(), the client ends--> ended
 *     '-------- refused by the servers, aborted --'-----------------------------^  with an error
 */
export class Subscription<S extends string | Buffer = string> implements AsyncIterable<Message<S>> {
  /** @internal */
  readonly wantsBuffers: boolean;
  /**
   * Resolves when the subscription was closed, by `close` or with the client. Rejects when the servers refuse it later on
   * (NOPERM), or when its signal was aborted. A rejection that nobody handles harms nobody.
   */
  readonly ended: Promise<void>;
  /**
   * A server has refused a channel, or could not be reached, and is asked again, or another one is.
   * @internal
   */
  onRefused: (error: SlotwireError) => void = nothing;
  readonly #settings: SubscriptionSettings;
  readonly #queue: MessageQueue<Item> | undefined;
  #topics: readonly Topic[] | undefined;
  /** The topics that have been covered. */
  readonly #begun = new Set<Topic>();
  readonly #confirmed: Promise<void>;
  #confirm: () => void = nothing;
  #refuse: (error: SlotwireError) => void = nothing;
  #over: () => void = nothing;
  #failed: (error: Error) => void = nothing;
  #closing: Promise<void> | undefined;
  #stopListening: () => void = nothing;
  /** By topic: when the first and the last message arrived that were dropped since one was taken. */
  readonly #dropped = new Map<Topic, { from: number; to: number }>();
  /** Gaps that would have been dropped. Each is taken all the same, because it is told when it begins and when it ends. */
  readonly #carried: Item[] = [];

  /** @internal */
  constructor(settings: SubscriptionSettings) {
    this.#settings = settings;
    this.wantsBuffers = settings.wantsBuffers;
    this.#confirmed = new Promise((resolve, reject) => {
      this.#confirm = resolve;
      this.#refuse = reject;
    });
    this.ended = new Promise((resolve, reject) => {
      this.#over = resolve;
      this.#failed = reject;
    });
    this.#confirmed.catch(nothing);
    this.ended.catch(nothing);
    if (settings.listener !== undefined) return;
    const { maxQueued: items, maxQueuedBytes: bytes } = settings;
    const onDropped = (item: Item) => this.#drop(item);
    this.#queue = new MessageQueue({ items, bytes }, { onDropped, onTaking: () => this.#endOverflow() });
  }

  /**
   * Begins to hear topics. Resolves when the servers have confirmed all of them.
   * @internal
   * @param stopListening  Takes the subscription off its signal.
   */
  begin(topics: readonly Topic[], stopListening: () => void): Promise<void> {
    this.#topics = topics;
    this.#stopListening = stopListening;
    this.#checkConfirmed();
    return this.#confirmed;
  }

  /**
   * Ends the subscription. Resolves when no server sends anything for it. The listener gets nothing from now on; an
   * iteration gets what waits by now, and ends.
   */
  close(): Promise<void> {
    return this.#end(undefined);
  }

  /** Closes as `close()` does, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * The messages. They are kept from the beginning on, within the bounds, until they are taken. Two iterations share them.
   * @throws {InvalidArgumentError} The subscription has a listener.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<S>> {
    return new Iteration(this.#waiting, ({ message }) => message as Message<S> | undefined);
  }

  /**
   * The messages and the gaps, in order. A gap is an object with a `reason`.
   * @throws {InvalidArgumentError} The subscription has a listener.
   */
  events(): AsyncIterableIterator<Message<S> | Gap> {
    return new Iteration(this.#waiting, ({ message, gap }) => gap ?? (message as Message<S> | undefined));
  }

  get #waiting(): MessageQueue<Item> {
    if (this.#queue !== undefined) return this.#queue;
    throw new InvalidArgumentError("The subscription has a listener, which gets the messages. Without one, iterate.");
  }

  // Hearer. The class does not say so, nor that it is Abortable, because its published types lack what is internal.

  /** @internal */
  hear(topic: Topic, channel: Raw, payload: Raw): void {
    if (this.#closing !== undefined) return;
    const { listener } = this.#settings;
    const message = this.wantsBuffers ? bytesMessage(topic, channel, payload) : textMessage(topic, channel, payload);
    if (listener !== undefined) this.#call(listener, message, "message");
    else {
      const item: Item = { message: message as Message<never>, topic, at: this.#epochNow() };
      this.#queue?.push(item, channel.length + payload.length);
    }
  }

  /** @internal */
  covered(topic: Topic): void {
    this.#begun.add(topic);
    this.#checkConfirmed();
  }

  /** @internal */
  hasBegun(topic: Topic): boolean {
    return this.#begun.has(topic);
  }

  /** @internal */
  tellGap(topics: readonly Topic[], loss: Loss, to: number | null): void {
    if (this.#closing !== undefined) return;
    const gap: Gap = Object.freeze({
      channels: Object.freeze(topics.map(({ text }) => text)),
      ...timesOf(loss, to, this.#settings.epochMs),
      reason: loss.reason,
    });
    this.#queue?.push({ gap, topics }, 0);
    this.#tellOnGap(gap);
  }

  /** @internal */
  refused(error: SlotwireError): void {
    this.onRefused(error);
  }

  /** @internal */
  fail(error: SlotwireError): void {
    void this.#end(error);
  }

  /** @internal */
  end(): void {
    void this.#end(undefined);
  }

  // Abortable.

  /** @internal */
  abort(reason: unknown): void {
    void this.#end(new AbortedError("executed", reason));
  }

  #checkConfirmed(): void {
    // The size tells it at once: asking every topic at each confirmation would take seconds for many.
    if (this.#begun.size === this.#topics?.length) this.#confirm();
  }

  #end(error: SlotwireError | undefined): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    const { remove } = this.#settings;
    this.#stopListening();
    this.#closing = remove(this, this.#topics ?? []);
    this.#queue?.end(error);
    this.#refuse(error ?? new ClosedError());
    if (error === undefined) this.#over();
    else this.#failed(error);
    return this.#closing;
  }

  #epochNow(): number {
    return this.#settings.clock.now() + this.#settings.epochMs;
  }

  #tellOnGap(gap: Gap): void {
    const { onGap } = this.#settings;
    if (onGap !== undefined) this.#call(onGap, gap, "gap");
  }

  #call<T>(listener: (value: T) => unknown, value: T, what: "message" | "gap"): void {
    const { onListenerError } = this.#settings;
    try {
      const result = listener(value);
      if (result instanceof Promise) result.catch((error: unknown) => onListenerError(error, what));
    } catch (error) {
      onListenerError(error, what);
    }
  }

  // What an iteration that is too slow loses.

  #drop(item: Item): void {
    const { gap } = item;
    if (gap !== undefined && this.#carried.length < MOST_CARRIED) {
      this.#carried.push(item);
      return;
    }
    const [from, to] = gap === undefined ? [item.at, item.at] : [gap.from, gap.to ?? gap.from];
    for (const topic of gap === undefined ? [item.topic] : item.topics) {
      const times = this.#dropped.get(topic);
      if (times === undefined) {
        this.#dropped.set(topic, { from, to });
        this.#tellOverflow(topic, from, null);
      } else {
        times.from = Math.min(times.from, from);
        times.to = Math.max(times.to, to);
      }
    }
  }

  /** The oldest message that is left is taken. What was dropped was older. */
  #endOverflow(): Item[] {
    if (this.#dropped.size === 0 && this.#carried.length === 0) return [];
    const dropped = [...this.#dropped];
    this.#dropped.clear();
    const overflows: Item[] = dropped.flatMap(([topic, { from, to }]) => {
      const gap = this.#tellOverflow(topic, from, to);
      const topics = [topic];
      return [
        { gap: Object.freeze({ ...gap, to: null }), topics },
        { gap, topics },
      ];
    });
    return [...overflows, ...this.#carried.splice(0)];
  }

  #tellOverflow(topic: Topic, from: number, to: number | null): Gap {
    const times = { from: Math.floor(from), to: to === null ? null : Math.ceil(to) };
    const gap: Gap = Object.freeze({ channels: Object.freeze([topic.text]), ...times, reason: "overflow" });
    this.#settings.onOverflow(topic, gap);
    this.#tellOnGap(gap);
    return gap;
  }
}

function textMessage(topic: Topic, channel: Raw, payload: Raw): Message<string> {
  if (!topic.isPattern) return { channel: textOf(channel), payload: textOf(payload) };
  return { channel: textOf(channel), payload: textOf(payload), pattern: topic.text };
}

function bytesMessage(topic: Topic, channel: Raw, payload: Raw): Message<Buffer> {
  // A listener may write into its Buffers.
  const isShared = topic.hearers.length > 1;
  const named = { channel: bytesOf(channel, isShared), payload: bytesOf(payload, isShared) };
  return topic.isPattern ? { ...named, pattern: Buffer.from(topic.binary, "latin1") } : named;
}

function textOf(raw: Raw): string {
  return typeof raw === "string" ? raw : raw.toString();
}

function bytesOf(raw: Raw, isShared: boolean): Buffer {
  return typeof raw === "string" || isShared ? Buffer.from(raw as Buffer) : raw;
}
