import type { Topology, TopologyNode } from "../topology/topology.ts";
import type { ClusterNode } from "./cluster-node.ts";

/** Opens nodes that are new, and hears of nodes that are gone. */
export interface DirectoryEvents {
  /** @param elsewhere  The same node under the address that it has in the topology before. */
  open(info: TopologyNode, elsewhere: ClusterNode | undefined): ClusterNode;
  /** The node is not in the topology any more. */
  onRemoved(node: ClusterNode): void;
}

/** So many nodes are opened in one turn of the event loop: each takes some hundredths of a millisecond. */
const OPENED_PER_TURN = 200;
const NONE: readonly ClusterNode[] = [];

/** The nodes of the current topology, by address and by slot. */
export class NodeDirectory {
  readonly #events: DirectoryEvents;
  readonly #byAddress = new Map<string, ClusterNode>();
  /** In the order of `topology.nodes`. */
  #nodes: readonly ClusterNode[] = [];
  #primaries: readonly ClusterNode[] = [];
  /** The nodes that own slots. */
  #owners: readonly ClusterNode[] = [];
  /** The usable replicas of each node, in the order of `#nodes`. */
  #replicas: readonly (readonly ClusterNode[])[] = [];
  #topology: Topology | undefined;
  #turn = 0;

  constructor(events: DirectoryEvents) {
    this.#events = events;
  }

  get nodes(): readonly ClusterNode[] {
    return this.#nodes;
  }

  get primaries(): readonly ClusterNode[] {
    return this.#primaries;
  }

  get(address: string): ClusterNode | undefined {
    return this.#byAddress.get(address);
  }

  ownerOf(slot: number): ClusterNode | undefined {
    const topology = this.#topology;
    return topology === undefined ? undefined : this.#nodes[topology.ownerIndexOf(slot)];
  }

  /** The replicas of the slot's owner, except those that the topology calls failed. */
  replicasOf(slot: number): readonly ClusterNode[] {
    return this.#replicas[this.#topology?.ownerIndexOf(slot) ?? -1] ?? [];
  }

  /** A primary, each in turn. A primary without a connection comes only when no primary has one. */
  anyPrimary(): ClusterNode | undefined {
    const primaries = this.#primaries;
    const first = this.#turn++;
    for (let step = 0; step < primaries.length; step++) {
      const node = primaries[(first + step) % primaries.length];
      if (node?.pool.ready) return node;
    }
    return primaries[first % primaries.length];
  }

  /** Whether no node has a usable connection. */
  get isOutOfReach(): boolean {
    return this.#nodes.every(({ pool }) => !pool.ready);
  }

  /** The nodes that own slots and have no usable connection. */
  *ownersDown(): Generator<ClusterNode, void, undefined> {
    for (const node of this.#owners) if (!node.pool.ready) yield node;
  }

  /**
   * Opens the nodes of a first topology, some in each turn of the event loop. `follow` has to be called then.
   * @param nextTurn  Resolves in another turn.
   */
  async openAll({ nodes }: Topology, nextTurn: () => Promise<void>): Promise<void> {
    for (const [index, info] of nodes.entries()) {
      if (index > 0 && index % OPENED_PER_TURN === 0) await nextTurn();
      this.#byAddress.set(info.address, this.#events.open(info, undefined));
    }
  }

  /** Follows a new topology: opens nodes that are new, and removes nodes that are gone. */
  follow(topology: Topology): void {
    const gone = topology.nodes === this.#topology?.nodes ? NONE : this.#followNodes(topology);
    this.#topology = topology;
    const { slotOwners } = topology;
    this.#owners = this.#nodes.filter(({ info }) => slotOwners.has(info));
    // Their calls go elsewhere at once, by the new nodes and the new owners.
    for (const node of gone) this.#events.onRemoved(node);
  }

  /** Returns the nodes that are gone. */
  #followNodes(topology: Topology): readonly ClusterNode[] {
    const gone = new Set(this.#byAddress.values());
    this.#byAddress.clear();
    const before = new Map([...gone].map((node) => [node.address, node]));
    const byId = new Map([...gone].filter(({ info }) => info.id !== "").map((node) => [node.info.id, node]));
    const nodes = topology.nodes.map((info) => {
      const known = before.get(info.address);
      const isKnown = known !== undefined && isSameNode(known.info, info);
      const node = isKnown ? known : this.#events.open(info, byId.get(info.id));
      gone.delete(node);
      this.#byAddress.set(info.address, node);
      node.info = info;
      return node;
    });
    this.#nodes = nodes;
    this.#primaries = nodes.filter((node) => node.info.role === "primary");
    const replicas = new Map<string, ClusterNode[]>();
    for (const node of nodes) {
      const { health, primary = "", role } = node.info;
      if (role !== "replica" || health === "fail") continue;
      const siblings = replicas.get(primary);
      if (siblings) siblings.push(node);
      else replicas.set(primary, [node]);
    }
    this.#replicas = nodes.map(({ address }) => replicas.get(address) ?? NONE);
    return [...gone];
  }
}

/** Whether two entries for one address are of one node. A view without ids tells nothing else. */
function isSameNode(a: TopologyNode, b: TopologyNode): boolean {
  return a.id === b.id || a.id === "" || b.id === "";
}
