import type { Environment } from "../environment.ts";
import { realTime } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import type { WrittenKeys } from "../routing/call-extras.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { countIn } from "../telemetry/counters.ts";
import { Ask, ttlFrame } from "./asks.ts";
import { bytesOf, copyOf, type Entry, endOf, freeze, hasError, isFresh } from "./entry.ts";
import { hasPassed, type Moment } from "./freshness.ts";
import { Miss, type Read } from "./miss.ts";
import { OwnWrites } from "./own-writes.ts";
import { Pair } from "./pair.ts";
import type { Session } from "./session.ts";
import { bytesOfEntry, type DropReason, Store } from "./store.ts";

/** The settings of a cache, in milliseconds and bytes. */
export interface CacheSettings {
  readonly maxBytes: number;
  readonly maxStaleness: number;
  readonly maxAge: number;
}

/** The objects that a cache works with. */
export interface CacheParts {
  readonly environment: Environment;
  readonly settings: CacheSettings;
  readonly nodes: () => readonly ClusterNode[];
  readonly ownerOf: (slot: number) => ClusterNode | undefined;
  /** A slot of a node. */
  readonly slotOf: (node: ClusterNode) => number | undefined;
  /** Sends a call the ordinary way that has been admitted. */
  readonly forward: (call: Call) => void;
  /** The bounds of one node, which hold for what waits here, too. */
  readonly maxPending: number;
  readonly maxPendingBytes: number;
}

/** Why a call of a cached view was sent the ordinary way. */
export type PassReason =
  | "not-ready"
  | "no-owner"
  | "write-under-way"
  | "refused"
  | "lost"
  | "full"
  | "no-canary"
  | "not-read-only"
  | "no-keys"
  | "blocking"
  | "nondeterministic"
  | "unlisted"
  | "function";

/** The figures of a cache: plain data, a copy. */
export interface CacheMetrics {
  /** Replies that are kept. */
  readonly entries: number;
  /** About as many bytes as they take. */
  readonly bytes: number;
  /** Calls that were answered from memory. They count nowhere else. */
  readonly hits: number;
  /** Calls that were sent to be kept. */
  readonly misses: number;
  /** Calls that waited for an equal one that was in flight. */
  readonly shared: number;
  /** Calls of cached views that were sent the ordinary way, by reason. */
  readonly passed: Readonly<Record<string, number>>;
  /** Replies that a server's invalidation of one of their keys has ended. */
  readonly invalidated: number;
  /** Replies that made room for others. */
  readonly evicted: number;
  /** Replies that were given up for other reasons, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  /** The primaries of which nothing is kept now, and why. */
  readonly unavailable: readonly { readonly address: string; readonly reason: string }[];
}

/** The cached replies of one client, and the connections that keep them true. */
export class Cache {
  hits = 0;
  readonly #parts: CacheParts;
  readonly #settings: CacheSettings;
  readonly #store: Store;
  readonly #writes = new OwnWrites();
  readonly #pairs = new Map<ClusterNode, Pair>();
  /** Reads under way, by what was asked. Those that no later read may join are only in `#begun`. */
  readonly #joinable = new Map<string, Miss>();
  readonly #begun = new Set<Miss>();
  readonly #begunByKey = new Map<string, Set<Miss>>();
  readonly #heads = new Map<string, string>();
  readonly #now: () => number;
  readonly #wallNow: () => number;
  readonly #passed: Record<string, number> = {};
  #misses = 0;
  #shared = 0;
  #isClosed = false;
  /** For each session, the slot that is proven next. */
  #turn = 0;

  constructor(parts: CacheParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#store = new Store(parts.settings.maxBytes);
    const { clock, wallNow = realTime.wallNow } = parts.environment;
    this.#now = () => clock.now();
    this.#wallNow = wallNow;
  }

