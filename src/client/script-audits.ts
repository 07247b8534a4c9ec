import type { Clock, Timer } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Loadable } from "../scripts/loadable.ts";
import type { Topology } from "../topology/topology.ts";

/** The least milliseconds between two audits at refreshes, because refreshes can follow each other closely. */
const SPACING_MS = 1000;
/** Milliseconds from the first script found missing to the audit of all scripts. */
const DELAY_MS = 50;

/**
 * Other clients flush scripts and load scripts, so that the client's belief about a node becomes wrong. An audit asks
 * the node and makes the belief true again.
 */
export class ScriptAudits {
  readonly #clock: Clock;
  readonly #nodes: () => readonly ClusterNode[];
  readonly #wanted: () => readonly Loadable[];
  readonly #underWay = new Map<ClusterNode, Promise<void>>();
  #scheduled: Timer | undefined;
  #last = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(clock: Clock, nodes: () => readonly ClusterNode[], wanted: () => readonly Loadable[]) {
    this.#clock = clock;
    this.#nodes = nodes;
    this.#wanted = wanted;
  }

  /** Audits all nodes soon, because a node had lost a script: whoever flushed one node probably flushed all. */
  soon(): void {
    if (this.#scheduled !== undefined || this.#closed) return;
    this.#scheduled = this.#clock.setTimer(
      () => {
        this.#scheduled = undefined;
        void this.ofAll();
      },
      DELAY_MS,
      true,
    );
  }

  /** Audits all nodes at a refresh of the topology: one small question for each node, at most once a second. */
  atRefresh(): void {
    if (this.#clock.now() - this.#last >= SPACING_MS) void this.ofAll();
  }

  /** Audits all nodes that are connected. */
  async ofAll(): Promise<void> {
    this.#last = this.#clock.now();
    await Promise.all(
      this.#nodes()
        .filter(({ pool }) => pool.ready)
        .map((node) => this.#ofOne(node)),
    );
  }

  /** Audits promoted replicas: they were given every script, but may have been flushed since. */
  ofPromoted(current: Topology, previous: Topology): void {
    if (current.nodes === previous.nodes) return;
    const replicas = new Set(previous.nodes.filter(({ role }) => role === "replica").map(({ address }) => address));
    for (const node of this.#nodes()) {
      const isPromoted = node.info.role === "primary" && replicas.has(node.address);
      if (isPromoted) void ensure(node, this.#wanted());
    }
  }

  /** No audit begins any more. */
  close(): void {
    this.#closed = true;
    this.#scheduled?.cancel();
  }

  /** Begins an audit of one node, or joins the one under way. A silent node delays no other node's audit. */
  #ofOne(node: ClusterNode): Promise<void> {
    let audit = this.#underWay.get(node);
    if (audit === undefined) {
      audit = ensure(node, this.#wanted()).finally(() => this.#underWay.delete(node));
      this.#underWay.set(node, audit);
    }
    return audit;
  }
}

/** Waits for a node's first connection, asks the node which of `wanted` it has, and loads the others. */
export async function ensure({ pool, scripts }: ClusterNode, wanted: readonly Loadable[]): Promise<void> {
  await pool.firstTry;
  const lane = pool.lanes.find((each) => each.ready);
  const connection = lane?.useConnection();
  if (connection !== undefined) await scripts.ensure(connection, wanted, lane).catch(() => {});
}
