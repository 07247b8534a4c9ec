import type { NodePool } from "../connection/node-pool.ts";
import type { Request } from "../connection/request.ts";
import type { Clock, Environment } from "../environment.ts";
import { AuthError, ClosedError, DeadlineError, ReplyError, SlotwireError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import { commandNameOf } from "../protocol/command-name.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import { CallTrace } from "../telemetry/call-trace.ts";
import { areCallsHeard, type BatchContext } from "../telemetry/channels.ts";
import { countIn, type Telemetry } from "../telemetry/counters.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import { Call, type CallOwner, historyOf } from "./call.ts";
import { CallErrors } from "./call-errors.ts";
import type { Extras, Writing } from "./call-extras.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Deadlines } from "./deadlines.ts";
import { Hedges } from "./hedges.ts";
import { Lessons, type RoutingEvents } from "./lessons.ts";
import { decideExpiry } from "./next-step.ts";
import type { NodeDirectory } from "./node-directory.ts";
import { dedicatedFor, Placement, poolFor } from "./placement.ts";
import { Rerouting } from "./rerouting.ts";
import { Retries } from "./retries.ts";
import { loadInFront, tellEvalEnded } from "./script-mending.ts";
import { Unplaced } from "./unplaced.ts";

/** Milliseconds that a call without a deadline may be refused, or wait for a node, before it is given up. */
const PATIENCE_MS = 60_000;

/** The objects that a dispatcher works with. */
export interface DispatcherParts {
  readonly environment: Environment;
  readonly directory: NodeDirectory;
  readonly deadlines: Deadlines;
  /** A function, because the tracker is made after the dispatcher and tells the dispatcher of changes. */
  readonly tracker: () => TopologyTracker;
  readonly events: RoutingEvents;
  readonly telemetry: Telemetry;
  readonly maxRedirections: number;
  /** The bounds of one node, which also hold for all calls together that have no node. */
  readonly maxPending: number;
  readonly maxPendingBytes: number;
  /** Is told that a call has settled which may write. Only if there is a cache. */
  readonly ownWrites?: { end(writing: Writing): void } | undefined;
  /** Milliseconds after which a node without sign of life is unavailable; 0 for never. */
  readonly unavailableAfter: number;
}

/**
 * Sends calls, and hears what becomes of them. A call that is served at once passes `send` and `Call.onReply` and
 * nothing else; every other call goes through `Retries`, and no other loop sends calls again.
 *
 *   send -> lane ... reply --------------------------------------> settled
 *             ^      error reply, or connection lost
 *             |             v
 *             '---- Retries: decideNextStep(...) -- reject ------> settled
 */
export class Dispatcher implements CallOwner {
  /** The feeds with calls that are admitted and not sent yet. They are told when the client closes. */
  readonly feeds = new Set<{ onClosed(): void }>();
  /** Counts what waits without a node. */
  readonly unplaced: Unplaced;
  /** Reads that are sent once more when they have no answer for long. */
  readonly hedges: Hedges;
  readonly #directory: NodeDirectory;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #deadlines: Deadlines;
  readonly #placement: Placement;
  readonly #retries: Retries;
  readonly #rerouting: Rerouting;
  readonly #errors: CallErrors;
  readonly #ownWrites: DispatcherParts["ownWrites"];
  /** Calls that block without a limit and have no deadline. */
  readonly #endless = new Set<Call>();
  /** The client is closing, and does not wait for calls that block without a limit. */
  #endsEndless = false;
  #live = 0;
  readonly #whenIdle: (() => void)[] = [];

  constructor(parts: DispatcherParts) {
    const { environment, directory, tracker, telemetry, maxRedirections } = parts;
    this.unplaced = new Unplaced(parts);
    this.#directory = directory;
    this.#clock = environment.clock;
    this.#telemetry = telemetry;
    this.#deadlines = parts.deadlines;
    this.#ownWrites = parts.ownWrites;
    this.#placement = new Placement(directory, this.#clock);
    this.hedges = new Hedges(this.#placement, parts.deadlines, telemetry.counters.hedges);
    this.#rerouting = new Rerouting(directory, this.#placement, this.#clock, (requests) => this.resend(requests));
    this.#errors = new CallErrors(directory, () => tracker().current, parts);
    this.#retries = new Retries({
      environment,
      directory,
      tracker,
      maxRedirections,
      unplaced: this.unplaced,
      placement: this.#placement,
      lessons: new Lessons(tracker, parts.events, telemetry),
      errors: this.#errors,
      send: (call) => this.send(call),
      attempt: (call, node, pool) => this.#attempt(call, node, pool),
      attemptApart: (call, node, pool) => this.#attemptApart(call, node, pool),
      limitPatience: (call) => this.#limitPatience(call),
    });
  }

  /** The number of calls that are not settled. */
  get live(): number {
    return this.#live;
  }

  /** The owner of a slot in the current topology; undefined if it has none. */
  ownerOf(slot: number): ClusterNode | undefined {
    return this.#directory.ownerOf(slot);
  }

  /**
   * Counts a call in and starts its deadline. From now on the call settles, whether it is sent or not.
   * @param elapsedMs  Milliseconds of the call's time that have passed.
   */
  admit(call: Call, batch: BatchContext | undefined, elapsedMs: number): void {
    const { client, counters, durations } = this.#telemetry;
    this.#live++;
    counters.calls++;
    if (call.timeoutMs > 0) {
      if (call.extras?.isStep !== true) this.#deadlines.add(call, Math.max(1, call.timeoutMs - elapsedMs));
    } else if (call.kind.blocking?.isEndless) this.#endless.add(call);
    if (durations !== undefined) call.withExtras.startedAt = this.#clock.now();
    if (batch !== undefined || areCallsHeard()) call.withExtras.observer = new CallTrace(call, client, batch);
    // A batch that had to ask a server first sends its calls while the client is closing.
    if (this.#endsEndless && this.#endless.has(call)) call.reject(this.#errors.closed(call));
  }

  /** Makes the first attempt of a call that has been admitted. A call whose node has no room is rejected. */
  send(call: Call): void {
    const node = this.#placement.nodeFor(call);
    if (node === undefined) {
      const refusal = this.unplaced.refusalOf(call.frame.length);
      if (refusal === undefined) this.#retries.withoutNode(call);
      else call.reject(refusal);
      return;
    }
    const pool = poolFor(call, node);
    const full = (call.kind.blocking === undefined ? pool : dedicatedFor(call, pool)).refusalOf(call.frame.length);
    if (full !== undefined) call.reject(full);
    else this.#attempt(call, node, pool);
  }

  /**
   * Makes the first attempt of a call that has been admitted. Returns false, and does nothing, if its node has no room.
   */
  offer(call: Call): boolean {
    // A call that blocks may wait for an event that never comes, so no call of the feed may wait for it.
    if (call.kind.blocking !== undefined) {
      this.send(call);
      return true;
    }
    const node = this.#placement.nodeFor(call);
    if (node === undefined) {
      if (!this.unplaced.hasRoomFor(call.frame.length)) return false;
      this.#retries.withoutNode(call);
      return true;
    }
    const pool = poolFor(call, node);
    if (!pool.hasRoomFor(call.frame.length)) return false;
    this.#attempt(call, node, pool);
    return true;
  }

  /** Hands an attempt to a connection's queue; for a call that blocks, to the queue for a connection of its own. */
  #attempt(call: Call, node: ClusterNode, pool: NodePool): void {
    const { blocking } = call.kind;
    call.node = node;
    call.pool = pool;
    if (pool.isUnavailable) {
      this.#retries.nodeUnavailable(call);
      return;
    }
    if (blocking !== undefined) {
      call.frame = blocking.frameAt(this.#clock.now());
      this.#limitPatience(call);
      call.extras?.observer?.onAttempt(call, node.address);
      dedicatedFor(call, pool).push(call);
      return;
    }
    const lane = pool.laneOf(call.slot);
    loadInFront(call, node, lane);
    if (!lane.ready) this.#limitPatience(call);
    call.extras?.observer?.onAttempt(call, node.address);
    lane.push(call);
  }

  /** Hands an attempt to the node's connection for repeats. */
  #attemptApart(call: Call, node: ClusterNode, pool: NodePool): void {
    call.node = node;
    call.pool = pool;
    if (pool.isUnavailable) {
      this.#retries.nodeUnavailable(call);
      return;
    }
    call.stamp = node.scripts.stamp;
    this.#limitPatience(call);
    call.extras?.observer?.onAttempt(call, node.address);
    pool.repeats.push(call);
  }

  /** Limits how long a call without a deadline is tried again, or waits for a node. */
  #limitPatience(call: Call): void {
    if (call.timeoutMs === 0 && call.moment === undefined) this.#deadlines.add(call, PATIENCE_MS);
  }

  /** The topology changed, so calls that were not written follow their slots. */
  reroute(): void {
    this.#rerouting.followSlots();
  }

  /** The topology is fresh, so calls that pause before their next attempt make it now. */
  retryWaiting(): void {
    this.#retries.parked.endPauses();
  }

  /** A round of topology queries has ended, so calls whose slot has no owner look again. */
  lookForOwners(): void {
    this.#retries.parked.lookForOwners();
  }

  /** Queues requests again that were not written, in order. */
  resend(requests: readonly Request[]): void {
    for (const request of requests) {
      if (request instanceof Call) this.#retries.sendAgain(request);
      // Only calls are sent again. A new connection is prepared with the scripts of the loads that were queued here.
      else request.onLost(new Error("the connection was lost before this was written"));
    }
  }

  /** Resolves when no call is unsettled. */
  async idle(): Promise<void> {
    if (this.#live > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Rejects the calls that block without a limit and have no deadline. */
  endEndless(): void {
    this.#endsEndless = true;
    for (const call of [...this.#endless]) call.reject(this.#errors.closed(call));
  }

  /**
   * Ends the dispatcher: calls that are in no lane are rejected here, and calls that lanes give back are rejected then.
   */
  close(): void {
    for (const feed of this.feeds) feed.onClosed();
    this.#retries.close();
    this.#rerouting.close();
    this.#deadlines.close();
  }

  // Reports of lanes and calls.

  onRejected(error: Error): void {
    const { counters } = this.#telemetry;
    countIn(counters.errors, error instanceof SlotwireError ? error.code : "OTHER");
    if (error instanceof DeadlineError) countIn(counters.deadlines, error.waited);
  }

  onSettled(call: Call, replied: boolean): void {
    if (replied) this.#telemetry.counters.replies++;
    if (call.kind.blocking?.isEndless) this.#endless.delete(call);
    if (call.extras !== undefined) this.#settleExtras(call, call.extras, replied);
    if (call.written !== undefined) this.#ownWrites?.end(call);
    if (--this.#live === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #settleExtras(call: Call, extras: Extras, replied: boolean): void {
    const { history, startedAt, feed, hedge } = extras;
    hedge?.end();
    const { durations } = this.#telemetry;
    if (durations !== undefined) {
      durations.add(commandNameOf(call.frame), call.kind.script?.name ?? null, this.#clock.now() - startedAt);
    }
    if (history !== undefined) {
      this.#retries.parked.release(call);
      if (replied) this.#placement.noteServed(call);
      history.evalEnded?.(replied ? "held" : "lost");
    }
    feed?.onCallSettled(call, replied);
  }

  onRefused(call: Call, answer: string): void {
    invariant(call.place === "in-flight", "a call that is answered was written");
    const { transaction } = call.kind;
    const verdict = transaction?.verdictOn(answer);
    if (verdict?.proven === false) {
      call.reject(new ReplyError(verdict.text, "unknown"));
      return;
    }
    const text = verdict?.text ?? answer;
    const refusal = verdict?.refusal ?? parseErrorReply(text);
    const history = historyOf(call);
    history.refusal = text;
    history.hops.push({ address: (call.node as ClusterNode).address, answer: firstWordOf(text) });
    call.place = "parked";
    tellEvalEnded(history, refusal, text);
    this.#retries.decide(call, { kind: "refusal", refusal }, text);
  }

  onLost(call: Call, cause: Error): void {
    if (this.#retries.isClosed || cause instanceof ClosedError) call.reject(this.#errors.closed(call));
    else if (cause instanceof AuthError) call.reject(this.#errors.unauthorized(call, cause));
    else {
      const written = call.place === "in-flight";
      call.place = "parked";
      const history = historyOf(call);
      history.inDoubt ||= written;
      if (written) history.lostBecause = cause;
      history.hops.push({ address: (call.node as ClusterNode).address, answer: "LOST" });
      this.#retries.decide(call, { kind: "lost", written }, cause);
    }
  }

  /** The read that was sent for a call is given up, because its reply would not count. `why`: in words. */
  onReadGivenUp(call: Call, why: string): void {
    call.place = "parked";
    this.#retries.readGivenUp(call, why);
  }

  onExpired(call: Call): void {
    const { timeoutMs, history, node, pool } = call;
    const how = decideExpiry({
      hasDeadline: timeoutMs > 0,
      isInFlight: call.place === "in-flight",
      wasRefused: history !== undefined && history.refusal !== "",
      mayHaveRun: call.inDoubt,
      isUnreachable: node === undefined ? this.#directory.isOutOfReach : pool?.ready !== true,
    });
    if (how === "wait") return;
    call.reject(this.#errors.expired(call, how, timeoutMs || PATIENCE_MS));
    if (timeoutMs === 0) call.extras?.feed?.onGivenUp(call);
  }
}

function firstWordOf(text: string): string {
  return text.split(" ", 1)[0] ?? text;
}
