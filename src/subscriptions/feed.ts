import type { Connection, ConnectionSettings, Receiver } from "../connection/connection.ts";
import { Farewell } from "../connection/farewell.ts";
import { StrangerError } from "../connection/identity.ts";
import type { Probe } from "../connection/probe.ts";
import type { Request } from "../connection/request.ts";
import { Watchdog } from "../connection/watchdog.ts";
import type { Clock, Timer } from "../environment.ts";
import type { Reply } from "../protocol/reply.ts";
import { Ring } from "../protocol/ring.ts";
import { FeedOpener } from "./feed-opener.ts";
import { FeedProofs } from "./feed-proofs.ts";
import { inRequests, TopicsRequest } from "./feed-requests.ts";
import { StrayMoves } from "./feed-strays.ts";
import { endedBy, HeardTopics, wordOf } from "./pushed.ts";
import type { Raw, Topic } from "./topic.ts";

/** A feed's news. */
export interface FeedEvents {
  onMessage(topic: Topic, channel: Raw, payload: Raw): void;
  /** `now`: one time for all that arrived together. */
  onConfirmed(topic: Topic, askedAt: number, now: number): void;
  /** The server refuses to send the topics. The coverage of each knows what was asked. */
  onRefused(topics: readonly Topic[], text: string): void;
  /** The server refuses a question that it has answered before, about one channel of a slot. */
  onProofRefused(topic: Topic, text: string): void;
  onLeft(topic: Topic): void;
  /** The server refuses to end the topics: `noteNotSent`, `leaveAgain` or `drop` is called in answer. */
  onLeaveRefused(topics: readonly Topic[], text: string): void;
  /** The server has ended a topic unasked. */
  onEnded(topic: Topic): void;
  /** The connection was lost, and with it `topics`. */
  onLost(topics: readonly Topic[], cause: Error): void;
  /** No connection could be opened. The feed tries again while it has topics. */
  onFailed(cause: Error): void;
  /** The node answers nobody. */
  onSilent(cause: Error): void;
  onSpeaking(): void;
  /** Another server answers at the node's address. */
  onStranger(cause: Error): void;
  /** The feed has no topics any more, and its connection is closed. */
  onOver(): void;
}

/** How long a connection without topics is kept for the next one. */
const KEPT_MS = 2000;

/**
 * One connection to one node, on which nothing but topics is heard. It is opened for the first topic, again after it was
 * lost, and closed some time after the last one has left.
 *
 *   closed --ask--> opening --> open --no topics for 2 s--> closed
 *                      ^--------- lost, and asked again -----'
 */
export class Feed implements Receiver {
  readonly #probe: Probe;
  readonly #events: FeedEvents;
  readonly #clock: Clock;
  /** Every topic that was asked for here and has not left. */
  readonly #topics = new Set<Topic>();
  readonly #heard = new HeardTopics();
  readonly #needBytes = new Set<Topic>();
  /** The topics that the server may send, because they were asked for on this connection, and whether it has confirmed. */
  readonly #atServer = new Map<Topic, boolean>();
  /** Topics to be asked for, and to be left, in the next write. */
  #asks = new Set<Topic>();
  #leaves = new Set<Topic>();
  #isFlushDue = false;
  #connection: Connection | undefined;
  #watchdog: Watchdog | undefined;
  readonly #opener: FeedOpener;
  #rest: Timer | undefined;
  #proofs = new FeedProofs(Number.NEGATIVE_INFINITY);
  #strays = new StrayMoves();
  #lastRead = { received: 0, at: 0 };
  #isSilent = false;
  #wasOpen = false;
  #hasEnded = false;

