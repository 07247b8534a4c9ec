import { type BackoffRange, backoffMs } from "../connection/backoff.ts";
import type { Environment, Timer } from "../environment.ts";
import { type Outcome, ReplyError, type SlotwireError, type UnavailableError, withParticulars } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import { formatAddress } from "../protocol/node-address.ts";
import { withoutLife } from "../routing/availability.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { decideNextStep, type Situation } from "../routing/next-step.ts";
import type { NextStep, Rejection, Retry } from "../routing/next-step-rows.ts";
import type { NodeDirectory } from "../routing/node-directory.ts";
import { countIn, type Telemetry } from "../telemetry/counters.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import { COMMANDS, type Topic } from "./topic.ts";

/** A server that is not ready yet is asked again within 100 ms. */
const PAUSE: BackoffRange = { firstMs: 20, mostMs: 100 };

/** So many nodes are remembered that refused. */
const MOST_ASKED = 16;

/** The objects that `Refusals` works with. */
export interface RefusalsParts {
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  readonly directory: () => NodeDirectory;
  readonly tracker: () => TopologyTracker;
  /** The pause after a refusal is over, or the topology may have learned of another owner. */
  onAgain(topics: readonly Topic[], node: ClusterNode): void;
  /** The servers refuse a topic for good. */
  onRejected(topic: Topic, error: SlotwireError): void;
}

/** What one node has refused lately: for one slot, or for all topics that are not sharded. */
interface Trouble {
  /** The nodes that refused, oldest first. */
  readonly asked: string[];
  pauses: number;
}

/**
 * What follows a refusal of SUBSCRIBE and its like. `decideNextStep` decides, as for calls; a subscription only has no
 * deadline and no end of redirections, because it outlives any number of moves.
 */
export class Refusals {
  readonly #parts: RefusalsParts;
  /** By slot; -1 for topics that are not sharded. Ends with a confirmation. */
  readonly #troubles = new Map<number, Trouble>();
  readonly #timers = new Set<Timer>();
  #isClosed = false;

  constructor(parts: RefusalsParts) {
    this.#parts = parts;
  }

  /** A node has confirmed topics of the slot: its troubles are over. */
  noteConfirmed(slot: number): void {
    this.#troubles.delete(slot);
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** Decides, counts, and teaches the client what the refusal says. `follow` carries the decision out. */
  decide(slot: number, node: ClusterNode, text: string): NextStep {
    const trouble = this.#troubles.get(slot) ?? { asked: [], pauses: 0 };
    this.#troubles.set(slot, trouble);
    if (trouble.asked.length < MOST_ASKED) trouble.asked.push(node.address);
    return this.#decide(slot, node, text, trouble.asked);
  }

  /** The same for topics that are to be left. They are asked for nowhere else, so nothing is remembered. */
  decideLeaving(slot: number, node: ClusterNode, text: string): NextStep {
    return this.#decide(slot, node, text, []);
  }

  #decide(slot: number, node: ClusterNode, text: string, asked: readonly string[]): NextStep {
    const { tracker, telemetry } = this.#parts;
    const refusal = parseErrorReply(text);
    const step = decideNextStep({ kind: "refusal", refusal }, this.#situation(slot, node, asked));
    countIn(telemetry.counters.decisions, step.row);
    if (step.learned === "connection-stale") node.pool.replaceConnections();
    if (step.learned === "topology-stale" || step.learned === "connection-stale") tracker().refreshSoon("urgent");
    return step;
  }

  /** The topic was not asked for, because its node has given no sign of life for `limitMs`. */
  unavailable({ kind, slot }: Topic, node: ClusterNode, limitMs: number): UnavailableError {
    const step = decideNextStep({ kind: "unavailable" }, this.#situation(slot, node, []));
    countIn(this.#parts.telemetry.counters.decisions, step.row);
    const particulars = { command: COMMANDS[kind].ask, address: node.address, slot: slot === -1 ? undefined : slot };
    return withParticulars(withoutLife(node, limitMs), particulars);
  }

  /** The topics wait, at no node. */
  follow(topics: readonly Topic[], node: ClusterNode, step: Retry, text: string): void {
    for (const topic of topics) {
      for (const hearer of topic.hearers) {
        if (!hearer.hasBegun(topic)) hearer.refused(errorOf(topic, node, text, "not-executed"));
      }
    }
    const { tracker } = this.#parts;
    const slot = (topics[0] as Topic).slot;
    if (step.to.kind !== "named") {
      this.#pause(topics, node);
      return;
    }
    const address = formatAddress(step.to);
    // A topology that changes tells every topic of the slot where it belongs now. Topics that it leaves here ask again.
    const follow = () => {
      if (!this.#isClosed && this.#isListed(address)) tracker().slotMoved(slot, address);
    };
    // A node that has confirmed in the meantime knows better.
    const trouble = this.#troubles.get(slot);
    const followLate = () => {
      if (this.#troubles.get(slot) === trouble) follow();
    };
    if (step.when === "now") {
      follow();
      this.#pause(topics, node);
    } else if (step.when === "after-refresh") {
      void tracker()
        .lookUp(() => this.#isListed(address))
        .then(() => {
          followLate();
          this.#pause(topics, node);
        });
    } else this.#pause(topics, node, followLate);
  }

  reject(topics: readonly Topic[], node: ClusterNode, step: Rejection, text: string): void {
    this.#troubles.delete((topics[0] as Topic).slot);
    for (const topic of topics) this.#parts.onRejected(topic, errorOf(topic, node, text, step.outcome));
  }

  #pause(topics: readonly Topic[], node: ClusterNode, before = () => {}): void {
    const trouble = this.#troubles.get((topics[0] as Topic).slot);
    this.pauseThen(trouble === undefined ? 0 : trouble.pauses++, () => {
      before();
      this.#parts.onAgain(topics, node);
    });
  }

  /** Calls `next` after a pause: the longer, the more often there was one before. Not after the end of the client. */
  pauseThen(timesBefore: number, next: () => void): void {
    if (this.#isClosed) return;
    const { clock, random } = this.#parts.environment;
    const timer = clock.setTimer(
      () => {
        this.#timers.delete(timer);
        next();
      },
      backoffMs(timesBefore, PAUSE, random()),
    );
    this.#timers.add(timer);
  }

  #isListed(address: string): boolean {
    return this.#parts.directory().get(address) !== undefined;
  }

  #situation(slot: number, node: ClusterNode, asked: readonly string[]): Situation {
    return {
      slot,
      isScript: false,
      isFunction: false,
      atReplica: false,
      runsCode: false,
      isCheckedFirst: false,
      mayRepeat: true,
      node: node.info,
      redirections: 0,
      maxRedirections: Number.POSITIVE_INFINITY,
      asking: false,
      asked,
      lossesAlone: 0,
      isListed: (address) => this.#isListed(address),
      remedy: undefined,
      loadsDenied: false,
      mayHaveRun: false,
    };
  }
}

function errorOf({ kind, slot }: Topic, { address }: ClusterNode, text: string, outcome: Outcome): SlotwireError {
  return withParticulars(new ReplyError(text, outcome), { command: COMMANDS[kind].ask, address, slot });
}
