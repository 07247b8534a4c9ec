import { type Environment, realTime } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import { ALL_KEYS, type Writing, type WrittenKeys } from "../routing/call-extras.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { loadBefore } from "../routing/script-mending.ts";
import type { CacheTrace } from "../telemetry/cache-trace.ts";
import type { CacheDropReason, CacheMetrics } from "../telemetry/channels.ts";
import { Ask, fieldTtlFrame, ttlFrame } from "./asks.ts";
import { CacheCounters, type PassReason } from "./cache-metrics.ts";
import { Clearing } from "./clearing.ts";
import { bytesOf, copyOf, Entry, freeze, hasError } from "./entry.ts";
import { endOf, LapseClock } from "./freshness.ts";
import { Heads } from "./heads.ts";
import { Miss, type Read } from "./miss.ts";
import type { OwnWrites } from "./own-writes.ts";
import { Pairs } from "./pairs.ts";
import { namesCommand, type Session } from "./session.ts";
import { bytesOfEntry, Store } from "./store.ts";
import { UnderWay } from "./under-way.ts";

/** The settings of a cache, in bytes and milliseconds. */
export interface CacheSettings {
  readonly maxBytes: number;
  readonly maxStaleness: number;
  readonly maxAge: number;
}

/** The objects that a cache works with. */
export interface CacheParts {
  readonly environment: Environment;
  readonly settings: CacheSettings;
  readonly trace: CacheTrace;
  readonly ownWrites: OwnWrites;
  readonly nodes: () => readonly ClusterNode[];
  readonly ownerOf: (slot: number) => ClusterNode | undefined;
  /** A slot of a node. Undefined where it owns none. */
  readonly slotOf: (node: ClusterNode) => number | undefined;
  /** Sends a call the ordinary way that has been admitted. */
  readonly forward: (call: Call) => void;
  /** Decides what follows for a call that was told as sent, when its read is given up. `why`: in words. */
  readonly giveUp: (call: Call, why: string) => void;
  /** Decides what follows for a call that the server answered with an error. */
  readonly refuse: (call: Call, text: string) => void;
  /** The most bytes that wait on one connection. */
  readonly maxPendingBytes: number;
}

/**
 * The cached replies of one client.
 *
 *   question --> entry, proven ----------------------------------------> hit
 *       '--> equal read under way --------------------------------.
 *       '--> canary of the slot --> read and PTTL --> reply --> keep --> answered
 *                   '---- given up, refused --> decided upon as every call: the ordinary way, or rejected
 */
export class Cache {
  readonly counters = new CacheCounters();
  readonly heads = new Heads();
  readonly #parts: CacheParts;
  readonly #settings: CacheSettings;
  readonly #store: Store;
  readonly #clearing: Clearing;
  readonly #underWay = new UnderWay();
  readonly #pairs: Pairs;
  readonly #clock: LapseClock;
  #isClosed = false;

