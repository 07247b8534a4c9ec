import type { Clock, Timer } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Loadable } from "../scripts/loadable.ts";
import type { Topology } from "../topology/topology.ts";

/** Refreshes can follow each other closely; the audits that go with them do not. */
const SPACING_MS = 1000;
/** From the first script found missing to the question what else is. */
const DELAY_MS = 50;

/** Belief about scripts, and what nodes really have, drift apart where others flush, or load. An audit makes belief true again. */
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

  /** A node had forgotten a script: who flushed one node probably flushed all. Asks each what it has, once in a while. */
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

  /** One small question a node with every refresh. */
  atRefresh(): void {
    if (this.#clock.now() - this.#last >= SPACING_MS) void this.ofAll();
  }

  async ofAll(): Promise<void> {
    this.#last = this.#clock.now();
    await Promise.all(
      this.#nodes()
        .filter(({ pool }) => pool.ready)
        .map((node) => this.#ofOne(node)),
    );
  }

  /** A promoted replica was given every script, but may have been flushed since. */
  ofPromoted(current: Topology, previous: Topology): void {
    if (current.nodes === previous.nodes) return;
    const replicas = new Set(previous.nodes.filter(({ role }) => role === "replica").map(({ address }) => address));
    for (const node of this.#nodes()) {
      const isPromoted = node.info.role === "primary" && replicas.has(node.address);
      if (isPromoted) void ensure(node, this.#wanted());
    }
  }

  /** None is begun any more. */
  close(): void {
    this.#closed = true;
    this.#scheduled?.cancel();
  }

  /** Joins the node's audit that is under way, if there is one. A node that is silent holds up no other's. */
  #ofOne(node: ClusterNode): Promise<void> {
    let audit = this.#underWay.get(node);
    if (audit === undefined) {
      audit = ensure(node, this.#wanted()).finally(() => this.#underWay.delete(node));
      this.#underWay.set(node, audit);
    }
    return audit;
  }
}

/** Asks a node that is connected, or will be, which of `wanted` it has, and loads the others. */
export async function ensure({ pool, scripts }: ClusterNode, wanted: readonly Loadable[]): Promise<void> {
  await pool.firstTry;
  const lane = pool.lanes.find((each) => each.ready);
  const connection = lane?.useConnection();
  if (connection !== undefined) await scripts.ensure(connection, wanted, lane).catch(() => {});
}
