import type { EventEmitter } from "node:events";
import type { Argument, Cluster, Message, Subscription } from "../index.ts";
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

/** The channels and patterns that one client is subscribed to, and the events of their messages. */
export class Heard {
  readonly #emitter: EventEmitter & { readonly keyPrefix: string };
  readonly #with: (subscribe: (cluster: Cluster) => Promise<number>) => Promise<number>;
  readonly #subscriptions: Readonly<Record<SubscribeMethod, Map<string, Promise<Subscription<Buffer>>>>> = {
    subscribe: new Map(),
    psubscribe: new Map(),
    ssubscribe: new Map(),
  };

  /** @param withCluster  Does it with the client, now or when it is connected. */
  constructor(
    emitter: EventEmitter & { readonly keyPrefix: string },
    withCluster: (subscribe: (cluster: Cluster) => Promise<number>) => Promise<number>,
  ) {
    this.#emitter = emitter;
    this.#with = withCluster;
  }

  /** Subscribes to names, each by itself. Resolves to the number of all subscriptions, as servers count them. */
  subscribe(method: SubscribeMethod, values: readonly unknown[]): Promise<number> {
    const { args, callback } = givenTo(method, values);
    const names = this.#namesOf(method, args);
    const counted = this.#with((cluster) => this.#subscribe(cluster, method, names)).catch((error: unknown) => {
      throw errorOf(error, method, args.length);
    });
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

  async #subscribe(
    cluster: Cluster,
    method: SubscribeMethod,
    names: readonly (string | Uint8Array)[],
  ): Promise<number> {
    const view = cluster.with({ replies: "buffer" });
    const all = this.#subscriptions[method];
    await Promise.all(
      names.map((name) => {
        const key = Buffer.from(name as string).toString("latin1");
        const known = all.get(key);
        if (known !== undefined) return known;
        const { event } = KINDS[method];
        const onMessage = (message: Message<Buffer>) => this.#emit(event, message);
        const subscription = view[method]<Buffer>(Buffer.from(name as string), onMessage, {
          onGap: (gap) => this.#emitter.emit("gap", gap),
        });
        all.set(key, subscription);
        subscription.catch(() => all.delete(key));
        return subscription;
      }),
    );
    return this.#count(method);
  }

  async #unsubscribe(method: SubscribeMethod, names: readonly (string | Uint8Array)[]): Promise<number> {
    const all = this.#subscriptions[method];
    const keys =
      names.length === 0 ? [...all.keys()] : names.map((name) => Buffer.from(name as string).toString("latin1"));
    await Promise.all(
      keys.map(async (key) => {
        const subscription = all.get(key);
        all.delete(key);
        await (await subscription?.catch(() => undefined))?.close();
      }),
    );
    return this.#count(method);
  }

  /** Whether anything is subscribed to. */
  get isHearing(): boolean {
    return Object.values(this.#subscriptions).some(({ size }) => size > 0);
  }

  #count(method: SubscribeMethod): number {
    const { subscribe, psubscribe, ssubscribe } = this.#subscriptions;
    return method === "ssubscribe" ? ssubscribe.size : subscribe.size + psubscribe.size;
  }

  #emit(event: string, { channel, payload, pattern }: Message<Buffer>): void {
    const front = pattern === undefined ? [] : [pattern.toString()];
    const emitter = this.#emitter;
    if (emitter.listenerCount(event) > 0) emitter.emit(event, ...front, channel.toString(), payload.toString());
    if (emitter.listenerCount(`${event}Buffer`) > 0) emitter.emit(`${event}Buffer`, ...front, channel, payload);
  }
}
