import { type Environment, realTime } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import { ALL_KEYS, type Writing, type WrittenKeys } from "../routing/call-extras.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { CacheTrace } from "../telemetry/cache-trace.ts";
import type { CacheDropReason, CacheMetrics } from "../telemetry/channels.ts";
import { Ask, fieldTtlFrame, ttlFrame } from "./asks.ts";
import { CacheCounters, type PassReason } from "./cache-metrics.ts";
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
  /** The same for a call that was told as sent. `failure`: why it has no answer. */
  readonly forwardSent: (call: Call, failure: string) => void;
  /** The bounds of one node, which also hold for all that waits here. */
  readonly maxPending: number;
  readonly maxPendingBytes: number;
}

/**
 * The cached replies of one client.
 *
 *   question --> entry, proven ----------------------------------------> hit
 *       '--> equal read under way --------------------------------.
 *       '--> canary of the slot --> read and PTTL --> reply --> keep --> answered
 *                   '------------------- refused, lost -----------------> the ordinary way
 */
export class Cache {
  readonly counters = new CacheCounters();
  readonly heads = new Heads();
  readonly #parts: CacheParts;
  readonly #settings: CacheSettings;
  readonly #store: Store;
  readonly #underWay = new UnderWay();
  readonly #pairs: Pairs;
  readonly #clock: LapseClock;
  #turn = 0;
  #isClosed = false;

  constructor(parts: CacheParts) {
    const { environment, settings, trace } = parts;
    this.#parts = parts;
    this.#settings = settings;
    this.#store = new Store(settings.maxBytes, trace);
    const { clock, wallNow = realTime.wallNow } = environment;
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
    const { maxPending, maxPendingBytes } = this.#parts;
    return this.#underWay.waiting >= maxPending || session.pendingBytes > maxPendingBytes ? "full" : undefined;
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
    const miss = new Miss(read, session);
    this.counters.misses++;
    this.#underWay.begin(miss);
    this.#underWay.wait(miss, call);
    session.withCanary(read.slot, (isThere) => {
      // A write of one of the keys has sent it the ordinary way meanwhile.
      if (!this.#underWay.has(miss)) return;
      if (isThere) this.#send(miss);
      else this.#giveUp(miss, session.isOver ? "lost" : "no-canary");
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
        for (const slot of this.#store.slotsOf(session)) {
          if (hasLeft(slot)) this.#store.dropSlot(session, slot, "topology");
        }
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
    this.#parts.trace.closed(() => this.metrics);
  }

  /** A key of an entry, each time of another slot. Entries whose time is over are cleared away on the way. */
  #keyToProve(session: Session): string | undefined {
    this.#store.sweep(this.#clock.now());
    const slots = this.#store.slotsOf(session);
    const slot = slots[this.#turn++ % slots.length];
    return slot === undefined ? undefined : this.#store.keyIn(session, slot);
  }

  #doubt(session: Session, slot: number | undefined, why: CacheDropReason): void {
    if (slot === undefined) this.#store.dropReader(session, why);
    else this.#store.dropSlot(session, slot, why);
    this.#underWay.spoilWhere((miss) => miss.session === session && (slot === undefined || miss.read.slot === slot));
  }

  #send(miss: Miss): void {
    const { read, session } = miss;
    const { keys } = read;
    const sent = this.#clock.now();
    miss.noteSent(sent);
    session.noteAsked(keys);
    const first = miss.callers.find(({ settled }) => !settled);
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
          this.#refused(miss, text);
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

  /** The server answered with an error. It is what the command or the script comes to, or a reason to ask elsewhere. */
  #refused(miss: Miss, text: string): void {
    const { kind } = parseErrorReply(text);
    if (kind === "noscript" && this.#sendBehind(miss)) return;
    if (kind !== "other") this.#giveUp(miss, "refused");
    else if (this.#underWay.end(miss)) for (const call of miss.callers) call.onErrorReply(text);
  }

  /**
   * The node lacks the script. One call goes the ordinary way, on which it is loaded. The others need not ask as often as
   * they are: they wait, and are one request again. Returns false where none waits beside that one, or it was so before.
   */
  #sendBehind(miss: Miss): boolean {
    const [first, second] = miss.callers.filter(({ settled }) => !settled);
    if (first === undefined || second === undefined || miss.wasMissing) return false;
    miss.wasMissing = true;
    this.#underWay.leave(miss, first);
    for (const call of miss.callers) if (!call.settled) call.place = "new";
    miss.sent = undefined;
    const goOn = () => {
      if (this.#underWay.has(miss)) this.#send(miss);
    };
    first.withExtras.feed = { onCallSettled: goOn, onGivenUp: () => {} };
    this.#pass(first, miss, "refused");
    return true;
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
    if (call === miss.sentFor) this.#parts.forwardSent(call, why);
    else {
      call.node = undefined;
      call.pool = undefined;
      this.#parts.forward(call);
    }
  }
}
