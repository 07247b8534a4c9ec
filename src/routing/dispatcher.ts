import type { BlockingFrame } from "../commands/blocking.ts";
import type { NodePool } from "../connection/node-pool.ts";
import type { Request } from "../connection/request.ts";
import type { Clock, Environment } from "../environment.ts";
import {
  AuthError,
  ClosedError,
  ConnectionLostError,
  DeadlineError,
  type Hop,
  ProtocolError,
  RedirectionsError,
  ReplyError,
  SlotwireError,
  UnavailableError,
} from "../errors.ts";
import { commandNameOf } from "../protocol/command-name.ts";
import { parseErrorReply, type Refusal } from "../protocol/error-reply.ts";
import { formatAddress, isUnknownHost } from "../protocol/node-address.ts";
import type { Remedy } from "../scripts/loaded-scripts.ts";
import { replyErrorOf } from "../scripts/script-error.ts";
import { CallTrace } from "../telemetry/call-trace.ts";
import { areCallsHeard, type BatchContext, scriptMissingChannel } from "../telemetry/channels.ts";
import { countIn, type Telemetry } from "../telemetry/counters.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import { Call, type CallOwner, type Extras, type History } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { Deadlines } from "./deadlines.ts";
import { decideNextStep, type Failure, type NextStep } from "./next-step.ts";
import type { NodeDirectory } from "./node-directory.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** How long a call without a deadline may be refused, or wait for a node, before it is given up. */
const PATIENCE_MS = 30_000;
/** A node has this long to tell a blocked call that its slot is another's. Servers look every second or so. */
const LEFT_BEHIND_MS = 5000;
/** How often a slot without an owner is looked up again. */
const MAX_OWNER_LOOKUPS = 3;

/** What the client is told of single calls. */
export interface RoutingEvents {
  /** A node answered MOVED or ASK. Addresses as announced. */
  onRedirection(redirection: {
    readonly kind: "MOVED" | "ASK";
    readonly slot: number;
    readonly from: string;
    readonly to: string;
    readonly script: string | undefined;
  }): void;
  /** A node did not have a script that it was to run. */
  onScriptMissing(missing: { readonly address: string; readonly script: string; readonly sha: string }): void;
}

type Retry = Extract<NextStep, { kind: "retry" }>;
type Rejection = Extract<NextStep, { kind: "reject" }>;

/**
 * Sends calls, and sends them again: the only loop that does. A call that is served at once passes `send` and
 * `Call.onReply` and nothing else; `decideNextStep` says what becomes of every other.
 *
 *   send -> lane ... reply ----------------------------------------------> settled
 *             ^      error reply, or connection lost
 *             |             v
 *             '--- perform(decideNextStep(...)) -- reject ---------------> settled
 */