  constructor(settings: ConnectionSettings, probe: Probe, events: FeedEvents) {
    this.#probe = probe;
    this.#events = events;
    this.#clock = settings.environment.clock;
    this.#opener = new FeedOpener(settings, {
      onOpened: (connection) => this.#opened(connection),
      onPauseOver: () => this.#flushSoon(),
      onFailed: (cause) => {
        if (cause instanceof StrangerError) events.onStranger(cause);
        events.onFailed(cause);
      },
    });
  }

  get topics(): readonly Topic[] {
    return [...this.#topics];
  }

  get isOpen(): boolean {
    return this.#connection !== undefined;
  }

  /** Whether there ever was a connection. */
  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  /** When the older of the last two proofs was asked for that what is not sharded is heard. */
  get provenAtHome(): number {
    return this.#proofs.provenAt(-1);
  }

  /** When the older of the last two proofs was asked for that `topic` is heard. */
  provenAt({ slot }: Topic): number {
    return this.#proofs.provenAt(slot);
  }

  /** Whether the server has been asked for the topic on this connection, and has not refused it. */
  hasAsked(topic: Topic): boolean {
    return this.#atServer.has(topic);
  }

  ask(topic: Topic): void {
    this.#topics.add(topic);
    this.#heard.add(topic);
    this.noteHearers(topic);
    this.#asks.add(topic);
    this.#rest?.cancel();
    this.#flushSoon();
  }

  leave(topic: Topic): void {
    this.#heard.remove(topic);
    this.#asks.delete(topic);
    if (!this.#atServer.has(topic) || this.#connection === undefined) this.#gone(topic);
    // A node that answers nobody would not confirm.
    else if (this.#isSilent)
      this.#connection.close(new Farewell("silent", "a topic was to be left at a node that is silent"));
    else {
      this.#leaves.add(topic);
      this.#flushSoon();
    }
  }

  /** The node has said that it does not send the topic. */
  noteAway(topic: Topic): void {
    this.#forget(topic);
    if (this.#topics.size === 0) this.#restNow();
  }

  /** The topics that were to be left are not sent here any more. */
  noteNotSent(topics: readonly Topic[]): void {
    for (const topic of topics) this.#gone(topic);
  }

  /** Asks the server once more to end topics. */
  leaveAgain(topics: readonly Topic[]): void {
    if (topics.length > 0) this.#write([this.#requestFor("leave", topics)]);
  }

  /** The hearers of a topic of this feed have changed. */
  noteHearers(topic: Topic): void {
    if (this.#topics.has(topic) && topic.needsBytes) this.#needBytes.add(topic);
    else this.#needBytes.delete(topic);
  }

  /** Asks for topics again that were refused together, each group in a request of its own. */
  askApart(groups: readonly (readonly Topic[])[]): void {
    this.#write(groups.map((group) => this.#requestFor("ask", group)));
  }

  /**
   * Asks for proofs that topics are heard.
   * @param sharded  One sharded channel of each slot that is heard here.
   */
  prove(sharded: readonly Topic[]): void {
    if (this.#connection === undefined || this.#topics.size === 0) return;
    const onRefused = (topic: Topic, text: string) => this.#events.onProofRefused(topic, text);
    this.#write(this.#proofs.requests(sharded, this.#clock.now(), onRefused));
  }

  /** The node may answer again: the next try is made now. */
  tryNow(): void {
    this.#opener.endPause();
  }

  /** Ends the connection that is open, and the try that is under way. Topics are lost and may be asked for again. */
  drop(cause: Error): void {
    this.#opener.drop(cause);
    this.#connection?.close(cause);
  }

  /** Ends for good. Nobody is told. */
  end(cause: Error): void {
    this.#hasEnded = true;
    this.#opener.end(cause);
    this.#rest?.cancel();
    this.#watchdog?.end();
    this.drop(cause);
  }

  // Receiver.

  get wantsBuffers(): boolean {
    return this.#needBytes.size > 0;
  }

  takePushed(reply: Reply): boolean {
    const word = wordOf(reply);
    if (word === undefined) return false;
    const parts = reply as Raw[];
    const topic = this.#heard.find(word, parts[1]);
    if (topic !== undefined) {
      const at = topic.isPattern ? 2 : 1;
      this.#events.onMessage(topic, parts[at] as Raw, parts[at + 1] as Raw);
      return true;
    }
    const of = endedBy(word);
    // A message of a topic that has left, or that is being left.
    if (of === undefined) return word === "message" || word === "pmessage" || word === "smessage";
    if (this.#isAwaited(parts[1])) return false;
    const ended = this.#heard.find(of, parts[1]);
    if (ended !== undefined) this.#events.onEnded(ended);
    return true;
  }

  takeStrayError(text: string): boolean {
    return this.#strays.has(text, this.#connection?.inFlight.peek());
  }

  /** Whether the end of a topic is the answer to the request that is next. */
  #isAwaited(name: Raw | undefined): boolean {
    const next = this.#connection?.inFlight.peek();
    if (!(next instanceof TopicsRequest) || !next.isLeaving) return false;
    const binary = typeof name === "string" ? Buffer.from(name).toString("latin1") : name?.toString("latin1");
    return next.next.binary === binary || (typeof name === "string" && next.next.text === name);
  }

  #flushSoon(): void {
    if (this.#isFlushDue || this.#hasEnded) return;
    this.#isFlushDue = true;
    this.#clock.nextTick(() => {
      this.#isFlushDue = false;
      if (this.#connection !== undefined) this.#flush();
      else if (this.#topics.size > 0) void this.#opener.open();
      else this.#over();
    });
  }

  #flush(): void {
    const leaves = inRequests(this.#leaves).map((topics) => this.#requestFor("leave", topics));
    const asks = inRequests(this.#asks).map((topics) => this.#requestFor("ask", topics));
    this.#leaves = new Set();
    this.#asks = new Set();
    this.#write([...leaves, ...asks]);
  }

  #requestFor(what: "ask" | "leave", topics: readonly Topic[]): TopicsRequest {
    const now = this.#clock.now();
    if (what === "leave") {
      const isLeft = (topic: Topic) => {
        this.#strays.noteLeft(topic.slot);
        this.#gone(topic);
      };
      return new TopicsRequest("leave", topics, now, isLeft, (refused, text) =>
        this.#events.onLeaveRefused(refused, text),
      );
    }
    const connection = this.#connection as Connection;
    for (const topic of topics) if (!this.#atServer.has(topic)) this.#atServer.set(topic, false);
    const onConfirmed = (topic: Topic, askedAt: number) => {
      if (this.#atServer.has(topic)) this.#atServer.set(topic, true);
      this.#strays.noteConfirmed(topic.slot);
      this.#proofs.noteConfirmed(topic.slot, askedAt);
      this.#events.onConfirmed(topic, askedAt, this.#readAt(connection));
    };
    const onRefused = (refused: readonly Topic[], text: string) => {
      // A user who may not subscribe may not be allowed to unsubscribe either, and there is nothing to be left.
      for (const topic of refused) if (this.#atServer.get(topic) === false) this.#atServer.delete(topic);
      this.#events.onRefused(refused, text);
    };
    return new TopicsRequest("ask", topics, now, onConfirmed, onRefused);
  }

  /** When the bytes that are being read arrived: one time for all of them. */
  #readAt({ received }: Connection): number {
    if (this.#lastRead.received !== received) this.#lastRead = { received, at: this.#clock.now() };
    return this.#lastRead.at;
  }

  #write(requests: readonly Request[]): void {
    if (this.#connection === undefined || requests.length === 0) return;
    const queue = new Ring<Request>();
    for (const request of requests) queue.push(request);
    this.#connection.writeFrom(queue, true);
    this.#watchdog?.watch();
  }

  /** The topic is not sent here any more. */
  #gone(topic: Topic): void {
    this.#forget(topic);
    if (this.#topics.size === 0) this.#flushSoon();
    this.#events.onLeft(topic);
    if (this.#topics.size === 0) this.#restNow();
  }

  #forget(topic: Topic): void {
    this.#topics.delete(topic);
    this.#heard.remove(topic);
    this.#needBytes.delete(topic);
    this.#atServer.delete(topic);
    this.#leaves.delete(topic);
  }

  #restNow(): void {
    this.#rest?.cancel();
    if (this.#connection === undefined) return;
    const close = () => this.#connection?.close(new Farewell("not-needed", "no topics any more"));
    this.#rest = this.#clock.setTimer(close, KEPT_MS, true);
  }

  #opened(connection: Connection): void {
    const now = this.#clock.now();
    this.#connection = connection;
    this.#wasOpen = true;
    this.#lastRead = { received: 0, at: now };
    this.#isSilent = false;
    this.#proofs = new FeedProofs(now);
    this.#strays = new StrayMoves();
    connection.handOver({ onClosed: (cause) => this.#lost(cause), receiver: this });
    this.#watchdog = new Watchdog(connection, this.#clock, this.#probe, {
      onDead: (cause) => connection.close(cause),
      onSilent: (cause) => {
        this.#isSilent = true;
        this.#events.onSilent(cause);
        // Topics that were being left would be left only when the node speaks again.
        if (connection.inFlight.some((request) => request instanceof TopicsRequest && request.isLeaving)) {
          connection.close(cause);
        }
      },
      onSpeaking: () => {
        this.#isSilent = false;
        this.#events.onSpeaking();
      },
    });
    if (this.#topics.size === 0) this.#restNow();
    else this.#flush();
  }

  #lost(cause: Error): void {
    this.#connection = undefined;
    this.#watchdog?.end();
    this.#rest?.cancel();
    this.#isSilent = false;
    const topics = [...this.#topics];
    this.#topics.clear();
    this.#heard.clear();
    this.#needBytes.clear();
    this.#atServer.clear();
    this.#asks.clear();
    this.#leaves.clear();
    if (this.#hasEnded) return;
    if (topics.length === 0) this.#flushSoon();
    else this.#events.onLost(topics, cause);
  }

  #over(): void {
    this.#hasEnded = true;
    this.#opener.end(new Farewell("not-needed", "no topics any more"));
    this.#events.onOver();
  }
}
