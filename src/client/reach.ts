import type { Clock } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Topology } from "../topology/topology.ts";
import { isForeign } from "../topology/view-judgement.ts";

/**
 * Whether any node of the topology can be reached under its own id.
 *
 *   within reach --no node is connected--> in doubt --for `connectTimeout`--> out of reach
 *        ^------ a node is connected, or a topology of other nodes is adopted -----'
 */
export class Reach {
  readonly #nodes: () => readonly ClusterNode[];
  readonly #clock: Clock;
  readonly #patienceMs: number;
  /** When it was noticed that no node is connected. */
  #doubtedSince: number | undefined;

  constructor(nodes: () => readonly ClusterNode[], clock: Clock, patienceMs: number) {
    this.#nodes = nodes;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** A node is connected. */
  noteUp(): void {
    this.#doubtedSince = undefined;
  }

  /** A node may have lost its connections. */
  look(): void {
    if (this.#nodes().some(({ pool }) => pool.ready)) this.#doubtedSince = undefined;
    else this.#doubtedSince ??= this.#clock.now();
  }

  /** Nodes of another cluster get their own time. */
  follow(current: Topology, previous: Topology): void {
    if (isForeign(previous, current) !== undefined) this.#doubtedSince = undefined;
  }

  isOut(): boolean {
    this.look();
    return this.#doubtedSince !== undefined && this.#clock.now() - this.#doubtedSince >= this.#patienceMs;
  }
}
