import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, type ConnectOptions, connect, slotOf } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { ByteProxy } from "./byte-proxy.ts";
import { Hearer } from "./hearer.ts";
import { Publisher, type StreamPlan } from "./publisher.ts";
import type { Expected, Judgement } from "./subscription-history.ts";

export type Kind = "channel" | "pattern" | "shard" | "keyspace";
export const KINDS: readonly Kind[] = ["channel", "pattern", "shard", "keyspace"];

/** The servers' argument with which they tell of each SET. */
export const KEYSPACE_EVENTS = ["--notify-keyspace-events", "K$"];

export interface SubscribedOptions {
  /** How many channels of each kind; of a kind that is left out, none. */
  readonly channels: Readonly<Partial<Record<Kind, number>>>;
  /** Options of the client. */
  readonly client?: Partial<ConnectOptions>;
  /**
   * Whether the client reaches every node through a proxy.
   * @default false
   */
  readonly proxied?: boolean;
  /** Which node must have the subscriptions to channels and patterns. The client chooses one, so clients are made until it fits. */
  readonly home?: (address: string, client: Cluster) => boolean;
  /** The names of the shard channels, by their index. */
  readonly shardName?: (index: number) => string;
}

const MOST_CLIENTS = 100;
let made = 0;

/** A client with subscriptions of all kinds, what it hears, and a publisher. */
export class SubscribedCluster {
  readonly cluster: LocalCluster;
  readonly proxies: ReadonlyMap<string, ByteProxy>;
  readonly client: Cluster;
  readonly hearers: Readonly<Record<Kind, Hearer>>;
  /** The node that has the subscriptions to channels and patterns. */
  readonly home: string;
  readonly #publisher: Publisher;
  readonly #names: Readonly<Record<Kind, readonly string[]>>;

  private constructor(
    given: Pick<SubscribedCluster, "cluster" | "proxies" | "client" | "hearers" | "home">,
    publisher: Publisher,
    names: Readonly<Record<Kind, readonly string[]>>,
  ) {
    this.cluster = given.cluster;
    this.proxies = given.proxies;
    this.client = given.client;
    this.hearers = given.hearers;
    this.home = given.home;
    this.#publisher = publisher;
    this.#names = names;
  }

  static async start(cluster: LocalCluster, options: SubscribedOptions): Promise<SubscribedCluster> {
    const prefix = `t${made++}`;
    const { channels, shardName = (index: number) => `${prefix}:shard:${index}` } = options;
    const count = (kind: Kind, name: (index: number) => string) =>
      Array.from({ length: channels[kind] ?? 0 }, (_, index) => name(index));
    const names = {
      channel: count("channel", (index) => `${prefix}:news:${index}`),
      pattern: count("pattern", (index) => `${prefix}:pattern:${index}`),
      shard: count("shard", shardName),
      keyspace: count("keyspace", (index) => `{${prefix}:keys:${index}}`),
    };
    const [pattern, events] = [`${prefix}:pattern:*`, `__keyspace@0__:{${prefix}:keys:*`];
    const hearers = {
      channel: new Hearer(),
      pattern: new Hearer(() => pattern),
      shard: new Hearer(),
      keyspace: new Hearer(() => events),
    };
    const proxies = new Map<string, ByteProxy>();
    if (options.proxied) for (const address of cluster.nodes) proxies.set(address, await ByteProxy.start(address));
    const natMap = Object.fromEntries([...proxies].map(([address, { host, port }]) => [address, { host, port }]));
    const toCluster = { ...cluster.connectOptions, natMap, ...options.client };
    const publisher = await Publisher.start(cluster);
    let client: Cluster | undefined;
    try {
      const withHome = names.channel.length + names.pattern.length > 0;
      let home = "";
      for (let tries = 1; home === ""; tries++) {
        client = await connect(toCluster);
        if (!withHome) break;
        // It stays, so that the node does.
        await client.subscribe(`${prefix}:home:${tries}`, () => {});
        const at = await subscriberOf(cluster, `${prefix}:home:${tries}`);
        if (options.home?.(at, client) ?? true) home = at;
        else if (tries === MOST_CLIENTS) throw new Error(`No client of ${tries} subscribed where it should.`);
        else client.destroy();
      }
      const connected = client as Cluster;
      const { channel, pattern: byPattern, shard, keyspace } = hearers;
      if (names.channel.length > 0) {
        await connected.subscribe(names.channel, channel.onMessage, { onGap: channel.onGap });
      }
      if (names.pattern.length > 0) {
        await connected.psubscribe(pattern, byPattern.onMessage, { onGap: byPattern.onGap });
      }
      if (names.shard.length > 0) await connected.ssubscribe(names.shard, shard.onMessage, { onGap: shard.onGap });
      if (names.keyspace.length > 0) {
        await connected.keyspaceEvents(events, keyspace.onMessage, { onGap: keyspace.onGap });
      }
      const given = { cluster, proxies, client: connected, hearers, home };
      return new SubscribedCluster(given, publisher, names);
    } catch (error) {
      client?.destroy();
      await publisher.end();
      for (const proxy of proxies.values()) await proxy.stop();
      throw error;
    }
  }

