import type { Environment } from "../environment.ts";
import {
  type AuthError,
  ClosedError,
  ConnectionLostError,
  DeadlineError,
  ProtocolError,
  RedirectionsError,
  UnavailableError,
  type Waited,
} from "../errors.ts";
import type { Remedy } from "../scripts/loaded-scripts.ts";
import { replyErrorOf } from "../scripts/script-error.ts";
import type { Topology } from "../topology/topology.ts";
import { withoutLife } from "./availability.ts";
import { type Call, historyOf } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { type decideExpiry, outcomeOfCall } from "./next-step.ts";
import type { Rejection } from "./next-step-rows.ts";
import type { NodeDirectory } from "./node-directory.ts";

/** What the errors say, and when they are made. */
interface ErrorLimits {
  readonly environment: Environment;
  readonly maxRedirections: number;
  readonly unavailableAfter: number;
}

/** Where a call is that is not settled: what its `DeadlineError` says. */
function waitedOf({ place, history, pool }: Call): Waited {
  if (place === "in-flight") return pool?.isSilent === true ? "node-silent" : "sent";
  return history !== undefined && history.refusal !== "" ? "refused" : "queued";
}

/** Makes the errors that callers get from what was decided. */
export class CallErrors {
  readonly #directory: NodeDirectory;
  readonly #topology: () => Topology;
  readonly #limits: ErrorLimits;
  #causes: ReadonlyMap<string, unknown> | undefined;

  constructor(directory: NodeDirectory, topology: () => Topology, limits: ErrorLimits) {
    this.#directory = directory;
    this.#topology = topology;
    this.#limits = limits;
  }

  /**
   * The error of a call that was rejected.
   * @param cause  The server's error text, or why the connection was lost.
   */
  rejected(call: Call, step: Rejection, cause: string | Error, remedy: Remedy | undefined): Error {
    const outcome = outcomeOfCall(step.outcome, call.inDoubt);
    const { script } = call.kind;
    if (step.why === "redirections") {
      return new RedirectionsError(this.#limits.maxRedirections, historyOf(call).hops, outcome);
    }
    const { unavailableAfter } = this.#limits;
    if (step.row === "node-unavailable") return withoutLife(call.node as ClusterNode, unavailableAfter);
    if (step.why === "unavailable") return this.#withoutNode(call);
    if (step.why === "load" && remedy?.kind === "give-up") return replyErrorOf(remedy.cause.reply, outcome, script);
    if (typeof cause === "string") return replyErrorOf(cause, outcome, script);
    return cause instanceof ProtocolError ? new ProtocolError(cause.message, outcome) : cause;
  }

  /**
   * The error of a call whose time is up.
   * @param limitMs  Milliseconds that the call was allowed to take.
   */
  expired(call: Call, how: ReturnType<typeof decideExpiry>, limitMs: number): Error {
    const outcome = call.outcomeSoFar;
    if (how === "deadline-after-refusal") {
      const cause = replyErrorOf(historyOf(call).refusal, "not-executed", call.kind.script);
      return new DeadlineError(limitMs, outcome, cause, "refused");
    }
    if (how !== "unavailable") {
      const waited = waitedOf(call);
      const busy = waited === "node-silent" ? call.pool?.busy : undefined;
      return new DeadlineError(limitMs, outcome, busy ?? call.history?.lostBecause, waited);
    }
    const { address = "A node" } = call.node ?? {};
    return this.#unavailable(call, `${address} could not be reached within ${limitMs} ms`);
  }

  /** The error when the credentials were refused: this attempt was not written, but an earlier one may have been. */
  unauthorized(call: Call, cause: AuthError): Error {
    return call.inDoubt ? new ConnectionLostError((call.node as ClusterNode).address, "unknown", cause) : cause;
  }

  closed(call: Call): ClosedError {
    return new ClosedError(call.outcomeSoFar);
  }

  #withoutNode(call: Call): UnavailableError {
    const { target } = call.kind;
    if (target !== undefined) return this.#unavailable(call, `${target.address} has left the cluster`);
    const advice = !this.#topology().hasOwners
      ? 'No slot of this cluster has an owner: "redis-cli --cluster create" forms a cluster of its nodes.'
      : 'The cluster\'s nodes know no owner of it: "redis-cli --cluster fix HOST:PORT" gives such slots to primaries.';
    const leftOut = this.#topology().leftOut.map(({ entry, why }) => [entry, new Error(why)] as const);
    return this.#unavailable(call, `No node serves slot ${call.slot}`, advice, leftOut);
  }

  #unavailable(
    call: Call,
    what: string,
    advice?: string,
    others: readonly (readonly [string, Error])[] = [],
  ): UnavailableError {
    const causes = others.length === 0 ? this.#causesNow() : new Map([...others, ...this.#causesNow()]);
    return new UnavailableError(what, causes, call.outcomeSoFar, advice);
  }

  /** Why nodes cannot be reached. Calls that fail in one turn share it: many calls times many nodes would be too much. */
  #causesNow(): ReadonlyMap<string, unknown> {
    if (this.#causes !== undefined) return this.#causes;
    const causes = new Map<string, unknown>();
    for (const { address, pool } of this.#directory.nodes) if (!pool.ready) causes.set(address, pool.cause);
    this.#causes = causes;
    this.#limits.environment.clock.afterReads(() => {
      this.#causes = undefined;
    });
    return causes;
  }
}
