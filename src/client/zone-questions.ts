import type { Clock } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import { isSingle } from "../topology/view-judgement.ts";
import { zoneInInfo } from "../topology/zones.ts";
import { settledWithin } from "./settled-within.ts";

/** The least milliseconds between two questions at refreshes, because refreshes can follow each other closely. */
const SPACING_MS = 1000;

/**
 * Asks nodes for their zones, where somebody reads by zones and the description of the cluster names none: when that begins,
 * after each refresh, and when a node comes up whose zone is not known.
 */
export class ZoneQuestions {
  readonly #nodes: () => readonly ClusterNode[];
  readonly #tracker: () => TopologyTracker;
  readonly #clock: Clock;
  readonly #answerTimeoutMs: number;
  #underWay: Promise<void> | undefined;
  #lastAt = Number.NEGATIVE_INFINITY;
  #hasAsked = false;

  constructor(
    nodes: () => readonly ClusterNode[],
    tracker: () => TopologyTracker,
    clock: Clock,
    answerTimeoutMs: number,
  ) {
    this.#nodes = nodes;
    this.#tracker = tracker;
    this.#clock = clock;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** Somebody reads by zones from now on. */
  want(): void {
    const { zones } = this.#tracker();
    if (zones.isWanted) return;
    zones.isWanted = true;
    void this.askAll();
  }

  /** Resolves when the zones of all nodes in reach are known, or `answerTimeoutMs` has passed. */
  askAll(): Promise<void> {
    this.#lastAt = this.#clock.now();
    this.#hasAsked = true;
    this.#underWay ??= this.#ask(this.#nodes()).finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  /** Asks all nodes at a refresh of the topology, at most once a second. */
  atRefresh(): void {
    if (this.#clock.now() - this.#lastAt >= SPACING_MS) void this.askAll();
  }

  /** A node has come up. Before the first question it is asked together with all others. */
  noteUp(node: ClusterNode): void {
    if (this.#hasAsked && !this.#tracker().zones.isKnown(node.info.id)) void this.#ask([node]);
  }

  async #ask(nodes: readonly ClusterNode[]): Promise<void> {
    const tracker = this.#tracker();
    if (!tracker.lacksZones || isSingle(tracker.current)) return;
    await settledWithin(this.#clock, this.#answerTimeoutMs, Promise.all(nodes.map((node) => this.#askOne(node))));
    tracker.zonesLearned();
  }

  /** A node that cannot be asked now, or does not say, keeps the zone that is known of it. */
  async #askOne({ info, pool }: ClusterNode): Promise<void> {
    const connection = pool.lanes.map((lane) => lane.useConnection()).find((each) => each !== undefined);
    const [reply] = connection?.exchange(["INFO", "server"]) ?? [];
    await reply?.then(
      (text) => this.#tracker().zones.note(info.id, zoneInInfo(text)),
      () => {},
    );
  }
}
