import type { Ledger } from "./ledger.ts";
import type { ReadHistory } from "./read-history.ts";
import type { Bus } from "./sim-bus.ts";
import type { Commands } from "./sim-commands.ts";
import type { SimLoop } from "./sim-loop.ts";
import type { Link, Listener, Session } from "./sim-network.ts";
import { type Message, PubSub } from "./sim-pubsub.ts";
import { slotOfKey } from "./sim-routing.ts";
import { NodeSession } from "./sim-session.ts";
import { Tracking } from "./sim-tracking.ts";
import type { Change, View } from "./sim-view.ts";
import type { Story } from "./story.ts";

/** A write, as replicas get it. */
interface Written {
  readonly at: number;
  readonly key: string;
  readonly value: string | null;
  readonly event: string;
  readonly expiresAt: number | undefined;
}

/** What a node has from its surroundings. */
export interface NodeWorld {
  readonly loop: SimLoop;
  readonly ledger: Ledger;
  readonly story: Story;
  readonly commands: Commands;
  readonly password: string | undefined;
  /** How long a script runs before the server answers BUSY. */
  readonly busyAfterMs: number;
  /** How far replicas are behind. */
  readonly replicationLagMs: number;
  readonly bus: Bus;
  /** Of Redis. They differ in when they end sharded subscriptions, and where a client may. */
  readonly version: 7 | 8;
  /** Undefined where nobody asks which value was current when. */
  readonly history?: ReadHistory | undefined;
}

/** Who a node is. */
export interface Particulars {
  readonly index: number;
  readonly id: string;
  /** Default: as the view has it. */
  readonly host?: string;
  readonly isStranger?: boolean;
}

const NOBODY: Session = { receive() {}, onClosed() {} };

/** A server: its data and scripts, its sessions, and what it does not answer. */
export class SimNode implements Listener {
  readonly index: number;
  id: string;
  host: string;
  readonly port = 7000;
  /** Not of the cluster that the client is connected to. */
  readonly isStranger: boolean;
  readonly shard: number;
  readonly world: NodeWorld;
  readonly view: View;
  /** How many of the cluster's changes it has learned. */
  learned = 0;
  reachability: "accepts" | "refuses" | "vanished" = "accepts";
  isFrozen = false;
  /** When it froze last. */
  frozenAt = 0;
  /** When it came back, if it was away: dead, frozen or cut off. */
  backSince = 0;
  loadingUntil = 0;
  data = new Map<string, string>();
  /** When keys with a time to live are not there any more. They are deleted when somebody touches them, or later. */
  expiries = new Map<string, number>();
  readonly versions = new Map<string, number>();
  readonly written: Written[] = [];
  /** Of a replica: whose writes it applies, and how many of them it has applied. */
  source: SimNode | undefined;
  applied = 0;
  /** By SHA-1. */
  readonly scripts = new Map<string, string>();
  /** SCRIPT LOADs that came, by SHA-1, and how often the script was there already. */
  readonly loads = new Map<string, { all: number; needless: number }>();
  /** Of the process that runs. */
  runId = "1";
  /** Sessions whose command waits, the first one first. */
  readonly waiting = new Set<NodeSession>();
  /** An element came since they were served last. */
  hasPushed = false;
  /** Times that it lost its scripts. */
  flushes = 0;
  readonly denied = new Set<string>();
  /** Slots on their way: to or from the node of this index. */
  readonly migrating = new Map<number, number>();
  readonly importing = new Map<number, number>();
  readonly sessions = new Set<NodeSession>();
  readonly pubsub = new PubSub();
  readonly tracking = new Tracking(this.sessions);
  /** It reaches only a minority of the others: it hears of nothing that happens, and soon serves nothing. */
  isApart = false;
  /** Messages of other nodes that it cannot look at yet. */
  #unheard: Message[] = [];
  /** Channels with this text in them are not permitted. */
  readonly deniedChannels = new Set<string>();
  /** What it says in place of a new subscription. */
  refusal: string | undefined;
  accepted = 0;
  /** The end of the script that runs. */
  blockedUntil = 0;
  busyFrom = 0;
  /** Until when writes wait. */
  pausedUntil = 0;
  /** It takes no more clients. */
  isFull = false;

  constructor({ index, id, host, isStranger = false }: Particulars, shard: number, view: View, world: NodeWorld) {
    this.index = index;
    this.shard = shard;
    this.view = view;
    this.world = world;
    this.id = id;
    this.host = host ?? view.hostOf(index);
    this.isStranger = isStranger;
  }

  get name(): string {
    return `${this.host}:${this.port}`;
  }

  get isPrimary(): boolean {
    return this.view.primaries[this.shard] === this.index;
  }

  /** Since when it has answered everybody; undefined when it does not. */
  get answersSince(): number | undefined {
    const since = Math.max(this.backSince, this.loadingUntil, this.blockedUntil);
    return this.reachability !== "accepts" || this.isFrozen || since > this.world.loop.time ? undefined : since;
  }

  get isAlive(): boolean {
    return this.reachability !== "refuses";
  }

  accept(link: Link): Session {
    if (this.isFull) {
      link.refuse("-ERR max number of clients reached\r\n");
      return NOBODY;
    }
    this.accepted++;
    const session = new NodeSession(this, link);
    this.sessions.add(session);
    return session;
  }

  /** What a command reads: a key whose time is over is not there, and a primary deletes it then. */
  read(key: string): string | null {
    if (this.isExpired(key)) {
      if (this.isPrimary) this.set(key, null, "expired");
      return null;
    }
    return this.data.get(key) ?? null;
  }

