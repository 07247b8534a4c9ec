import type { NodePool } from "../connection/node-pool.ts";
import type { Clock, Environment } from "../environment.ts";
import { invariant } from "../invariant.ts";
import { formatAddress } from "../protocol/node-address.ts";
import type { Remedy } from "../scripts/loaded-scripts.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import { type Call, historyOf } from "./call.ts";
import type { CallErrors } from "./call-errors.ts";
import type { History } from "./call-extras.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { type Lessons, NO_NODE_KNOWN, UNKNOWN_ERROR } from "./lessons.ts";
import { decideNextStep, type Failure, type Situation } from "./next-step.ts";
import type { NextStep, Retry } from "./next-step-rows.ts";
import type { NodeDirectory } from "./node-directory.ts";
import { ParkedCalls } from "./parked-calls.ts";
import { type Placement, poolFor } from "./placement.ts";
import { doWithoutReadOnlyVariant, mend, remedyFor } from "./script-mending.ts";
import type { Unplaced } from "./unplaced.ts";

/** The objects that `Retries` works with. */
export interface RetriesParts {
  readonly environment: Environment;
  readonly directory: NodeDirectory;
  readonly placement: Placement;
  readonly tracker: () => TopologyTracker;
  readonly lessons: Lessons;
  readonly errors: CallErrors;
  /** Counts calls that no node can be given. */
  readonly unplaced: Unplaced;
  readonly maxRedirections: number;
  /** Makes the first attempt of a call. One whose node has no room is rejected. */
  send(call: Call): void;
  /** Hands the next attempt of a call to a connection. */
  attempt(call: Call, node: ClusterNode, pool: NodePool): void;
  /** The same on the node's connection for repeats. */
  attemptApart(call: Call, node: ClusterNode, pool: NodePool): void;
  /** Limits how long a call without a deadline is tried again. */
  limitPatience(call: Call): void;
}

/**
 * The second attempt of a call and all later ones: asks `decideNextStep` what follows a failure, and carries it out.
 *
 *   failure -> decide -- retry: now ------------------------------> attempt
 *                 |         after a pause, a load or a refresh ---> parked --> attempt, or decide again
 *                 '-- reject -------------------------------------> settled
 */
export class Retries {
  readonly parked: ParkedCalls;
  readonly #parts: RetriesParts;
  readonly #clock: Clock;
  readonly #isListed = (address: string) => this.#parts.directory.get(address) !== undefined;
  /** By slot: the last look-up of a call that was sent to a node that is not listed. */
  readonly #lookUps = new Map<number, Promise<void>>();
  #closed = false;

  constructor(parts: RetriesParts) {
    this.#parts = parts;
    this.#clock = parts.environment.clock;
    this.parked = new ParkedCalls(parts.environment, parts.unplaced, (call) => this.sendAgain(call));
  }