  get metrics(): CacheMetrics {
    const unavailable = [...this.#pairs.values()].flatMap(({ node: { address }, unavailable: reason }) =>
      reason === undefined ? [] : [{ address, reason }],
    );
    return {
      entries: this.#store.size,
      bytes: this.#store.bytes,
      hits: this.hits,
      misses: this.#misses,
      shared: this.#shared,
      passed: { ...this.#passed },
      invalidated: this.#store.invalidated,
      evicted: this.#store.evicted,
      dropped: { ...this.#store.dropped },
      unavailable,
    };
  }

  /** Resolves when the first try to open the connections of each primary has ended. */
  async firstTries(): Promise<void> {
    await Promise.all([...this.#pairs.values()].map(({ firstTry }) => firstTry));
  }

  /** A short text that stands for `whose` in front of look-ups. Other heads are no beginning of it. */
  headFor(whose: string): string {
    let head = this.#heads.get(whose);
    if (head === undefined) {
      head = `${this.#heads.size}|`;
      this.#heads.set(whose, head);
    }
    return head;
  }

  /** The entry that answers what was asked; undefined if there is none that may. */
  hit(lookup: string): Entry | undefined {
    const entry = this.#store.get(lookup);
    if (entry === undefined || !isFresh(entry, this.#now(), this.#wallNow())) return undefined;
    this.hits++;
    return entry;
  }

  /** A call of a cached view goes the ordinary way. */
  notePassed(why: PassReason): void {
    countIn(this.#passed, why);
  }

  /** Why a read of such keys must not be answered through the cache now; undefined if it may. */
  whyPass(read: Read): PassReason | undefined {
    if (this.#writes.concern(read.keys)) return "write-under-way";
    const node = this.#parts.ownerOf(read.slot);
    if (node === undefined) return "no-owner";
    const session = this.#pairs.get(node)?.session;
    if (session === undefined) return "not-ready";
    if (this.#callersWaiting >= this.#parts.maxPending) return "full";
    return session.pendingBytes > this.#parts.maxPendingBytes ? "full" : undefined;
  }

  #callersWaiting = 0;

  /**
   * Answers a call that has been admitted, and for which `whyPass` gave no reason: by an equal read that is under way, or
   * by a new one. Where neither can, the call goes the ordinary way.
   */
  answer(call: Call, read: Read): void {
    const now = this.#moment();
    const there = this.#joinable.get(read.lookup);
    if (there?.isJoinable && (there.sent === undefined || !hasPassed(there.sent, now, this.#settings.maxStaleness))) {
      this.#shared++;
      this.#wait(there, call);
      return;
    }
    const node = this.#parts.ownerOf(read.slot) as ClusterNode;
    const session = this.#pairs.get(node)?.session as Session;
    const miss = new Miss(read, session);
    this.#misses++;
    this.#wait(miss, call);
    this.#joinable.set(read.lookup, miss);
    this.#begun.add(miss);
    for (const key of read.keys) {
      const begun = this.#begunByKey.get(key);
      if (begun === undefined) this.#begunByKey.set(key, new Set([miss]));
      else begun.add(miss);
    }
    session.withCanary(read.slot, (isThere) => {
      if (isThere && !session.isOver) this.#send(miss);
      else this.#giveUp(miss, session.isOver ? "lost" : "no-canary");
    });
  }

  // Writes of this client.

  /** A call was made that may write. */
  written(keys: WrittenKeys): void {
    this.#writes.begin(keys);
    if (keys === "all") {
      this.#store.dropAll("own-write");
      for (const miss of this.#begun) this.#spoil(miss, false);
      return;
    }
    for (const key of keys) {
      this.#store.dropKey(key);
      for (const miss of this.#begunByKey.get(key) ?? []) this.#spoil(miss, false);
    }
  }

  /** A call that may write has settled. */
  answered(keys: WrittenKeys): void {
    this.#writes.end(keys);
  }

  // The life of the connections.

  /** The topology is new, or the first. */
  follow(): void {
    if (this.#isClosed) return;
    const { nodes, slotOf, ownerOf, environment } = this.#parts;
    const primaries = new Set(nodes().filter((node) => node.info.role === "primary" && slotOf(node) !== undefined));
    for (const [node, pair] of [...this.#pairs]) {
      if (primaries.has(node)) continue;
      this.#pairs.delete(node);
      const { session } = pair;
      const cause = new Error("the node is no primary any more");
      pair.end(cause);
      if (session !== undefined) this.#sessionEnded(session, "topology");
    }
    for (const [node, { session }] of this.#pairs) {
      if (session === undefined) continue;
      for (const slot of this.#store.slotsOf(session)) {
        if (ownerOf(slot) !== node) this.#store.dropSlot(session, slot, "topology");
      }
    }
    for (const miss of this.#begun) {
      const owner = ownerOf(miss.read.slot);
      if (owner === undefined || this.#pairs.get(owner)?.session !== miss.session) this.#spoil(miss, true);
    }
    for (const node of primaries) {
      if (this.#pairs.has(node)) continue;
      const pair: Pair = new Pair(node, {
        environment,
        terms: {
          maxStaleness: this.#settings.maxStaleness,
          now: () => this.#moment(),
          keyToProve: (session) => this.#keyToProve(session),
        },
        slotOf,
        events: {
          onInvalidation: (session, key) => this.#invalidated(session, key),
          onDoubt: (session, slot, why) => this.#doubt(session, slot, why),
          onEnded: (session, why, cause) => {
            pair.noteEnded(session, cause);
            this.#sessionEnded(session, why);
          },
        },
      });
      this.#pairs.set(node, pair);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const cause = new ClosedError();
    for (const { node } of [...this.#pairs.values()]) {
      const pair = this.#pairs.get(node) as Pair;
      this.#pairs.delete(node);
      pair.end(cause);
    }
    this.#store.dropAll("closed");
    for (const miss of [...this.#begun]) this.#end(miss);
  }

  #moment(): Moment {
    return { mono: this.#now(), wall: this.#wallNow() };
  }

  #keyToProve(session: Session): string | undefined {
    const slots = this.#store.slotsOf(session);
    if (slots.length === 0) return undefined;
    return this.#store.keyIn(session, slots[this.#turn++ % slots.length] as number);
  }

  // What servers tell.

  #invalidated(session: Session, key: string): void {
    const begun = this.#begunByKey.get(key);
    const isNamed = session.wasAsked(key) || begun !== undefined;
    for (const miss of begun ?? []) if (miss.session === session) this.#spoil(miss, true);
    // A script that is under way may have read the key without naming it.
    for (const miss of this.#begun) {
      const { isScript, mayDerive } = miss.read;
      if (miss.session === session && isScript && (mayDerive || !isNamed)) this.#spoil(miss, true);
    }
    this.#store.invalidate(session, key, isNamed);
  }

  #doubt(session: Session, slot: number | undefined, why: DropReason): void {
    if (slot === undefined) this.#store.dropReader(session, why);
    else this.#store.dropSlot(session, slot, why);
    for (const miss of this.#begun) {
      if (miss.session === session && (slot === undefined || miss.read.slot === slot)) this.#spoil(miss, true);
    }
  }

  #sessionEnded(session: Session, why: DropReason): void {
    this.#store.dropReader(session, why);
    for (const miss of [...this.#begun]) if (miss.session === session) this.#giveUp(miss, "lost");
  }

  // Reads under way.

  #wait(miss: Miss, call: Call): void {
    miss.callers.push(call);
    this.#callersWaiting++;
    call.node = this.#parts.ownerOf(miss.read.slot);
    call.pool = call.node?.pool;
    if (miss.sent !== undefined) call.place = "in-flight";
  }

  #send(miss: Miss): void {
    const { read, session } = miss;
    const sent = this.#moment();
    miss.sent = sent;
    for (const call of miss.callers) if (!call.settled) call.place = "in-flight";
    const onLost = () => this.#giveUp(miss, "lost");
    const answered = (take: (reply: Reply) => void) => (reply: Reply) => {
      take(reply);
      if (--miss.open === 0) this.#complete(miss);
    };
    const onReply = answered((reply) => {
      session.proofs.noteRead(sent);
      miss.reply = reply;
      miss.hasReply = true;
    });
    const onError = (text: string) => {
      session.noteRefusal(text, read.keys[0] as string, false);
      this.#giveUp(miss, "refused");
    };
    const onTtl = answered((reply) => miss.noteTtl(reply));
    const onTtlError = (text: string) => {
      miss.isSpoilt = true;
      session.noteRefusal(text, read.keys[0] as string, true);
      if (--miss.open === 0) this.#complete(miss);
    };
    session.noteAsked(read.keys);
    const asks = [new Ask(read.frame, sent, { onReply, onError, onLost }, read.wantsBuffers)];
    for (const key of read.keys)
      asks.push(new Ask(ttlFrame(key), sent, { onReply: onTtl, onError: onTtlError, onLost }));
    miss.open = asks.length;
    session.read(asks);
  }

  #complete(miss: Miss): void {
    const { session, callers } = miss;
    if (!this.#end(miss)) return;
    const reply = miss.reply as Reply;
    const hasBuffers = freeze(reply);
    if (!miss.isSpoilt && !session.isOver && !hasError(reply) && !this.#isClosed) this.#keep(miss, hasBuffers);
    for (const call of callers) call.onReply(hasBuffers ? copyOf(reply) : reply);
  }

  #keep({ read, session, sent, reply, ttlMs, lacksKey }: Miss, hasBuffers: boolean): void {
    const { maxAge, maxStaleness } = this.#settings;
    // While a slot moves key by key, its new owner creates keys of which the old one never hears.
    const limitMs = lacksKey ? Math.min(maxAge, maxStaleness) : maxAge;
    const { mono, wall } = endOf(sent as Moment, ttlMs, limitMs);
    const { lookup, keys, slot, isScript, mayDerive } = read;
    const bytes = bytesOfEntry(lookup, keys, bytesOf(reply as Reply));
    const rest = { lookup, keys, slot, isScript, mayDerive, hasBuffers, bytes };
    this.#store.put({ ...rest, reply: reply as Reply, reader: session, untilMono: mono, untilWall: wall });
  }

  /** The read has no reply: its callers go the ordinary way. */
  #giveUp(miss: Miss, why: PassReason): void {
    if (!this.#end(miss)) return;
    for (const call of miss.callers) {
      if (call.settled) continue;
      this.notePassed(why);
      call.place = "new";
      call.node = undefined;
      call.pool = undefined;
      this.#parts.forward(call);
    }
  }

  #spoil(miss: Miss, isJoinable: boolean): void {
    miss.isSpoilt = true;
    miss.isJoinable &&= isJoinable;
  }

  /** The read is not under way any more. Returns false if it was not. */
  #end(miss: Miss): boolean {
    if (!this.#begun.delete(miss)) return false;
    const { lookup, keys } = miss.read;
    this.#callersWaiting -= miss.callers.length;
    if (this.#joinable.get(lookup) === miss) this.#joinable.delete(lookup);
    for (const key of keys) {
      const begun = this.#begunByKey.get(key);
      if (begun?.delete(miss) && begun.size === 0) this.#begunByKey.delete(key);
    }
    return true;
  }
}
