import type { Cluster, Gap, Message, Subscription } from "../../src/index.ts";
import { lineOfKey } from "./publishers.ts";
import type { Chance } from "./random.ts";
import type { SimLoop } from "./sim-loop.ts";
import { matches } from "./sim-pubsub.ts";
import type { Story } from "./story.ts";
import type { HeardTopic, HistoryEvent } from "./subscription-history.ts";

const KEYSPACE = "__keyspace@0__:";

/** A subscription, as whoever made it sees it. */
export interface Subscribed {
  readonly number: number;
  readonly kind: HeardTopic["kind"];
  readonly names: readonly string[];
  subscription: Subscription | undefined;
  /** It has rejected, or has ended. */
  isOver: boolean;
  /** `close` was called, or its signal aborted. */
  isClosing: boolean;
  /** A promise of it is open. */
  isPending: boolean;
  failure: Error | undefined;
  /** How long it takes for each message. */
  pauseMs: number;
}

/** On which anything is published. */
export type Channels = Readonly<Record<"channel" | "shard" | "keyspace", readonly string[]>>;

/** Subscribes, and notes what it hears. */
export class Subscribers {
  readonly made: Subscribed[] = [];
  readonly #chance: Chance;
  readonly #loop: SimLoop;
  readonly #story: Story;
  readonly #note: (event: HistoryEvent) => void;
  readonly #channels: Channels;

  constructor(channels: Channels, chance: Chance, loop: SimLoop, story: Story, note: (event: HistoryEvent) => void) {
    this.#channels = channels;
    this.#chance = chance;
    this.#loop = loop;
    this.#story = story;
    this.#note = note;
  }

  /** Those that are subscribed and have not been closed. */
  get open(): Subscribed[] {
    return this.made.filter(
      ({ subscription, isOver, isClosing }) => subscription !== undefined && !isOver && !isClosing,
    );
  }

  /** One subscription of a kind that is drawn, to some of its names. */
  subscribe(cluster: Cluster, kind: HeardTopic["kind"], signal?: AbortSignal): Subscribed {
    const chance = this.#chance;
    const names = this.#namesOf(kind).filter(() => chance.of(0.7));
    if (names.length === 0) names.push(this.#namesOf(kind)[0] as string);
    const made: Subscribed = {
      number: this.made.length,
      kind,
      names: kind === "keyspace" ? names.map((name) => `${KEYSPACE}${name}`) : names,
      subscription: undefined,
      isOver: false,
      isClosing: false,
      isPending: true,
      failure: undefined,
      pauseMs: 0,
    };
    this.made.push(made);
    this.#story.tell(() => `subscription ${made.number} to ${kind} ${names.join(" ")}`);
    const topics = made.names.map((name) => ({ kind, name, channels: this.#channelsOf(kind, name) }));
    const view = cluster.with({ timeout: 20_000 });
    const isIterated = chance.of(0.3);
    const onGap = isIterated ? undefined : (gap: Gap) => this.#onGap(made, gap);
    const isSlow = isIterated && chance.of(0.3);
    if (isSlow) made.pauseMs = chance.pick([30, 200]);
    const options = { onGap, ...(isSlow && { maxQueued: chance.pick([1, 3, 10]) }), ...(signal && { signal }) };
    this.#note({ what: "asked", at: this.#loop.time, subscription: made.number, topics, isSlow });
    const listener = (message: Message) => {
      this.#onMessage(made, message);
      if (chance.of(0.01)) throw new Error("a listener that throws");
    };
    const method = {
      channel: "subscribe",
      pattern: "psubscribe",
      shard: "ssubscribe",
      keyspace: "keyspaceEvents",
    } as const;
    const promise = view[method[kind]](names, isIterated ? undefined : listener, options);
    promise.then(
      (subscription) => {
        made.subscription = subscription as Subscription;
        made.isPending = false;
        this.#tell(made, "is confirmed");
        this.#note({ what: "confirmed", at: this.#loop.time, subscription: made.number });
        subscription.ended.then(
          () => this.#over(made, undefined),
          (error: Error) => this.#over(made, error),
        );
        if (isIterated) void this.#iterate(made, subscription as Subscription);
      },
      (error: Error) => {
        made.isPending = false;
        this.#over(made, error);
      },
    );
    return made;
  }

  /** Nobody is slow any more. */
  hurry(): void {
    for (const made of this.made) made.pauseMs = 0;
  }

  close(made: Subscribed): void {
    if (made.subscription === undefined || made.isClosing) return;
    made.isClosing = true;
    made.isPending = true;
    this.#tell(made, "is closed");
    this.#note({ what: "closed", at: this.#loop.time, subscription: made.number });
    made.subscription.close().then(() => {
      made.isPending = false;
      this.#tell(made, "has closed");
    });
  }

  /** Aborts it. */
  abort(made: Subscribed, controller: AbortController): void {
    this.#tell(made, "is aborted");
    made.isClosing = true;
    this.#note({ what: "closed", at: this.#loop.time, subscription: made.number });
    controller.abort();
  }

  #over(made: Subscribed, failure: Error | undefined): void {
    made.isOver = true;
    made.failure = failure;
    this.#tell(made, `is over: ${failure?.message ?? "closed"}`);
    this.#note({ what: "closed", at: this.#loop.time, subscription: made.number });
  }

  #tell({ number }: Subscribed, what: string): void {
    this.#story.tell(() => `subscription ${number} ${what}`);
  }

  #namesOf(kind: HeardTopic["kind"]): string[] {
    const { channel, shard, keyspace } = this.#channels;
    if (kind === "channel") return [...channel];
    if (kind === "shard") return [...shard];
    if (kind === "pattern") return ["news:*", "news:?"];
    return keyspace.length > 1 ? [`${keyspace[0]}:*`, "num:*"] : ["num:*"];
  }

  #channelsOf(kind: HeardTopic["kind"], name: string): readonly string[] {
    const { channel, keyspace } = this.#channels;
    if (kind === "channel" || kind === "shard") return [name];
    if (kind === "pattern") return channel.filter((each) => matches(name, each));
    return keyspace.filter((each) => matches(name, `${KEYSPACE}${each}:0`));
  }

  async #iterate(made: Subscribed, subscription: Subscription): Promise<void> {
    try {
      for await (const event of subscription.events()) {
        if ("reason" in event) this.#onGap(made, event);
        else this.#onMessage(made, event);
        const { pauseMs } = made;
        if (pauseMs > 0 && !made.isOver) await new Promise<void>((resolve) => this.#loop.setTimer(resolve, pauseMs));
      }
    } catch (error) {
      if (made.failure === undefined && !made.isClosing) this.#over(made, error as Error);
    }
  }

  #onMessage(made: Subscribed, { channel, payload, pattern }: Message): void {
    const common = { what: "delivered", at: this.#loop.time, subscription: made.number } as const;
    const topic = pattern ?? channel;
    if (made.kind === "keyspace") {
      if (payload === "set") this.#note({ ...common, topic, ...lineOfKey(channel.slice(KEYSPACE.length)) });
      return;
    }
    const [number, node, order] = payload.split(/[@.]/).map(Number) as [number, number, number];
    this.#note({ ...common, topic, channel, number, from: { node, order } });
    this.#tell(made, `hears ${channel} ${payload}`);
  }

  #onGap(made: Subscribed, { channels, from, to, reason }: Gap): void {
    this.#tell(made, `gap ${channels.join(" ")} from ${from} to ${to}: ${reason}`);
    this.#note({ what: "gap", at: this.#loop.time, subscription: made.number, topics: channels, from, to, reason });
  }
}