  isExpired(key: string): boolean {
    return (this.expiries.get(key) ?? Number.POSITIVE_INFINITY) <= this.world.loop.time;
  }

  /**
   * @param event  What keyspace notifications call it.
   * @param expiresAt  Until when it is there.
   */
  set(key: string, value: string | null, event = value === null ? "del" : "set", expiresAt?: number): void {
    if (value === null) this.data.delete(key);
    else this.data.set(key, value);
    if (expiresAt === undefined) this.expiries.delete(key);
    else this.expiries.set(key, expiresAt);
    this.tracking.invalidate(key);
    const { history, loop } = this.world;
    history?.noteChange(this, key);
    if (expiresAt !== undefined) loop.inWorldAt(expiresAt, () => history?.noteChange(this, key));
    this.versions.set(key, (this.versions.get(key) ?? 0) + 1);
    this.written.push({ at: this.world.loop.time, key, value, event, expiresAt });
    if (this.pubsub.isListenedTo) this.notify(key, event);
    this.world.bus.noteWrite(this);
  }

  /** A keyspace notification, which goes to no other node. */
  notify(key: string, event: string): void {
    const channel = `__keyspace@0__:${key}`;
    this.pubsub.deliver({ kind: "channel", channel, payload: event, isStamped: false }, this.index);
  }

  /** A message of another node has arrived. */
  hear(message: Message): void {
    if (!this.isAlive) return;
    if (this.isFrozen || this.blockedUntil > this.world.loop.time || this.#unheard.length > 0) {
      this.#unheard.push(message);
      return;
    }
    this.pubsub.deliver(message, this.index);
  }

  /** Of what came while it was frozen it hears nothing: the others have replaced their connections to it. */
  #hearMissed(isLost: boolean): void {
    for (const message of this.#unheard.splice(0)) {
      if (isLost) this.world.bus.onLost(this, message);
      else this.pubsub.deliver(message, this.index);
    }
  }

  /** Something has happened to the cluster. Slots that leave the shard, or its primary, take their channels with them. */
  learn(change: Change | undefined): void {
    const { view, shard, pubsub } = this;
    const channels = pubsub.names("shard");
    if (channels.length === 0) {
      change?.(view);
      return;
    }
    const primary = view.primaries[shard];
    const before = new Set(channels.map(slotOfKey).filter((slot) => view.shardOf(slot) === shard));
    change?.(view);
    const isOther = view.primaries[shard] !== primary;
    const isTold = isOther && (!this.isPrimary || this.world.version === 8);
    pubsub.drop((slot) => before.has(slot) && (isTold || view.shardOf(slot) !== shard));
  }

  /** A replica applies what its primary wrote until `time`. */
  follow(time: number): void {
    const { source } = this;
    if (source === undefined) return;
    for (let next = source.written[this.applied]; next && next.at <= time; next = source.written[this.applied]) {
      this.applied++;
      this.set(next.key, next.value, next.event, next.expiresAt);
    }
  }

  /** A full resynchronisation. */
  copyFrom(source: SimNode): void {
    this.source = source;
    this.applied = source.written.length;
    const isOther =
      source.data.size !== this.data.size || [...source.data].some(([key, value]) => this.data.get(key) !== value);
    this.data = new Map(source.data);
    this.expiries = new Map(source.expiries);
    if (isOther) this.tracking.invalidateAll();
  }

  flushScripts(): void {
    this.scripts.clear();
    this.flushes++;
    this.world.story.tell(() => `${this.name} has lost its scripts`);
  }

  freeze(): void {
    this.isFrozen = true;
    this.frozenAt = this.world.loop.time;
    this.world.story.tell(() => `${this.name} is frozen`);
  }

  thaw(): void {
    if (!this.isFrozen) return;
    this.isFrozen = false;
    // What it was sent meanwhile is answered at once.
    this.world.history?.look();
    this.#hearMissed(true);
    this.backSince = this.world.loop.time;
    this.world.story.tell(() => `${this.name} thaws`);
    this.wake();
  }

  /** The process is gone, and its connections with it. */
  die(): void {
    this.world.story.tell(() => `${this.name} dies`);
    this.reachability = "refuses";
    this.isFrozen = false;
    this.blockedUntil = 0;
    this.pausedUntil = 0;
    for (const { link } of this.sessions) link.serverDied();
    for (const session of this.sessions) this.pubsub.forget(session);
    this.sessions.clear();
    this.#unheard = [];
    this.waiting.clear();
    this.migrating.clear();
    this.importing.clear();
  }

  /** The script that is called runs for so long. */
  spend(milliseconds: number): void {
    const { loop, busyAfterMs } = this.world;
    this.blockedUntil = loop.time + milliseconds;
    this.busyFrom = loop.time + busyAfterMs;
    const wake = () => this.wake();
    if (busyAfterMs < milliseconds) loop.inWorld(busyAfterMs, wake);
    loop.inWorld(milliseconds, wake);
  }

  /** Something came that commands may have waited for. */
  serveWaiting(): void {
    for (const session of [...this.waiting]) session.work();
  }

  /** CLIENT PAUSE ... WRITE. */
  pause(milliseconds: number): void {
    const { loop, story } = this.world;
    this.pausedUntil = Math.max(this.pausedUntil, loop.time + milliseconds);
    story.tell(() => `${this.name} pauses writes for ${milliseconds} ms`);
    loop.inWorld(milliseconds, () => this.wake());
  }

  get isPaused(): boolean {
    return this.pausedUntil > this.world.loop.time;
  }

  wake(): void {
    if (!this.isFrozen && this.blockedUntil <= this.world.loop.time) this.#hearMissed(false);
    for (const session of [...this.sessions]) session.work();
  }
}