  /** Rejects parked calls. From now on, a call that fails is rejected too. */
  close(): void {
    this.#closed = true;
    for (const call of this.parked.all) call.reject(this.#parts.errors.closed(call));
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Decides what follows a failure, and carries it out.
   * @param cause  The server's error text, or why the connection was lost.
   */
  decide(call: Call, failure: Failure, cause: string | Error): void {
    const { errors, lessons } = this.#parts;
    const history = historyOf(call);
    const node = call.node as ClusterNode;
    if (call.kind.blocking?.wasHeld(this.#clock.now())) forgetTroubles(call, history);
    // A replica that could not serve this read does not get it again, whatever the reason.
    const refusal = failure.kind === "refusal" ? failure.refusal : undefined;
    if (refusal !== undefined) call.pool?.noteRefusal();
    if (call.pool !== node.pool) {
      avoid(history, node);
      if (refusal !== undefined) this.#parts.placement.noteRefusal(node, refusal.kind);
    }
    if (failure.kind === "lost" && failure.written && history.isApart && call.pool?.repeats.sendsAlone) {
      history.lossesAlone++;
    }
    // A call that is answered has not cost its connection.
    if (refusal !== undefined) history.isApart = false;
    const isMissing = refusal?.kind === "noscript" || refusal?.kind === "no-function";
    const remedy = isMissing ? remedyFor(call) : undefined;
    history.awaitsScript = remedy !== undefined;
    const step = decideNextStep(failure, this.#situationOf(call, remedy));
    const pauseMs = this.#pauseOf(call, step);
    const answer = history.hops.at(-1)?.answer ?? "";
    // The first word of a text that is not known can be anything.
    lessons.note(call, step, refusal?.kind === "other" ? UNKNOWN_ERROR : answer, pauseMs, remedy);
    // After its rest the call may find the script loaded by another one, so it is decided upon once more.
    if (remedy?.kind === "rest") {
      this.#parts.limitPatience(call);
      this.parked.waitFor(call, remedy.done, () => this.decide(call, failure, cause));
      return;
    }
    lessons.learn(step, call, refusal);
    // A listener may have closed the client.
    if (this.#closed) call.reject(errors.closed(call));
    else if (step.kind === "reject") call.reject(errors.rejected(call, step, cause, remedy));
    else {
      const text = typeof cause === "string" ? cause : "";
      lessons.noteRetry(call, answer, step, refusal, text);
      this.#retry(call, step, pauseMs, remedy);
    }
  }

  /** The pause in front of the next attempt, drawn now so that it can be told; undefined without a pause. */
  #pauseOf(call: Call, step: NextStep): number | undefined {
    if (step.kind === "reject" || step.when !== "after-backoff") return undefined;
    // `#retry` has not counted this one yet.
    const { redirections, retries } = historyOf(call);
    return this.parked.drawPause(call, step.to.kind === "named" ? redirections : retries);
  }

  /** Makes the next attempt after a pause, or after a queue gave the call back. */
  sendAgain(call: Call): void {
    if (call.settled) return;
    const { node, asking } = this.#parts.placement.nodeAgainFor(call);
    call.asking = asking;
    if (node === undefined) {
      this.withoutNode(call);
      return;
    }
    if (call.history !== undefined) call.history.ownerlessSince = undefined;
    const pool = asking ? node.pool : poolFor(call, node);
    if (isApart(call, node)) this.#parts.attemptApart(call, node, pool);
    else this.#parts.attempt(call, node, pool);
  }

  /** Goes on with a call when no node is known that may serve it. The calls of a slot wait together, in their order. */
  withoutNode(call: Call): void {
    const { errors, lessons, limitPatience, tracker } = this.#parts;
    const history = historyOf(call);
    const now = this.#clock.now();
    history.ownerlessSince ??= now;
    const waitedMs = now - history.ownerlessSince;
    const agreed = tracker().agreedAt >= history.ownerlessSince;
    const step = decideNextStep({ kind: "no-node", waitedMs, agreed }, this.#situationOf(call, undefined));
    if (step.kind === "reject") {
      lessons.note(call, step, NO_NODE_KNOWN, undefined);
      call.reject(errors.rejected(call, step, history.lostBecause ?? "", undefined));
      return;
    }
    const waitMs = this.parked.drawOwnerWait(call);
    lessons.note(call, step, NO_NODE_KNOWN, waitMs);
    limitPatience(call);
    tracker().seekOwner();
    this.parked.waitForOwner(call, waitMs);
  }

  /** Goes on with a call whose node has given no sign of life for `unavailableAfter`. */
  nodeUnavailable(call: Call): void {
    const { errors, lessons } = this.#parts;
    const { node, pool } = call;
    call.place = "parked";
    const history = historyOf(call);
    const situation = this.#situationOf(call, undefined);
    // A replica that the slot is said to have moved to is its owner: when it comes once more, there is no other.
    const atReplica = situation.atReplica && history.avoid?.has(node as ClusterNode) !== true;
    if (node !== undefined && pool !== node.pool) avoid(history, node);
    const step = decideNextStep({ kind: "unavailable" }, { ...situation, atReplica });
    lessons.note(call, step, "unavailable", undefined);
    if (step.kind === "reject") call.reject(errors.rejected(call, step, history.lostBecause ?? "", undefined));
    else this.sendAgain(call);
  }

  /** Goes on with a call whose read is given up, which was to be kept. `why`: in words. */
  readGivenUp(call: Call, why: string): void {
    const { errors, lessons } = this.#parts;
    const step = decideNextStep({ kind: "not-kept" }, this.#situationOf(call, undefined));
    lessons.note(call, step, why, undefined);
    if (this.#closed) call.reject(errors.closed(call));
    else if (step.kind === "reject") call.reject(errors.rejected(call, step, "", undefined));
    else {
      // It has had no place in the bounds of a node.
      call.node = undefined;
      call.pool = undefined;
      this.#parts.send(call);
    }
  }

  #situationOf(call: Call, remedy: Remedy | undefined): Situation {
    const { kind, slot, asking, pool, node } = call;
    const history = historyOf(call);
    return {
      slot,
      isScript: kind.registered?.kind === "script",
      isFunction: kind.registered?.kind === "library",
      isPinned: kind.isPinned === true,
      atReplica: pool !== node?.pool,
      runsCode: kind.runsCode,
      isCheckedFirst: kind.registered?.isCheckedFirst === true,
      mayRepeat: kind.mayRepeat && call.extras?.mayNotRepeat !== true,
      node: node?.info ?? NO_NODE,
      redirections: history.redirections,
      maxRedirections: this.#parts.maxRedirections,
      asking,
      asked: history.hops.map(({ address }) => address),
      lossesAlone: history.lossesAlone,
      isListed: this.#isListed,
      remedy: remedy?.kind,
      mayHaveRun: call.inDoubt,
      loadsDenied: kind.transaction?.loadsDenied === true,
    };
  }

  /** @param pauseMs  As drawn, for a step with a pause. */
  #retry(call: Call, step: Retry, pauseMs: number | undefined, remedy: Remedy | undefined): void {
    const history = historyOf(call);
    if (step.spends === "redirection") history.redirections++;
    else if (step.spends === "retry") history.retries++;
    this.#parts.limitPatience(call);
    call.asking = step.asking;
    history.mended = remedy !== undefined;
    history.isApart ||= step.isApart === true;
    const node = call.node as ClusterNode;
    const pool = call.pool as NodePool;
    try {
      if (remedy !== undefined) mend(call, node, remedy);
      if (step.learned === "no-read-only-variant") doWithoutReadOnlyVariant(call);
      if (step.learned === "loads-denied") call.frame = call.kind.transaction?.encodeWithoutLoads() ?? call.frame;
    } catch (error) {
      // With the sources in it, the call is larger than a frame can be.
      call.reject(error as Error);
      return;
    }
    if (step.when === "after-load" && remedy?.kind === "wait") {
      this.parked.waitFor(call, remedy.done, () => this.#parts.attempt(call, node, pool));
    } else if (step.to.kind === "named") this.#follow(call, step, pauseMs, formatAddress(step.to));
    else if (pauseMs !== undefined) {
      invariant(step.asking === (step.to.kind === "same-node"), "after a pause, only an ASKING leads to the same node");
      this.parked.pause(call, pauseMs);
    } else if (step.to.kind === "owner") this.sendAgain(call);
    else this.#parts.attempt(call, node, pool);
  }

  /** Sends the call to the node that a redirection named, once the topology lists that node. */
  #follow(call: Call, step: Retry, pauseMs: number | undefined, address: string): void {
    const { directory, tracker } = this.#parts;
    const node = directory.get(address);
    if (step.when === "after-refresh" || node === undefined) {
      const lookedUp = this.#inTurn(
        call.slot,
        tracker().lookUp(() => this.#isListed(address)),
      );
      this.parked.waitFor(call, lookedUp, () => this.#followLookedUp(call, step, address));
      return;
    }
    if (step.learned === "slot-moved") tracker().slotMoved(call.slot, address);
    if (pauseMs === undefined) this.#parts.attempt(call, node, node.pool);
    else this.parked.pause(call, pauseMs);
  }

  /** Settles behind the look-ups of calls of the slot that were refused earlier. */
  #inTurn(slot: number, lookUp: Promise<void>): Promise<void> {
    const earlier = this.#lookUps.get(slot);
    const last = earlier === undefined ? lookUp : earlier.then(() => lookUp);
    this.#lookUps.set(slot, last);
    void last.then(() => {
      if (this.#lookUps.get(slot) === last) this.#lookUps.delete(slot);
    });
    return last;
  }

  #followLookedUp(call: Call, redirection: Retry, address: string): void {
    const { attempt, directory, lessons, tracker } = this.#parts;
    const node = directory.get(address);
    const failure: Failure = { kind: "looked-up", listed: node !== undefined, redirection };
    const step = decideNextStep(failure, this.#situationOf(call, undefined));
    const isListed = node !== undefined && step.kind === "retry" && step.when !== "after-backoff";
    // Calls of the slot that were refused earlier may have looked in vain, and pause: this one leaves behind them.
    const isFirst = !this.parked.isPausing(call.slot);
    const isNow = isListed && isFirst;
    const pauseMs = isNow ? 0 : this.parked.drawPause(call, historyOf(call).redirections - 1);
    lessons.note(call, step, "looked-up", isNow ? undefined : pauseMs);
    if (isListed && redirection.learned === "slot-moved") tracker().slotMoved(call.slot, address);
    call.asking = isNow && step.asking;
    if (isNow) attempt(call, node, node.pool);
    else this.parked.pause(call, pauseMs);
  }
}

const NO_NODE = { host: "", port: 0 };

/** The call does not go to that replica any more. */
function avoid(history: History, node: ClusterNode): void {
  history.avoid ??= new Set();
  history.avoid.add(node);
}

/** Whether the next attempt goes on the connection for repeats. A script that the node lacks goes with the call. */
function isApart({ asking, history, kind: { blocking, registered } }: Call, { scripts }: ClusterNode): boolean {
  if (history?.isApart !== true || asking || blocking !== undefined) return false;
  return registered === undefined || !scripts.needsLoad(registered);
}

/** Forgets the redirections and retries of a call that the server blocked, because a call can be blocked for days. */
function forgetTroubles(call: Call, history: History): void {
  history.redirections = 0;
  history.retries = 0;
  history.hops.splice(0, history.hops.length - 1);
  if (call.timeoutMs === 0) call.moment?.list.remove(call);
}
