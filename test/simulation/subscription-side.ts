import { UnavailableError } from "../../src/errors.ts";
import type { Cluster } from "../../src/index.ts";
import type { Faults } from "./faults.ts";
import { FeedFaults, type HeardWithin } from "./feed-faults.ts";
import type { FaultKind, Plan, SubscriptionPlan } from "./plan.ts";
import { type Line, Publishers } from "./publishers.ts";
import type { Chance } from "./random.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimNode } from "./sim-node.ts";
import { type Message, matches, type TopicKind } from "./sim-pubsub.ts";
import { slotOfKey } from "./sim-routing.ts";
import { type Channels, type Subscribed, Subscribers } from "./subscribers.ts";
import type { HeardTopic, HistoryEvent } from "./subscription-history.ts";
import { brokenSubscriptions } from "./subscription-promises.ts";
import type { WorldKind, Worlds } from "./worlds.ts";

/** For how long at most a fault is felt, beside what it lasts; those that are not listed cost no message. */
const OUTAGES: Partial<Readonly<Record<FaultKind | WorldKind, number>>> = {
  cut: 0,
  "cut-all": 0,
  "half-open": 2500,
  migrate: 3000,
  failover: 500,
  kill: 1500,
  restart: 1500,
  freeze: 1500,
  partition: 3000,
  stranger: 2500,
  recycle: 1500,
  replace: 10_000,
  forget: 1500,
  join: 3000,
  unowned: 500,
  "busy-connection": 3000,
};
/** A client that is told of nothing notices by then that its node stands still. */
const NOTICED_MS = 4000;
/** From the last messages to the judgement of what came. */
const REST_MS = 1500;
const KINDS = ["channel", "pattern", "shard", "keyspace"] as const;

/** Subscriptions in a run: who publishes, who subscribes, what goes wrong, and what is left at the end. */
export class SubscriptionSide {
  readonly broken: string[] = [];
  readonly #history: HistoryEvent[] = [];
  /** Messages that did not come to a node that has left. */
  readonly #missed: HistoryEvent[] = [];
  readonly #plan: Plan;
  readonly #subscriptions: SubscriptionPlan;
  readonly #cluster: SimCluster;
  readonly #chance: Chance;
  readonly #publishers: Publishers;
  readonly #subscribers: Subscribers;
  readonly #faults: FeedFaults;

