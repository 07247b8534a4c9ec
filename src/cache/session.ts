import type { Connection, ConnectionSettings } from "../connection/connection.ts";
import { openConnection } from "../connection/open-connection.ts";
import type { Request } from "../connection/request.ts";
import { setPatience } from "../connection/signs-of-life.ts";
import type { Timer } from "../environment.ts";
import { ReplyError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import { slotOf } from "../protocol/hash-slot.ts";
import type { Reply } from "../protocol/reply.ts";
import { Ring } from "../protocol/ring.ts";
import type { CacheDropReason } from "../telemetry/channels.ts";
import { Ask, existsFrame, PING, subscribeFrame } from "./asks.ts";
import { canaryOf } from "./canary.ts";
import { Ear, INVALIDATIONS, textOf } from "./ear.ts";
import type { Reader } from "./entry.ts";
import { Proofs } from "./freshness.ts";
import { hashOfText } from "./question.ts";

/** What a session tells of. */
export interface SessionEvents {
  onInvalidation(session: Session, key: string): void;
  /** All that the session has read is in doubt, or one slot of it. The session goes on. */
  onDoubt(session: Session, slot: number | undefined, why: CacheDropReason): void;
  /** Both connections are gone, and with them everything that was read. */
  onEnded(session: Session, why: CacheDropReason, cause: Error): void;
}

/** What a session needs to know. */
export interface SessionTerms {
  readonly maxStaleness: number;
  now(): number;
  /** A slot of the node, for the first canary. */
  readonly slot: number;
  /** A key of something that is kept, each time of another slot. Undefined while nothing is kept. */
  keyToProve(session: Session): string | undefined;
}

/** The server, or the user's rights, do not allow a cache. */
export class NoTrackingError extends Error {}

/**
 * So many keys are known at most to have been asked for. Without that knowledge more is dropped than need be. They are known
 * by their hashes, because keys can be long, and what is remembered of them is not counted as kept.
 */
const MOST_ASKED = 100_000;
/** So many questions are asked within `maxStaleness`, and so many looks are made within the patience with a silence. */
const BEATS = 4;
/** Timers fire at whole milliseconds. */
const SLACK_MS = 2;
/** A connection without an answer for so long is given up, however large `maxStaleness` is: calls wait for it. */
const PATIENCE_MS = 1500;

/**
 * Two connections to one primary, for as long as both last: one reads, and the server tells the other of changes of what
 * was read. A session that has ended never comes back; another one knows nothing of what it has read.
 */
export class Session implements Reader {
  readonly proofs: Proofs;
  /** Whether the server knows a time to live of fields. Undefined until it has said so. */
  knowsFieldTtl: boolean | undefined;
  readonly #terms: SessionTerms;
  readonly #events: SessionEvents;
  readonly #settings: ConnectionSettings;
  #hearing: Connection | undefined;
  #reading: Connection | undefined;
  /** Slots whose canary was asked for, and what waits until the server has confirmed it. `true`: it has. */
  readonly #canaries = new Map<number, true | ((isThere: boolean) => void)[]>();
  /** The hashes of keys. */
  readonly #asked = new Set<number>();
  readonly #patienceMs: number;
  #beat: Timer | undefined;
  /** When the last PING was sent. */
  #pinged: number;
  /** What is written in this turn on the connection that reads. */
  #queue: Ring<Request> | undefined;
  #isRetired = false;
  #isOver = false;

  private constructor(settings: ConnectionSettings, terms: SessionTerms, events: SessionEvents) {
    this.#settings = settings;
    this.#terms = terms;
    this.#events = events;
    this.proofs = new Proofs(terms.maxStaleness);
    this.#patienceMs = Math.min(terms.maxStaleness, PATIENCE_MS);
    this.#pinged = terms.now();
  }

  /**
   * Opens both connections.
   * @param onBegun  Gets the session before it is open, so that it can be ended early.
   * @throws {NoTrackingError} The server or the user's rights do not allow it.
   * @throws As `openConnection`.
   */
  static async open(
    settings: ConnectionSettings,
    terms: SessionTerms,
    events: SessionEvents,
    onBegun: (session: Session) => void,
  ): Promise<Session> {
    const session = new Session(settings, terms, events);
    onBegun(session);
    try {
      await session.#open();
    } catch (error) {
      session.#close(error as Error);
      throw error;
    }
    return session;
  }

  /** The node's address, as announced. */
  get address(): string {
    return this.#settings.address;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Bytes that the connection that reads has not passed on. */
  get pendingBytes(): number {
    return this.#reading?.pendingBytes ?? 0;
  }

  /** Ends both connections. Nobody is told. */
  end(cause: Error): void {
    this.#close(cause);
  }

  /** Nothing more will be read here. The session ends when nothing is left of what it has read. */
  retire(cause: Error): void {
    this.#isRetired = true;
    if (this.#beat === undefined) this.fail("renewed", cause);
  }

  /** Ends both connections, and everything that was read through them. */
  fail(why: CacheDropReason, cause: Error): void {
    if (this.#isOver) return;
    this.#close(cause);
    this.#events.onEnded(this, why, cause);
  }

  /**
   * Calls `then` when the server will say that `slot` leaves it: at once if it was asked before.
   * @param then  Gets false if the server does not own the slot, or will not say so.
   */
  withCanary(slot: number, then: (isThere: boolean) => void): void {
    const state = this.#canaries.get(slot);
    if (state === true) then(true);
    else if (state !== undefined) state.push(then);
    else {
      this.#canaries.set(slot, [then]);
      const settle = (isThere: boolean) => {
        const waiting = this.#canaries.get(slot);
        if (isThere) this.#canaries.set(slot, true);
        else this.#canaries.delete(slot);
        if (waiting !== undefined && waiting !== true) for (const each of waiting) each(isThere);
      };
      this.#hear(
        new Ask(subscribeFrame(canaryOf(slot)), this.#terms.now(), false, {
          onReply: () => settle(true),
          onError: () => settle(false),
          onLost: () => settle(false),
        }),
      );
      this.#beatSoon();
    }
  }

  /** The server tracks these keys from now on: a change of one of them is to be expected. */
  noteAsked(keys: readonly string[]): void {
    if (this.#asked.size > MOST_ASKED) this.#asked.clear();
    for (const key of keys) this.#asked.add(hashOfText(key));
  }

  /** Whether a key was asked for by its name since the server last said that it has changed. */
  wasAsked(key: string): boolean {
    return this.#asked.delete(hashOfText(key));
  }

  /** Writes a read, and what belongs to it, at the end of this turn. */
  read(asks: readonly Ask[]): void {
    if (this.#queue === undefined) {
      this.#queue = new Ring<Request>();
      this.#settings.environment.clock.nextTick(() => this.#flush());
    }
    for (const ask of asks) this.#queue.push(ask);
    this.#beatSoon();
  }

  async #open(): Promise<void> {
    const { environment, connectTimeoutMs } = this.#settings;
    const hearing = await openConnection(this.#settings, (created) => {
      this.#hearing = created;
    });
    if (this.#isOver) throw hearing.cause ?? new Error("not needed any more");
    const reading = await openConnection(this.#settings, (created) => {
      this.#reading = created;
    });
    const patience = setPatience(environment.clock, connectTimeoutMs, () => {
      this.#close(new Error(`no answer to CLIENT TRACKING within ${connectTimeoutMs} ms`));
    });
    try {
      await Promise.race([this.#prepare(hearing, reading), hearing.gone, reading.gone]);
    } finally {
      patience.cancel();
    }
    if (this.#isOver || reading.closed || hearing.closed) throw reading.cause ?? hearing.cause ?? new Error("closed");
    reading.handOver({ onClosed: (cause) => this.fail("connection-lost", cause) });
  }

  async #prepare(hearing: Connection, reading: Connection): Promise<void> {
    const [id] = await Promise.all(hearing.exchange(["CLIENT", "ID"])).catch(refused("CLIENT ID"));
    hearing.handOver({
      onClosed: (cause) => this.fail("connection-lost", cause),
      receiver: new Ear({
        onInvalidation: (key) => this.#events.onInvalidation(this, key),
        onFlush: () => this.#events.onDoubt(this, undefined, "flushed"),
        onSlotLeft: (slot) => {
          // What waits for the canary's confirmation is answered by the confirmation.
          if (this.#canaries.get(slot) === true) this.#canaries.delete(slot);
          this.#events.onDoubt(this, slot, "slot-left");
        },
      }),
    });
    // The subscription stands before anything is tracked. Rights are found out here, and not at the first read.
    const [subscribed, canary] = hearing.exchange(
      ["SUBSCRIBE", INVALIDATIONS],
      ["SSUBSCRIBE", canaryOf(this.#terms.slot)],
    );
    await (subscribed as Promise<Reply>).catch(refused(`SUBSCRIBE ${INVALIDATIONS}`));
    await (canary as Promise<Reply>).then(
      () => void this.#canaries.set(this.#terms.slot, true),
      (error: unknown) => {
        // The slot may have left the node meanwhile.
        if (!(error instanceof ReplyError) || parseErrorReply(error.reply).kind !== "moved")
          refused("SSUBSCRIBE")(error);
      },
    );
    // Where these commands are allowed, the answer may still be MOVED, or that the key is not.
    const probe = canaryOf(this.#terms.slot);
    const answers = reading.exchange(
      ["CLIENT", "TRACKING", "ON", "REDIRECT", String(id)],
      ["PTTL", probe],
      ["EXISTS", probe],
    );
    const [tracking, pttl, exists] = await Promise.allSettled(answers);
    if (tracking?.status === "rejected") refused("CLIENT TRACKING")(tracking.reason);
    for (const answer of [pttl, exists]) {
      const reason: unknown = answer?.status === "rejected" ? answer.reason : undefined;
      if (reason instanceof ReplyError && namesCommand(reason.reply)) throw new NoTrackingError(reason.reply);
    }
  }

  #hear(ask: Ask): void {
    if (this.#hearing === undefined || this.#hearing.closed) ask.onLost(new Error("the connection is gone"));
    else this.#hearing.carry(ask);
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = undefined;
    if (queue === undefined) return;
    if (this.#reading !== undefined && !this.#reading.closed) this.#reading.writeFrom(queue, true);
    else for (const ask of queue.takeAll()) ask.onLost(new Error("the connection is gone"));
  }

  // Signs that what is kept is current.

  /** Begins to ask, unless that has begun: at once, and then as long as something is kept or awaited. */
  #beatSoon(): void {
    if (this.#beat !== undefined || this.#isOver) return;
    this.#beatLater();
    this.#ping();
  }

  #beatLater(): void {
    const { clock } = this.#settings.environment;
    // A question that is not answered by then is given up at once, and not at the beat that follows.
    const waitedMs = this.#terms.now() - this.#oldestSent;
    const delayMs = Math.min(this.#patienceMs / BEATS, this.#patienceMs - waitedMs);
    this.#beat = clock.setTimer(() => this.#onBeat(), Math.max(1, delayMs), true);
  }

  #onBeat(): void {
    this.#beat = undefined;
    if (this.#isOver) return;
    const now = this.#terms.now();
    const oldestSent = this.#oldestSent;
    if (now - oldestSent >= this.#patienceMs) {
      this.fail("silent", new Error(`no answer within ${this.#patienceMs} ms`));
      return;
    }
    const key = this.#terms.keyToProve(this);
    if (key === undefined && oldestSent === Number.POSITIVE_INFINITY) {
      if (this.#isRetired) this.fail("renewed", new Error("nothing is left of what was read here"));
      return;
    }
    this.#beatLater();
    if (key === undefined || now - this.#pinged < this.#terms.maxStaleness / BEATS - SLACK_MS) return;
    this.#ping();
    this.#prove(key, now);
  }

  /** When the question was sent that waits longest for its answer, on either connection. Infinite while none waits. */
  get #oldestSent(): number {
    const connections = [this.#reading, this.#hearing];
    const sent = connections.map((connection) => {
      const oldest = connection?.inFlight.peek();
      return oldest instanceof Ask ? oldest.sent : Number.POSITIVE_INFINITY;
    });
    return Math.min(...sent);
  }

  #ping(): void {
    const sent = this.#terms.now();
    this.#pinged = sent;
    this.#hear(
      new Ask(PING, sent, false, {
        onReply: (reply) => {
          if (Array.isArray(reply) && textOf(reply[0]) === "pong") this.proofs.notePing(sent);
        },
        onError: (text) => this.fail("refused", new ReplyError(text)),
        onLost: () => {},
      }),
    );
  }

  #prove(key: string, sent: number): void {
    this.read([
      new Ask(existsFrame(key), sent, false, {
        onReply: () => this.proofs.noteRead(sent),
        onError: (text) => this.noteRefusal(text, key, true),
        onLost: () => {},
      }),
    ]);
  }

  /**
   * A read of `key` was refused.
   * @param isProof  The question was the cache's own, so that its refusal says something of the node.
   */
  noteRefusal(text: string, key: string, isProof: boolean): void {
    const { kind } = parseErrorReply(text);
    if (kind === "moved" || kind === "ask") {
      this.#events.onDoubt(this, slotOf(Buffer.from(key, "latin1")), "moved");
    } else if (kind === "clusterdown" || kind === "loading" || kind === "masterdown") {
      this.#events.onDoubt(this, undefined, "cluster-down");
    } else if (isProof && kind === "noperm") this.fail("refused", new NoTrackingError(text));
    else if (isProof) this.#events.onDoubt(this, undefined, "refused");
  }

  #close(cause: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.proofs.end();
    this.#beat?.cancel();
    this.#hearing?.close(cause);
    this.#reading?.close(cause);
    this.#flush();
    for (const waiting of this.#canaries.values()) if (waiting !== true) for (const then of waiting) then(false);
    this.#canaries.clear();
  }
}

/** Whether a user may not run a command of the cache's own at all. Else it is the key that the user has no right to. */
export function namesCommand(refusal: string): boolean {
  return parseErrorReply(refusal).kind === "noperm" && /'(pttl|exists)'/i.test(refusal);
}

/** Turns a server's refusal into an error that says what is not allowed. Other failures stay as they are. */
function refused(what: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof ReplyError) throw new NoTrackingError(`${what}: ${error.reply}`, { cause: error });
    throw error;
  };
}