  /** The names of the shard channels whose slots a node owns, as the client knows it. */
  shardsOf(address: string): readonly string[] {
    return this.#names.shard.filter((name) => this.client.topology.primaryOf(slotOf(name))?.address === address);
  }

  /** Begins to publish. Each channel is published at one of the nodes named, each shard channel and key at its owner. */
  publish(perSecond: number, { at = this.cluster.nodes, publishers = 1 } = {}): void {
    const streams = KINDS.flatMap((kind) => {
      return this.#names[kind].map((name, index): StreamPlan => {
        if (kind === "channel" || kind === "pattern") {
          return { name, kind: "channel", at: at[index % at.length] as string };
        }
        const slot = slotOf(kind === "shard" ? name : `${name}:0`);
        return { name, kind, at: this.client.topology.primaryOf(slot)?.address ?? (at[0] as string) };
      });
    });
    this.#publisher.publish({ streams, perSecond, publishers });
  }

  /** Waits until each of these kinds has had a gap since then, and none has one now. Whether it came to that. */
  async liveAgain(since: number, kinds: readonly Kind[], patienceMs = 20_000): Promise<boolean> {
    const holds = () =>
      kinds.every((kind) => this.hearers[kind].openGaps === 0 && this.hearers[kind].liveAgainAt() >= since);
    for (const end = performance.now() + patienceMs; !holds() && performance.now() < end; ) await sleep(10);
    return holds();
  }

  /** Publishes no more, and judges what was heard of each kind that there is. */
  async judge(
    expected: (kind: Kind) => Expected,
  ): Promise<Judgement & { readonly of: Readonly<Record<Kind, Judgement>> }> {
    const sent = await this.#publisher.stop();
    const judged = await Promise.all(
      KINDS.map(async (kind) => {
        const streams = sent.filter(({ name }) => this.#names[kind].includes(name));
        return this.hearers[kind].judge(streams, streams.length > 0 ? expected(kind) : { gaps: 0 });
      }),
    );
    const sum = (figure: (judgement: Judgement) => number) => judged.reduce((all, each) => all + figure(each), 0);
    return {
      of: Object.fromEntries(KINDS.map((kind, index) => [kind, judged[index]])) as Record<Kind, Judgement>,
      faults: judged.flatMap(({ faults }) => faults),
      gaps: judged.flatMap(({ gaps }) => gaps),
      acknowledged: sum(({ acknowledged }) => acknowledged),
      heard: sum(({ heard }) => heard),
      missed: sum(({ missed }) => missed),
      again: sum(({ again }) => again),
    };
  }

  async stop(): Promise<void> {
    this.client.destroy();
    await this.#publisher.end();
    for (const proxy of this.proxies.values()) await proxy.stop();
  }
}

/** The one node that has a subscriber of a channel. */
export async function subscriberOf(cluster: LocalCluster, channel: string, command = "NUMSUB"): Promise<string> {
  const counts = await Promise.all(
    cluster.nodes.map(async (address) => {
      const [, count] = (await cluster.command(address, "PUBSUB", command, channel)) as [string, number];
      return [address, count] as const;
    }),
  );
  const [found, ...others] = counts.filter(([, count]) => count > 0);
  if (found === undefined || others.length > 0) throw new Error(`Subscribers of ${channel}: ${counts.join(" ")}`);
  return found[0];
}

/** Whether these servers have shard channels: 7.0 and later. */
export async function takesShardChannels(cluster: LocalCluster): Promise<boolean> {
  const [known] = (await cluster.command(cluster.nodes[0] as string, "COMMAND", "INFO", "ssubscribe")) as unknown[];
  return Array.isArray(known);
}

/** How long after a moment the gaps around it ended. */
export function liveAfterMs(at: number, gaps: Judgement["gaps"]): number {
  return Math.max(0, ...gaps.filter(({ from, to }) => from <= at && to >= at).map(({ to }) => to - at));
}