  constructor(
    plan: Plan,
    tags: readonly string[],
    cluster: SimCluster,
    faults: Faults,
    worlds: Worlds,
    chance: Chance,
  ) {
    this.#plan = plan;
    this.#subscriptions = plan.subscriptions as SubscriptionPlan;
    this.#cluster = cluster;
    this.#chance = chance;
    const some = tags.slice(0, 3);
    const channels: Channels = {
      channel: ["news:1", "news:2", "other"],
      shard: some.flatMap((tag, index) => (index === 0 ? [`shard:1${tag}`, `shard:2${tag}`] : [`shard:1${tag}`])),
      keyspace: some.map((tag) => `num:${tag}`),
    };
    const note = (event: HistoryEvent) => this.#history.push(event);
    const lines = (["channel", "shard", "keyspace"] as const).flatMap((kind) =>
      channels[kind].map((channel): Line => ({ kind, channel })),
    );
    const { loop, story, bus } = cluster;
    this.#publishers = new Publishers(lines, cluster, chance.fork(), note);
    this.#subscribers = new Subscribers(channels, chance.fork(), loop, story, note);
    this.#faults = new FeedFaults(cluster, faults, channels.shard, chance.fork(), (ms, heardWithin) =>
      this.#noteFault(ms, heardWithin),
    );
    bus.onNews = (_, topic) => note({ what: "news", at: loop.time, topic });
    bus.onLost = (node, message) => this.#noteLost(node, message);
    for (const each of [faults, worlds]) {
      each.onStrike = (kind: FaultKind | WorldKind, lastsMs: number) => {
        const outage = OUTAGES[kind];
        if (outage !== undefined) this.#noteFault(outage + lastsMs);
      };
    }
  }

  schedule(cluster: Cluster): void {
    const { loop } = this.#cluster;
    const chance = this.#chance;
    const { early, late, everyMs, faults } = this.#subscriptions;
    const { durationMs } = this.#plan;
    cluster.on("listenerError", () => {});
    this.#publishers.start(everyMs);
    for (let left = early; left > 0; left--) this.#subscribers.subscribe(cluster, chance.pick(KINDS));
    for (let left = late; left > 0; left--) {
      loop.setTimer(() => this.#subscribeLate(cluster), chance.between(0, durationMs));
    }
    for (const kind of faults) loop.inWorld(chance.between(0, durationMs), () => this.#faults.strike(kind));
  }

  /** Everything is mended. A node that was away for a short time only may have left without anybody noticing. */
  heal(): void {
    const { time } = this.#cluster.loop;
    this.#subscribers.hurry();
    const isShort = [...this.#faults.left.values()].some((leftAt) => time - leftAt < NOTICED_MS);
    if (isShort) this.#history.push(...this.#missed);
    this.#faults.heal();
  }

  /** Everything is mended, and had time to recover: every subscription hears again, and from nowhere twice. */
  async settle(): Promise<void> {
    const { loop } = this.#cluster;
    this.#publishers.stop();
    this.#history.push({ what: "settled", at: loop.time });
    loop.inWorld(0, () => this.#publishers.publishAll());
    await loop.run(loop.time + REST_MS);
    await loop.run(loop.freeAt);
    this.#compareCounts("when all was mended");
    for (const made of this.#subscribers.made) {
      if (made.failure !== undefined && !this.#mayFail(made))
        this.broken.push(`${nameOf(made)} failed: ${made.failure}`);
      if (made.isPending && made.subscription === undefined) this.broken.push(`${nameOf(made)} was never confirmed`);
    }
    for (const made of this.#subscribers.open) if (this.#chance.of(0.6)) this.#subscribers.close(made);
    await loop.run(loop.time + REST_MS);
    await loop.run(loop.freeAt);
    this.#compareCounts("after some were closed");
    for (const made of this.#subscribers.made) {
      if (made.isClosing && made.isPending) this.broken.push(`${nameOf(made)} was closed, and close has not ended`);
    }
  }

  /**
   * The client has ended.
   * @param isPrompt  No server was busy for long, and neither was the client.
   */
  judge(isPrompt: boolean): void {
    const { loop, nodes } = this.#cluster;
    this.#publishers.stop();
    for (const made of this.#subscribers.made) {
      if (made.isPending || !made.isOver) this.broken.push(`${nameOf(made)} has not ended with the client`);
    }
    for (const node of nodes) {
      for (const kind of ["channel", "pattern", "shard"] as const) {
        for (const name of node.pubsub.names(kind)) {
          const count = countAt(node, kind, name);
          if (count > 0) this.broken.push(`left behind: ${kind} ${name} at ${node.name}`);
        }
      }
    }
    const { latencyMs, jitterMs } = this.#plan.network;
    // The subscriber's node runs a script for up to 900 ms, while the message has been published at another one.
    const onTheWayMs = 1000 + 10 * (latencyMs + jitterMs);
    const slackMs = isPrompt ? 20 + 12 * (latencyMs + jitterMs) : undefined;
    this.broken.push(...brokenSubscriptions(this.#history, { onTheWayMs, stalledMs: loop.stalledMs, slackMs }));
  }

  /** The end begins: what comes from now on is not owed. */
  noteEnd(): void {
    const { time: at } = this.#cluster.loop;
    for (const { number } of this.#subscribers.open) this.#history.push({ what: "closed", at, subscription: number });
  }

  #noteFault(lastsMs: number, heardWithin?: HeardWithin): void {
    const at = this.#cluster.loop.time;
    this.#history.push({ what: "fault", at, until: at + lastsMs, heardWithin });
  }

  /** A message did not come to a node. It was owed if the client could know of that. */
  #noteLost(node: SimNode, { kind, channel, payload }: Message): void {
    const { loop } = this.#cluster;
    if (node.frozenAt > 0 && loop.time - node.frozenAt > NOTICED_MS) return;
    const topics = [...node.pubsub.names("channel"), ...node.pubsub.names("shard")];
    const isHeard = topics.includes(channel) || node.pubsub.names("pattern").some((each) => matches(each, channel));
    if (kind === "channel" || kind === "shard") {
      if (!isHeard) return;
      const unheard: HistoryEvent = { what: "unheard", at: loop.time, channel, number: Number(payload) };
      if (this.#faults.left.has(node)) this.#missed.push(unheard);
      else this.#history.push(unheard);
    }
  }

  #subscribeLate(cluster: Cluster): void {
    const chance = this.#chance;
    const { loop } = this.#cluster;
    const controller = new AbortController();
    const isAborted = chance.of(0.3);
    const made = this.#subscribers.subscribe(cluster, chance.pick(KINDS), isAborted ? controller.signal : undefined);
    const afterMs = chance.pick([1, 20, 300, 1000]);
    if (isAborted) loop.setTimer(() => this.#subscribers.abort(made, controller), afterMs);
    else if (chance.of(0.6)) loop.setTimer(() => this.#subscribers.close(made), afterMs);
  }

  /**
   * Whether it is no wonder that it failed: it was aborted, ended with the client, or names what was forbidden; or it was
   * never confirmed, and a node was given up for which it would have had to wait.
   */
  #mayFail({ isClosing, names, subscription, failure }: Subscribed): boolean {
    if (isClosing || names.some((name) => this.#faults.forbidden.includes(name))) return true;
    const isGivenUp = failure instanceof UnavailableError && /has given no sign of life for/.test(failure.message);
    return isGivenUp && subscription === undefined && (this.#plan.options.unavailableAfter ?? 0) > 0;
  }

  /** Who is subscribed to what, at the servers: each topic that is wanted once where it belongs, and nothing else. */
  #compareCounts(when: string): void {
    const { truth, nodes } = this.#cluster;
    const wanted = new Map<string, HeardTopic["kind"]>();
    for (const { kind, names } of this.#subscribers.open) for (const name of names) wanted.set(name, kind);
    const owners = truth.primaries.filter((_, shard) => truth.rangesOf(shard).length > 0);
    const places = new Map<string, number>();
    for (const node of nodes) {
      for (const kind of ["channel", "pattern", "shard"] as const) {
        for (const name of node.pubsub.names(kind)) {
          const count = countAt(node, kind, name);
          if (count === 0) continue;
          places.set(name, (places.get(name) ?? 0) + 1);
          const what = `${when}: ${count} connections for ${kind} ${name} at ${node.name}`;
          const wantedAs = wanted.get(name);
          const isRight =
            wantedAs === "shard"
              ? truth.ownerOf(slotOfKey(name)) === node.index
              : wantedAs !== undefined && (wantedAs !== "keyspace" || owners.includes(node.index));
          if (!isRight || count > 1) this.broken.push(what);
        }
      }
    }
    for (const [name, kind] of wanted) {
      const expected = kind === "keyspace" ? owners.length : 1;
      if (places.get(name) !== expected) this.broken.push(`${when}: ${kind} ${name} at ${places.get(name) ?? 0} nodes`);
    }
  }
}

function countAt({ pubsub }: SimNode, kind: TopicKind, name: string): number {
  return pubsub.subscribers(kind, name).filter(({ link }) => link.isWhole).length;
}

function nameOf({ number, kind, names }: Subscribed): string {
  return `subscription ${number} to ${kind} ${names.join(" ")}`;
}