  constructor(parts: CacheParts) {
    const { environment, settings, trace } = parts;
    this.#parts = parts;
    this.#settings = settings;
    const { clock, wallNow = realTime.wallNow } = environment;
    this.#store = new Store(settings.maxBytes, trace, () => this.#clearing.begin());
    this.#clearing = new Clearing(clock, this.#store);
    this.#clock = new LapseClock(clock.now.bind(clock), wallNow);
    this.#pairs = new Pairs({
      ...parts,
      terms: {
        maxStaleness: settings.maxStaleness,
        now: () => this.#clock.now(),
        keyToProve: (session) => this.#keyToProve(session),
      },
      events: {
        onInvalidation: (session, key) => {
          const isExpected = this.#underWay.invalidated(session, key, session.wasAsked(key));
          this.#store.invalidate(session, key, isExpected);
        },
        onDoubt: (session, slot, why) => this.#doubt(session, slot, why),
        onEnded: (session, why) => {
          this.#store.dropReader(session, why);
          for (const miss of this.#underWay.of(session)) this.#giveUp(miss, "lost");
        },
      },
    });
  }

  get metrics(): CacheMetrics {
    const { hits, misses, shared, passed } = this.counters;
    const { size, bytes, invalidated, evicted, dropped } = this.#store;
    const unavailable = this.#pairs.all.flatMap(({ node: { address }, unavailable: reason }) =>
      reason === undefined ? [] : [{ address, reason }],
    );
    const copies = { passed: { ...passed }, dropped: { ...dropped } };
    return { entries: size, bytes, hits, misses, shared, invalidated, evicted, ...copies, unavailable };
  }

  /** Resolves when the first try to open the connections to each of these primaries has ended. */
  async firstTries(isOfThese: (node: ClusterNode) => boolean): Promise<void> {
    const pairs = this.#pairs.all.filter(({ node }) => isOfThese(node));
    await Promise.all(pairs.map(({ firstTry }) => firstTry));
  }

  /** The entry that answers what was asked; undefined if there is none that may. */
  hit(head: number, keys: readonly Argument[], args: readonly Argument[]): Entry | undefined {
    const entry = this.#store.get(head, keys, args);
    if (entry === undefined) return undefined;
    const now = this.#clock.soon();
    if (entry.isFresh(now)) {
      this.counters.hits++;
      return entry;
    }
    if (now >= entry.until) this.#store.drop([entry], "expired");
    return undefined;
  }

  /** Why a read must not go through the cache now; undefined if it may. */
  whyPass({ keys, slot }: Read): PassReason | undefined {
    if (this.#parts.ownWrites.concern(keys, slot)) return "write-under-way";
    const node = this.#parts.ownerOf(slot);
    if (node === undefined) return "no-owner";
    const session = this.#pairs.sessionAt(node);
    if (session === undefined) return "not-ready";
    return node.pool.hasRoomFor(0) && session.pendingBytes <= this.#parts.maxPendingBytes ? undefined : "full";
  }

  /**
   * Answers a call that has been admitted, and for which `whyPass` gave no reason: by an equal read that is under way, or
   * by a new one. Where neither can, the call goes the ordinary way.
   */
  answer(call: Call, read: Read): void {
    const node = this.#parts.ownerOf(read.slot) as ClusterNode;
    call.node = node;
    call.pool = node.pool;
    const equal = this.#underWay.joinable(read.question, this.#clock.now(), this.#settings.maxStaleness);
    if (equal !== undefined) {
      this.counters.shared++;
      this.#underWay.wait(equal, call);
      return;
    }
    const session = this.#pairs.sessionAt(node) as Session;
    const miss = new Miss(read, session, node.pool);
    this.counters.misses++;
    this.#underWay.begin(miss);
    this.#underWay.wait(miss, call);
    session.withCanary(read.slot, (isThere) => {
      // A write of one of the keys has sent it the ordinary way meanwhile.
      if (!this.#underWay.has(miss)) return;
      const loaded = isThere ? loadBefore(call) : undefined;
      if (!isThere) this.#giveUp(miss, session.isOver ? "lost" : "no-canary");
      else if (loaded === undefined) this.#send(miss);
      else void loaded.then(() => this.#sendAfterAll(miss));
    });
  }

  /** A call of this client was made that may write: what was read of its keys is gone. */
  written(writing: Writing): void {
    const keys = writing.written as WrittenKeys;
    const { slot } = writing;
    this.#parts.ownWrites.begin(writing);
    // In front of the write, as they were called.
    for (const miss of this.#underWay.written(keys, slot)) this.#giveUp(miss, "write-under-way");
    if (keys === ALL_KEYS) this.#store.dropAll("own-write");
    else if (typeof keys === "string") this.#store.dropKey(keys, slot);
    else for (const key of keys) this.#store.dropKey(key, slot);
  }

  /** It has ended. Of calls that settle, the dispatcher tells the writes itself. */
  answered(writing: Writing): void {
    this.#parts.ownWrites.end(writing);
  }

  /** The topology is new, or the first. */
  follow(): void {
    if (this.#isClosed) return;
    this.#pairs.follow();
    const { ownerOf } = this.#parts;
    for (const { node, sessions } of this.#pairs.all) {
      const hasLeft = (slot: number) => ownerOf(slot) !== node;
      for (const session of sessions) {
        this.#store.dropSlots(session, hasLeft, "topology");
        this.#underWay.spoilWhere((miss) => miss.session === session && hasLeft(miss.read.slot));
      }
    }
  }

  /** There are new credentials, with which the connections are opened again. What is kept stays. */
  renew(): void {
    this.#pairs.renew();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pairs.end(new ClosedError());
    this.#store.dropAll("closed");
    this.#clearing.end();
    this.#parts.trace.closed(() => this.metrics);
  }

  /** A key of an entry, each time of another slot. Entries whose time is over are cleared away on the way. */
  #keyToProve(session: Session): string | undefined {
    this.#store.sweep(this.#clock.now());
    return this.#store.keyOf(session);
  }

  #doubt(session: Session, slot: number | undefined, why: CacheDropReason): void {
    if (slot === undefined) this.#store.dropReader(session, why);
    else this.#store.dropSlot(session, slot, why);
    this.#underWay.spoilWhere((miss) => miss.session === session && (slot === undefined || miss.read.slot === slot));
  }

  /** Sends a read that has waited, unless it has gone the ordinary way meanwhile, or nobody waits for it any more. */
  #sendAfterAll(miss: Miss): void {
    if (!this.#underWay.has(miss)) return;
    if (miss.callers.every(({ settled }) => settled)) this.#underWay.end(miss);
    else this.#send(miss);
  }

  #send(miss: Miss): void {
    const { read, session } = miss;
    const { keys } = read;
    const sent = this.#clock.now();
    const first = miss.callers.find(({ settled }) => !settled);
    miss.noteSent(sent, first?.node?.scripts.stamp ?? 0);
    session.noteAsked(keys);
    miss.sentFor = first;
    if (first !== undefined) first.extras?.observer?.onAttempt(first, session.address);
    const onLost = () => this.#giveUp(miss, "lost");
    const taken = () => {
      if (--miss.open === 0) this.#complete(miss);
    };
    // PTTL goes in front: what changes behind it is told, but for the end of the time that it says. A key that ended between
    // the read and its PTTL would look like one that was never there.
    const asks: Ask[] = [];
    for (const key of keys) {
      const onError = (text: string) => {
        miss.isSpoilt = true;
        // A key to which the user has no right says nothing of the others.
        if (parseErrorReply(text).kind !== "noperm" || namesCommand(text)) session.noteRefusal(text, key, true);
        taken();
      };
      const onReply = (reply: Reply) => {
        miss.noteTtl(reply);
        taken();
      };
      asks.push(new Ask(ttlFrame(key), sent, false, { onReply, onError, onLost }));
    }
    if (read.readsFields && session.knowsFieldTtl === undefined) asks.push(this.#askForFieldTtl(miss, sent, taken));
    asks.push(
      new Ask(read.frame, sent, read.wantsBuffers, {
        onReply: (reply) => {
          session.proofs.noteRead(sent);
          miss.reply = reply;
          taken();
        },
        onError: (text) => {
          session.noteRefusal(text, keys[0] as string, false);
          this.#refuse(miss, text);
        },
        onLost,
        // The call that began the read is told to have been sent; those that joined it were not.
        onWritten: (connection) => first?.onWritten(connection),
        onAnswer: (connection, bytes, error) => first?.onAnswer(connection, bytes, error),
      }),
    );
    miss.open = asks.length;
    session.read(asks);
  }

  /** Asked for once: servers do not say at the call that a hash has fields that end by themselves. */
  #askForFieldTtl({ read, session }: Miss, sent: number, taken: () => void): Ask {
    return new Ask(fieldTtlFrame(read.keys[0] as string), sent, false, {
      onReply: () => {
        session.knowsFieldTtl = true;
        taken();
      },
      onError: (text) => {
        // Servers note each refusal for want of a right in their logs, so it is not asked for again.
        if (/^ERR unknown command/i.test(text)) session.knowsFieldTtl = false;
        else if (/^(noperm|other)$/.test(parseErrorReply(text).kind)) session.knowsFieldTtl = true;
        taken();
      },
      // The read behind it is lost as well.
      onLost: () => {},
    });
  }

  #complete(miss: Miss): void {
    if (!this.#underWay.end(miss)) return;
    const reply = miss.reply as Reply;
    const hasBuffers = freeze(reply);
    if (!miss.isSpoilt && !miss.session.isOver && !hasError(reply)) this.#keep(miss, reply, hasBuffers);
    for (const call of miss.callers) call.onReply(hasBuffers ? copyOf(reply) : reply);
  }

  #keep({ read, session, sent, ttlMs, lacksKey }: Miss, reply: Reply, hasBuffers: boolean): void {
    const { maxAge, maxStaleness } = this.#settings;
    const { question, keys, slot, isScript, mayDerive, readsFields } = read;
    // While a slot moves key by key, its new owner creates keys of which the old one never hears. Of the keys that a script
    // derives nobody knows whether they are there, when they end, nor, before 7.2, that they change. Fields that end by
    // themselves are told of when the server deletes them.
    const isUntold = lacksKey || (isScript && mayDerive) || (readsFields && session.knowsFieldTtl !== false);
    const limitMs = isUntold ? Math.min(maxAge, maxStaleness) : maxAge;
    const until = endOf(sent as number, ttlMs, limitMs);
    const bytes = bytesOfEntry(question, keys, bytesOf(reply));
    const facts = { question, keys, slot, reader: session, isScript, mayDerive };
    this.#store.put(new Entry(facts, reply, hasBuffers, until, bytes));
  }

  /**
   * The server answered with an error. The call that was told as sent is decided upon. What becomes of it becomes of those
   * that asked the same, or they follow it, or they are sent for themselves.
   */
  #refuse(miss: Miss, text: string): void {
    const first = this.#spokesmanOf(miss);
    if (first === undefined) {
      this.#underWay.end(miss);
      return;
    }
    this.#underWay.leave(miss, first);
    first.stamp = miss.stamp;
    this.#parts.refuse(first, text);
    if (!first.settled) this.counters.notePassed("refused");
    // A listener may have ended the client, or written the key.
    if (!this.#underWay.has(miss)) return;
    if (first.settled) {
      this.#underWay.end(miss);
      for (const call of miss.callers) if (!call.settled) this.#parts.refuse(call, text);
    } else if (first.history?.awaitsScript === true && !miss.wasLed) this.#follow(miss, first);
    else this.#giveUp(miss, "refused");
  }

  /** The call that was told as sent. If that one was given up, another one takes its place. */
  #spokesmanOf(miss: Miss): Call | undefined {
    if (!this.#underWay.has(miss)) return undefined;
    const waiting = miss.callers.filter(({ settled }) => !settled);
    const first = waiting.find((call) => call === miss.sentFor) ?? waiting[0];
    if (first !== undefined && first !== miss.sentFor) first.extras?.observer?.onAttempt(first, miss.session.address);
    return first;
  }

  /** The calls that wait are one request again when `first` has settled, which brings the script to the node. */
  #follow(miss: Miss, first: Call): void {
    miss.noteLed();
    first.withExtras.feed = {
      onCallSettled: () => this.#sendAfterAll(miss),
      onGivenUp: () => {},
    };
  }

  /** The read has no reply that counts: the calls that wait for it go the ordinary way. */
  #giveUp(miss: Miss, why: PassReason): void {
    if (!this.#underWay.end(miss)) return;
    for (const call of miss.callers) if (!call.settled) this.#pass(call, miss, why);
  }

  #pass(call: Call, miss: Miss, why: PassReason): void {
    this.counters.notePassed(why);
    call.place = "new";
    // On a replica the read could see the write.
    if (why === "write-under-way") call.kind = { ...call.kind, readFrom: "primary" };
    if (call === miss.sentFor) this.#parts.giveUp(call, why);
    else {
      call.node = undefined;
      call.pool = undefined;
      this.#parts.forward(call);
    }
  }
}