export class Dispatcher implements CallOwner {
  readonly #directory: NodeDirectory;
  readonly #tracker: () => TopologyTracker;
  readonly #events: RoutingEvents;
  readonly #maxRedirections: number;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #deadlines: Deadlines;
  readonly #room: WaitingRoom;
  /** Calls that are in no lane: they wait for a refresh, a load or their turn. They count for the node they came from. */
  readonly #parked = new Map<Call, NodePool | undefined>();
  /** Calls that block for ever, and have no deadline. */
  readonly #endless = new Set<Call>();
  #live = 0;
  #closed = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(
    environment: Environment,
    directory: NodeDirectory,
    tracker: () => TopologyTracker,
    events: RoutingEvents,
    maxRedirections: number,
    telemetry: Telemetry,
  ) {
    this.#directory = directory;
    this.#tracker = tracker;
    this.#events = events;
    this.#maxRedirections = maxRedirections;
    this.#clock = environment.clock;
    this.#telemetry = telemetry;
    this.#deadlines = new Deadlines(environment.clock);
    this.#room = new WaitingRoom(environment, (call) => {
      this.#unpark(call);
      this.#sendAgain(call);
    });
  }

  /** First attempt of a call. */
  send(call: Call): void {
    this.admit(call);
    const node = this.#nodeFor(call);
    if (node === undefined) {
      this.#withoutOwner(call);
      return;
    }
    const pool = poolFor(call, node);
    const full = (call.kind.blocking === undefined ? pool : pool.dedicated).refusalOf(call.frame.length);
    if (full !== undefined) call.reject(full);
    else this.#place(call, node, pool);
  }

  /** Counts a call in and starts its deadline: from now on it settles, sent or not. */
  admit(call: Call, batch?: BatchContext): void {
    const { client, counters, durations } = this.#telemetry;
    this.#live++;
    counters.calls++;
    if (call.timeoutMs > 0) this.#deadlines.add(call, call.timeoutMs);
    else if (call.kind.blocking?.isEndless) this.#endless.add(call);
    if (durations !== undefined) call.withExtras.startedAt = this.#clock.now();
    if (areCallsHeard()) call.withExtras.observer = new CallTrace(call, client, batch);
  }

  /** Calls that are not settled. */
  get live(): number {
    return this.#live;
  }

  /** First attempt of a call that has been admitted. False, and nothing is done, while its node has no room. */
  offer(call: Call): boolean {
    const node = this.#nodeFor(call);
    if (node === undefined) {
      this.#withoutOwner(call);
      return true;
    }
    const pool = poolFor(call, node);
    if (call.kind.blocking !== undefined) {
      // What it waits for may never come: nobody is to wait behind it.
      const full = pool.dedicated.refusalOf(call.frame.length);
      if (full !== undefined) call.reject(full);
      else this.#place(call, node, pool);
      return true;
    }
    if (!pool.hasRoomFor(call.frame.length)) return false;
    this.#place(call, node, pool);
    return true;
  }

  /** The owner of a slot, as far as is known. */
  ownerOf(slot: number): ClusterNode | undefined {
    return this.#directory.ownerOf(slot);
  }

  /** Who has calls that are admitted and not sent yet: to be told when the client closes. */
  readonly feeds = new Set<{ onClosed(): void }>();

  /** Who is to serve the next attempt. */
  #nodeFor(call: Call): ClusterNode | undefined {
    const { readFrom, target } = call.kind;
    if (target !== undefined) return this.#directory.get(target.address);
    const owner = call.slot < 0 ? this.#directory.anyPrimary() : this.#directory.ownerOf(call.slot);
    return readFrom === "primary" || owner === undefined ? owner : this.#readerFor(call, owner, readFrom);
  }

  /** A slot is always read from the same node, while that node can serve. */
  #readerFor(call: Call, owner: ClusterNode, readFrom: "replica" | "any"): ClusterNode {
    const replicas = this.#directory.replicasOf(call.slot);
    const readers = readFrom === "any" ? [owner, ...replicas] : replicas;
    for (let step = 0; step < readers.length; step++) {
      const reader = readers[(call.slot + step) % readers.length] as ClusterNode;
      if (call.history?.avoid?.has(reader)) continue;
      if (poolFor(call, reader).isPromisingFor(call.slot)) return reader;
    }
    return owner;
  }

  /** Queues an attempt. */
  #place(call: Call, node: ClusterNode, pool: NodePool = poolFor(call, node)): void {
    const { registered, blocking } = call.kind;
    if (blocking !== undefined) {
      this.#placeAlone(call, node, pool, blocking);
      return;
    }
    const lane = pool.laneOf(call.slot);
    if (registered !== undefined) {
      // A lane without a connection is given every script before it writes again.
      if (lane.ready) {
        const missing = node.scripts.needsLoad(registered);
        if (missing) registered.wanted = true;
        const isAhead = call.extras?.loadsAhead === true && this.#isFirstLoadAhead(call.extras, node);
        if (missing || (isAhead && node.scripts.needsLoadAhead(registered, lane))) {
          void node.scripts.loadOn(lane, registered);
          call.extras?.observer?.onLoad(registered.loadFrame.length);
        }
      }
      call.stamp = node.scripts.stamp;
    }
    call.node = node;
    call.pool = pool;
    if (!lane.ready && call.list === undefined) this.#deadlines.add(call, PATIENCE_MS);
    call.extras?.observer?.onAttempt(call, node.address);
    lane.push(call);
  }

  /** Gives an attempt of a call that blocks a connection of its own. */
  #placeAlone(call: Call, node: ClusterNode, pool: NodePool, blocking: BlockingFrame): void {
    call.frame = blocking.frameAt(this.#clock.now());
    call.node = node;
    call.pool = pool;
    if (call.list === undefined) this.#deadlines.add(call, PATIENCE_MS);
    call.extras?.observer?.onAttempt(call, node.address);
    pool.dedicated.push(call);
  }

  /** A call that is put off and sent to the same node again does not bring its script every time. */
  #isFirstLoadAhead(extras: Extras, node: ClusterNode): boolean {
    const isFirst = extras.loadedOn !== node;
    extras.loadedOn = node;
    return isFirst;
  }

  /**
   * The topology changed: calls that wait for a connection go, in order, to whoever owns their slot now; and so do those
   * that a connection has not taken yet, or later calls of their slot would be written before them. Not those of a batch:
   * ahead of them may be others that have to hear of the move first. And so no others of their slot, or these would be
   * written before them, or they before these.
   */
  reroute(): void {
    const lanes = this.#directory.nodes.flatMap(({ pools }) => pools.flatMap((pool) => pool.lanes));
    for (const lane of lanes) {
      const waitsForNobody = lane.ready && !lane.inDoubt;
      this.resend(waitsForNobody ? lane.takeQueuedWhere((queued) => this.#freeToGo(queued)) : lane.takeQueued());
    }
    for (const { pool } of this.#directory.nodes) {
      this.resend(pool.dedicated.takeWaitingWhere((request) => this.#isForAnother(request)));
      this.#leaveBehind(pool);
    }
  }

  /** A node that is well tells the calls it blocks that their slot has moved. One that does not is not waited for. */
  #leaveBehind({ dedicated, address }: NodePool): void {
    const left = dedicated.carried.filter((request) => this.#isForAnother(request));
    if (left.length === 0) return;
    const lose = () => {
      const cause = new ConnectionLostError(address, "unknown", new Error("it does not own the slot any more"));
      const still = left.filter((request) => this.#isForAnother(request));
      dedicated.lose(still, cause);
    };
    this.#clock.setTimer(lose, LEFT_BEHIND_MS, true);
  }

  /** For a queue: whether a request of it is for another node, and none of its slot stays. */
  #freeToGo(queued: readonly Request[]): (request: Request) => boolean {
    const staying = new Set<number>();
    for (const request of queued) {
      if (this.#isForAnother(request) && request.extras?.feed !== undefined) staying.add(request.slot);
    }
    return (request) => this.#isForAnother(request) && !staying.has(request.slot);
  }

  #isForAnother(request: Request): request is Call {
    if (!(request instanceof Call) || request.asking) return false;
    const { kind, slot, node } = request;
    if (kind.target !== undefined || kind.readFrom !== "primary" || slot < 0) return false;
    return node !== this.#directory.ownerOf(slot);
  }

  /** The topology is fresh: calls that wait for their next attempt make it now. */
  retryWaiting(): void {
    this.#room.releaseAll();
  }

  /** Queues requests that were never written once more, in order. */
  resend(requests: readonly Request[]): void {
    for (const request of requests) {
      if (request instanceof Call) this.#sendAgain(request);
      // Whatever else was to be sent there, a new connection is prepared with it.
      else request.onLost(new Error("the connection was lost before this was written"));
    }
  }

  /** Resolves when no call is unsettled. */
  async idle(): Promise<void> {
    if (this.#live > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Ends calls that wait for what may never come. */
  endEndless(): void {
    for (const call of [...this.#endless]) call.reject(new ClosedError(call.outcomeSoFar));
  }

  /** From now on a call that comes back is rejected; calls that are in no lane are rejected here. */
  close(): void {
    this.#closed = true;
    for (const feed of this.feeds) feed.onClosed();
    for (const call of [...this.#parked.keys()]) call.reject(new ClosedError(call.outcomeSoFar));
    this.#deadlines.close();
  }

  // What lanes report.

  onRejected(error: Error): void {
    countIn(this.#telemetry.counters.errors, error instanceof SlotwireError ? error.code : "OTHER");
  }

  onSettled(call: Call, replied: boolean): void {
    const { counters, durations } = this.#telemetry;
    if (replied) counters.replies++;
    if (durations !== undefined && call.extras !== undefined) {
      const took = this.#clock.now() - call.extras.startedAt;
      durations.add(commandNameOf(call.frame), call.kind.script?.name ?? null, took);
    }
    if (call.history !== undefined) {
      this.#unpark(call);
      call.history.evalEnded?.(replied ? "held" : "lost");
    }
    if (call.kind.blocking?.isEndless) this.#endless.delete(call);
    call.extras?.feed?.onCallSettled(call, replied);
    if (--this.#live === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  onRefused(call: Call, answer: string): void {
    const { text, proven } = call.kind.transaction?.verdictOn(answer) ?? { text: answer, proven: true };
    if (!proven) {
      call.reject(new ReplyError(text, "unknown"));
      return;
    }
    const refusal = call.kind.transaction ? refusalOfAll(text) : parseErrorReply(text);
    const history = historyOf(call);
    const node = call.node as ClusterNode;
    history.refusal = text;
    history.hops.push({ address: node.address, answer: text.slice(0, text.indexOf(" ")) || text });
    call.place = "parked";
    this.#tellEvalEnded(history, refusal, text);
    this.#decide(call, { kind: "refusal", refusal }, text);
  }

  onLost(call: Call, cause: Error): void {
    if (this.#closed || cause instanceof ClosedError) {
      call.reject(new ClosedError(call.outcomeSoFar));
    } else if (cause instanceof AuthError) {
      call.reject(call.inDoubt ? new ConnectionLostError((call.node as ClusterNode).address, "unknown", cause) : cause);
    } else {
      const written = call.place === "in-flight";
      call.place = "parked";
      historyOf(call).hops.push({ address: (call.node as ClusterNode).address, answer: "LOST" });
      this.#decide(call, { kind: "lost", written }, cause);
    }
  }

  onExpired(call: Call): void {
    const { timeoutMs, history, node } = call;
    const written = call.place === "in-flight";
    // A call without a deadline is only given up while it is nowhere.
    if (timeoutMs === 0 && written) return;
    const limitMs = timeoutMs || PATIENCE_MS;
    const outcome = call.outcomeSoFar;
    if (!written && history?.refusal) {
      const cause = replyErrorOf(history.refusal, "not-executed", call.kind.script);
      call.reject(new DeadlineError(limitMs, outcome, cause));
    } else if (!written && node && !call.pool?.ready) {
      call.reject(this.#unavailable(call, `${node.address} could not be reached within ${limitMs} ms`));
    } else {
      call.reject(new DeadlineError(limitMs, outcome));
    }
  }

  // The second attempt and all after it.

  #decide(call: Call, failure: Failure, cause: string | Error): void {
    const history = historyOf(call);
    const node = call.node as ClusterNode;
    if (call.kind.blocking?.wasHeld(this.#clock.now())) this.#forgetTroubles(call, history);
    const refusal = failure.kind === "refusal" ? failure.refusal : undefined;
    const isMissing = refusal?.kind === "noscript" || refusal?.kind === "no-function";
    const remedy = isMissing ? this.#remedyFor(call) : undefined;
    if (call.pool !== node.pool) {
      // A replica that cannot serve, for whatever reason: this call goes elsewhere from now on.
      history.avoid ??= new Set();
      history.avoid.add(node);
    }
    const step = decideNextStep(failure, {
      slot: call.slot,
      isScript: call.kind.registered?.kind === "script",
      isFunction: call.kind.registered?.kind === "library",
      atReplica: call.pool !== node.pool,
      runsCode: call.kind.runsCode,
      mayRepeat: call.kind.mayRepeat,
      node: node.info,
      redirections: history.redirections,
      maxRedirections: this.#maxRedirections,
      asking: call.asking,
      asked: history.hops.map(({ address }) => address),
      remedy: remedy?.kind,
    });
    if (failure.kind === "lost" && failure.written) history.inDoubt = true;
    this.#learn(step, call, refusal);
    // A listener may have closed the client.
    if (this.#closed) call.reject(new ClosedError(call.outcomeSoFar));
    else if (step.kind === "reject") this.#reject(call, step, cause, remedy);
    else {
      this.#noteRetry(call, refusal, cause);
      this.#retry(call, step, remedy);
    }
  }

  /** A call can be blocked for days: what befell it before it found its place does not count for what comes after. */
  #forgetTroubles(call: Call, history: History): void {
    history.redirections = 0;
    history.retries = 0;
    history.hops.splice(0, history.hops.length - 1);
    if (call.timeoutMs === 0) call.list?.remove(call);
  }

  #noteRetry(call: Call, refusal: Refusal | undefined, cause: string | Error): void {
    const { address, answer } = historyOf(call).hops.at(-1) as Hop;
    countIn(this.#telemetry.counters.retries, answer);
    const { observer } = call.extras ?? {};
    if (observer === undefined) return;
    const to = refusal && toOf(refusal, call.node as ClusterNode);
    observer.onRetry(call, address, answer, to, typeof cause === "string" ? cause : "");
  }

  #learn({ learned }: NextStep, call: Call, refusal: Refusal | undefined): void {
    const node = call.node as ClusterNode;
    if (refusal?.kind === "moved" || refusal?.kind === "ask") {
      const kind = refusal.kind === "moved" ? "MOVED" : "ASK";
      this.#telemetry.counters.redirections[kind]++;
      this.#events.onRedirection({
        kind,
        slot: call.slot,
        from: node.address,
        to: toOf(refusal, node) as string,
        script: call.kind.script?.name,
      });
    }
    if (learned === "topology-stale") this.#tracker().refreshSoon("urgent");
    else if (learned === "connection-stale") {
      node.pool.replaceConnections();
      this.#tracker().refreshSoon("urgent");
    } else if (learned === "script-missing" && call.kind.registered) {
      const { address } = node;
      const { sha } = call.kind.registered;
      const name = call.kind.script?.name ?? call.kind.registered.name;
      const { client, counters } = this.#telemetry;
      counters.scriptMisses++;
      if (scriptMissingChannel.hasSubscribers) {
        const context = call.extras?.observer?.context;
        const script = { name, sha };
        scriptMissingChannel.publish({ client, call: context, attempt: context?.attempts, address, script });
      }
      this.#events.onScriptMissing({ address, script: name, sha });
    }
  }

  #reject(call: Call, step: Rejection, cause: string | Error, remedy: Remedy | undefined): void {
    const outcome = call.outcomeGiven(step.outcome);
    const { script } = call.kind;
    if (step.why === "redirections") {
      call.reject(new RedirectionsError(this.#maxRedirections, historyOf(call).hops, outcome));
    } else if (step.why === "load" && remedy?.kind === "give-up") {
      call.reject(replyErrorOf(remedy.cause.reply, outcome, script));
    } else if (typeof cause === "string") {
      call.reject(replyErrorOf(cause, outcome, script));
    } else {
      call.reject(cause instanceof ProtocolError ? new ProtocolError(cause.message, outcome) : cause);
    }
  }

  #retry(call: Call, step: Retry, remedy: Remedy | undefined): void {
    const history = historyOf(call);
    const node = call.node as ClusterNode;
    if (step.spends === "redirection") history.redirections++;
    else history.retries++;
    // A call without a deadline of its own is not tried for ever.
    if (call.list === undefined) this.#deadlines.add(call, PATIENCE_MS);
    call.asking = step.asking;
    history.mended = remedy !== undefined;
    if (remedy !== undefined) this.#mend(call, node, remedy);
    if (step.learned === "no-read-only-variant") this.#doWithoutReadOnlyVariant(call);
    if (remedy?.kind === "wait") {
      this.#park(call, remedy.done, () => this.#again(call, node));
    } else if (step.to.kind === "named") {
      this.#follow(call, formatAddress(step.to), step);
    } else if (step.when === "after-backoff") {
      this.#enterRoom(call, history.retries);
    } else {
      this.#again(call, node);
    }
  }

  /** The same node once more, through the same kind of connection. */
  #again(call: Call, node: ClusterNode): void {
    this.#place(call, node, call.pool);
  }

  /** To the node that a redirection named, if the cluster says that it is one of its own. */
  #follow(call: Call, address: string, { learned, when }: Retry): void {
    const send = (node: ClusterNode) => {
      if (learned === "slot-moved") this.#tracker().slotMoved(call.slot, address);
      if (when === "now") this.#place(call, node, node.pool);
      else this.#enterRoom(call, historyOf(call).redirections);
    };
    const known = this.#directory.get(address);
    if (known) {
      send(known);
      return;
    }
    const confirmed = this.#tracker()
      .refreshUntil(() => this.#directory.get(address) !== undefined)
      .catch(() => {});
    this.#park(call, confirmed, () => {
      const node = this.#directory.get(address);
      if (node) send(node);
      else {
        call.asking = false;
        this.#enterRoom(call, historyOf(call).redirections);
      }
    });
  }

  /** After a wait. Through an ASK to the node it named, otherwise to the owner of the slot by now. */
  #sendAgain(call: Call): void {
    if (call.settled) return;
    if (call.asking && call.node?.pool.ready && this.#directory.get(call.node.address) === call.node) {
      this.#place(call, call.node, call.node.pool);
      return;
    }
    call.asking = false;
    const node = this.#nodeFor(call);
    if (node) this.#place(call, node);
    else this.#withoutOwner(call);
  }

  /** Nobody owns the slot, as far as is known: look again, a few times. */
  #withoutOwner(call: Call): void {
    const history = historyOf(call);
    if (history.lookups++ >= MAX_OWNER_LOOKUPS) {
      const { target } = call.kind;
      const what = target ? `${target.address} has left the cluster` : `No node serves slot ${call.slot}`;
      call.reject(this.#unavailable(call, what, target ? undefined : this.#adviceOnOwners()));
      return;
    }
    const refreshed = this.#tracker()
      .refresh()
      .catch(() => {});
    this.#park(call, refreshed, () => {
      if (this.#nodeFor(call)) this.#sendAgain(call);
      else this.#enterRoom(call, history.lookups + 2);
    });
  }

  // Calls in no lane.

  #enterRoom(call: Call, attempt: number): void {
    this.#hold(call);
    this.#room.enter(call, Math.max(0, attempt - 1));
  }

  #park(call: Call, ready: Promise<void>, then: () => void): void {
    this.#hold(call);
    void ready.then(() => {
      this.#unpark(call);
      if (!call.settled) then();
    });
  }

  #hold(call: Call): void {
    const { pool } = call;
    this.#parked.set(call, pool);
    if (call.kind.blocking === undefined) pool?.hold(call.frame.length);
    else pool?.dedicated.hold();
  }

  #unpark(call: Call): void {
    if (!this.#parked.has(call)) return;
    const pool = this.#parked.get(call);
    if (call.kind.blocking === undefined) pool?.release(call.frame.length);
    else pool?.dedicated.release();
    this.#parked.delete(call);
  }

  // Missing scripts.

  #remedyFor(call: Call): Remedy | undefined {
    const { lane, node } = call;
    const { registered } = call.kind;
    if (registered === undefined || lane === undefined || node === undefined) return undefined;
    return node.scripts.remedyFor(registered, lane, call.stamp, historyOf(call).mended);
  }

  #mend(call: Call, node: ClusterNode, remedy: Remedy): void {
    const { lane } = call;
    const { registered } = call.kind;
    if (registered === undefined) return;
    if (remedy.kind === "load" && lane?.ready) {
      void node.scripts.loadOn(lane, registered);
      call.extras?.observer?.onLoad(registered.loadFrame.length);
    }
    if (remedy.kind === "eval" && registered.kind === "script") {
      call.frame = registered.evalFrame(call.frame);
      historyOf(call).evalEnded = node.scripts.loadByEval(lane, registered);
    }
  }

  #doWithoutReadOnlyVariant(call: Call): void {
    const { registered } = call.kind;
    if (registered?.kind !== "script") return;
    registered.noteNoReadOnlyVariants();
    call.frame = registered.plainFrame(call.frame);
  }

  #tellEvalEnded(history: History, refusal: Refusal, text: string): void {
    const ended = history.evalEnded;
    if (ended === undefined) return;
    history.evalEnded = undefined;
    if (refusal.kind === "other" || refusal.kind === "readonly-within") ended("held");
    else if (refusal.kind === "noperm") ended({ cause: new ReplyError(text, "not-executed"), final: true });
    else ended("lost");
  }

  #adviceOnOwners(): string {
    return this.#tracker().current.ranges.length === 0
      ? 'No slot of this cluster has an owner: "redis-cli --cluster create" forms a cluster of its nodes.'
      : 'The cluster\'s nodes know no owner of it: "redis-cli --cluster fix HOST:PORT" gives such slots to primaries.';
  }

  #unavailable(call: Call, what: string, advice?: string): UnavailableError {
    const causes = new Map<string, unknown>();
    for (const { address, pool } of this.#directory.nodes) if (!pool.ready) causes.set(address, pool.cause);
    return new UnavailableError(what, causes, call.outcomeSoFar, advice);
  }
}

/** A transaction that ends in an error was discarded whole, whatever the error says. */
function refusalOfAll(text: string): Refusal {
  const refusal = parseErrorReply(text);
  return refusal.kind === "other" || refusal.kind === "readonly-within" ? { kind: "declined" } : refusal;
}

/** Where a redirection of `node` leads, as announced. */
function toOf(refusal: Refusal, { info }: ClusterNode): string | undefined {
  if (refusal.kind !== "moved" && refusal.kind !== "ask") return undefined;
  const host = isUnknownHost(refusal.host) ? info.host : refusal.host;
  return formatAddress({ host, port: refusal.port });
}

/** The connections of a node that a call goes through. What reads from a replica has some of its own there. */
function poolFor(call: Call, node: ClusterNode): NodePool {
  return call.kind.readFrom !== "primary" && node.info.role === "replica" ? node.readers : node.pool;
}

function historyOf(call: Call): History {
  call.history ??= {
    redirections: 0,
    retries: 0,
    lookups: 0,
    hops: [],
    refusal: "",
    inDoubt: false,
    mended: false,
    avoid: undefined,
    evalEnded: undefined,
  };
  return call.history;
}
