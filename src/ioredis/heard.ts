import type { EventEmitter } from "node:events";
import type { Argument, Cluster, Gap, Message, Subscription } from "../index.ts";
import { givenTo, withPrefix } from "./arguments.ts";
import { told } from "./callbacks.ts";
import { errorOf } from "./replies.ts";

/** The kinds of subscriptions, and the words of their events. */
const KINDS = {
  subscribe: { event: "message", method: "subscribe" },
  psubscribe: { event: "pmessage", method: "psubscribe" },
  ssubscribe: { event: "smessage", method: "ssubscribe" },
} as const;

export type SubscribeMethod = keyof typeof KINDS;

/** One channel or pattern, from the call that asked for it to the call that leaves it. */
interface Asked {
  readonly name: Buffer;
  opened: Promise<Subscription<Buffer>>;
  /** The client that it was opened on. */
  on: Cluster | undefined;
}

type WithCluster = (subscribe: (cluster: Cluster) => Promise<Subscription<Buffer>>) => Promise<Subscription<Buffer>>;

/** The channels and patterns that one client is subscribed to, and the events of their messages. */
export class Heard {
  readonly #emitter: EventEmitter & { readonly keyPrefix: string };
  readonly #with: WithCluster;
  readonly #asked: Readonly<Record<SubscribeMethod, Map<string, Asked>>> = {
    subscribe: new Map(),
    psubscribe: new Map(),
    ssubscribe: new Map(),
  };

  /** @param withCluster  Does it with the client, now or when it is connected. */
  constructor(emitter: EventEmitter & { readonly keyPrefix: string }, withCluster: WithCluster) {
    this.#emitter = emitter;
    this.#with = withCluster;
  }

  /** Subscribes to names, each by itself. Resolves to the number of all subscriptions, as servers count them. */
  subscribe(method: SubscribeMethod, values: readonly unknown[]): Promise<number> {
    const { args, callback } = givenTo(method, values);
    const names = this.#namesOf(method, args);
    const counted = Promise.all(names.map((name) => this.#subscribe(method, name))).then(
      () => this.#count(method),
      (error: unknown) => {
        throw errorOf(error, method, args.length);
      },
    );
    return told(counted, callback);
  }

  /** Leaves names, or all of a kind. Resolves to the number of subscriptions that are left. */
  unsubscribe(method: SubscribeMethod, values: readonly unknown[]): Promise<number> {
    const { args, callback } = givenTo(method, values);
    return told(this.#unsubscribe(method, this.#namesOf(method, args)), callback);
  }

  /** Sharded channels count as keys, so they have the prefix. Channels and patterns have not. */
  #namesOf(method: SubscribeMethod, args: readonly Argument[]): (string | Uint8Array)[] {
    return withPrefix(this.#emitter.keyPrefix, method, args) as (string | Uint8Array)[];
  }

  #subscribe(method: SubscribeMethod, given: string | Uint8Array): Promise<unknown> {
    const name = Buffer.from(given as string);
    const key = name.toString("latin1");
    const all = this.#asked[method];
    const known = all.get(key);
    if (known !== undefined) return known.opened;
    const asked: Asked = { name, on: undefined, opened: undefined as never };
    // Known from now on: it can be left before the client is connected.
    all.set(key, asked);
    return this.#open(method, key, asked);
  }

  #open(method: SubscribeMethod, key: string, asked: Asked): Promise<unknown> {
    const { event } = KINDS[method];
    const onMessage = (message: Message<Buffer>) => this.#emit(event, message);
    const onGap = (gap: Gap) => void this.#emitter.emit("gap", gap);
    const opened = this.#with((cluster) => {
      asked.on = cluster;
      return cluster.with({ replies: "buffer" })[method]<Buffer>(asked.name, onMessage, { onGap });
    });
    asked.opened = opened;
    const all = this.#asked[method];
    // When it is refused, now or later, it can be asked for again.
    opened
      .then(({ ended }) => ended)
      .catch(() => {
        if (all.get(key) === asked && asked.opened === opened) all.delete(key);
      });
    return opened;
  }

  /** The client has connected. What was heard on an earlier connection of it is heard again. */
  connected(cluster: Cluster): void {
    for (const method of Object.keys(KINDS) as SubscribeMethod[]) {
      for (const [key, asked] of this.#asked[method]) {
        if (asked.on !== undefined && asked.on !== cluster) this.#open(method, key, asked);
      }
    }
  }

  async #unsubscribe(method: SubscribeMethod, names: readonly (string | Uint8Array)[]): Promise<number> {
    const all = this.#asked[method];
    const keys =
      names.length === 0 ? [...all.keys()] : names.map((name) => Buffer.from(name as string).toString("latin1"));
    await Promise.all(
      keys.map(async (key) => {
        const opened = all.get(key)?.opened;
        all.delete(key);
        await (await opened?.catch(() => undefined))?.close();
      }),
    );
    return this.#count(method);
  }

  #count(method: SubscribeMethod): number {
    const { subscribe, psubscribe, ssubscribe } = this.#asked;
    return method === "ssubscribe" ? ssubscribe.size : subscribe.size + psubscribe.size;
  }

  #emit(event: string, { channel, payload, pattern }: Message<Buffer>): void {
    const front = pattern === undefined ? [] : [pattern.toString()];
    const emitter = this.#emitter;
    if (emitter.listenerCount(event) > 0) emitter.emit(event, ...front, channel.toString(), payload.toString());
    if (emitter.listenerCount(`${event}Buffer`) > 0) emitter.emit(`${event}Buffer`, ...front, channel, payload);
  }
}
