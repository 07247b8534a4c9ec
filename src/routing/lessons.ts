import { isOfReplica, type Refusal } from "../protocol/error-reply.ts";
import { formatAddress, isHostThatAnswered } from "../protocol/node-address.ts";
import type { Remedy } from "../scripts/loaded-scripts.ts";
import { scriptMissingChannel } from "../telemetry/channels.ts";
import { countIn, type Telemetry } from "../telemetry/counters.ts";
import { nextSeq } from "../telemetry/sequence.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import { type Call, historyOf } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { tracedDecision } from "./decision-trace.ts";
import { outcomeOfCall } from "./next-step.ts";
import type { NextStep } from "./next-step-rows.ts";

/** The news of single calls for the client. */
export interface RoutingEvents {
  /** A node answered MOVED or ASK. Addresses are as announced. */
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

/** What was met, in messages about a call that no node can be given. */
export const NO_NODE_KNOWN = "no-node";

/** What was met, in messages about an answer that slotwire does not know. */
export const UNKNOWN_ERROR = "error";

/** Does what a decision teaches, and tells counters, channels and the client. */
export class Lessons {
  readonly #tracker: () => TopologyTracker;
  readonly #events: RoutingEvents;
  readonly #telemetry: Telemetry;

  constructor(tracker: () => TopologyTracker, events: RoutingEvents, telemetry: Telemetry) {
    this.#tracker = tracker;
    this.#events = events;
    this.#telemetry = telemetry;
  }

  /**
   * Counts a step, and publishes it: before anything that follows from it.
   * @param failure    What was met: the first word of an answer, `LOST`, or what else it was.
   * @param backoffMs  The pause in front of the next attempt.
   */
  note(call: Call, step: NextStep, failure: string, backoffMs: number | undefined, remedy?: Remedy): void {
    countIn(this.#telemetry.counters.decisions, step.row);
    call.extras?.observer?.onDecision(() => {
      const { redirections, retries } = historyOf(call);
      const outcome = step.kind === "reject" ? outcomeOfCall(step.outcome, call.inDoubt) : "unknown";
      const spent = { redirections, retries };
      const address = failure === NO_NODE_KNOWN ? undefined : call.node?.address;
      return tracedDecision(step, { address, failure, backoffMs, remedy: remedy?.kind, outcome, ...spent });
    });
  }

  learn(step: NextStep, call: Call, refusal: Refusal | undefined): void {
    const node = call.node as ClusterNode;
    if (refusal?.kind === "moved" || refusal?.kind === "ask") this.#tellRedirection(call, node, refusal);
    if (refusal !== undefined && isOfReplica(refusal)) node.noteReplicaRefusal();
    switch (step.learned) {
      case "topology-stale":
        this.#tracker().refreshSoon("urgent");
        break;
      case "connection-stale":
        node.pool.replaceConnections();
        this.#tracker().refreshSoon("urgent");
        break;
      case "script-missing":
        this.#tellScriptMissing(call, node);
        break;
      case "loads-denied":
        node.scripts.noteLoadsDenied();
        break;
    }
  }

  /**
   * Counts and publishes that a refused or lost call is sent again.
   * @param answer  The first word of the refusal, or `LOST`.
   * @param text    The whole refusal; empty for a lost call.
   */
  noteRetry(call: Call, answer: string, { row }: NextStep, refusal: Refusal | undefined, text: string): void {
    countIn(this.#telemetry.counters.retries, answer);
    const node = call.node as ClusterNode;
    call.extras?.observer?.onRetry(call, node.address, answer, refusal && namedBy(refusal, node), text, row);
  }

  #tellRedirection(call: Call, node: ClusterNode, refusal: Refusal): void {
    const kind = refusal.kind === "moved" ? "MOVED" : "ASK";
    this.#telemetry.counters.redirections[kind]++;
    this.#events.onRedirection({
      kind,
      slot: call.slot,
      from: node.address,
      to: namedBy(refusal, node) as string,
      script: call.kind.script?.name,
    });
  }

  #tellScriptMissing(call: Call, { address }: ClusterNode): void {
    const { registered, script } = call.kind;
    if (registered === undefined) return;
    const { sha } = registered;
    const name = script?.name ?? registered.name;
    const { client, counters } = this.#telemetry;
    counters.scriptMisses++;
    if (scriptMissingChannel.hasSubscribers) {
      const seq = nextSeq();
      const context = call.extras?.observer?.context;
      const attempt = call.extras?.observer?.attempt;
      scriptMissingChannel.publish({ seq, client, call: context, attempt, address, script: { name, sha } });
    }
    this.#events.onScriptMissing({ address, script: name, sha });
  }
}

/** The address that a MOVED or ASK of `node` names, as announced; undefined for other refusals. */
function namedBy(refusal: Refusal, { info }: ClusterNode): string | undefined {
  if (refusal.kind !== "moved" && refusal.kind !== "ask") return undefined;
  const host = isHostThatAnswered(refusal.host) ? info.host : refusal.host;
  return formatAddress({ host, port: refusal.port });
}
