import type { Topology, TopologyNode } from "../topology/topology.ts";
import type { ClusterNode } from "./cluster-node.ts";

/** How nodes come and go. */
export interface DirectoryEvents {
  open(info: TopologyNode): ClusterNode;
  /** The node is in the topology no more. */
  onRemoved(node: ClusterNode): void;
}

/** The nodes of the current topology, by address and by slot. */
export class NodeDirectory {
  readonly #events: DirectoryEvents;
  readonly #byAddress = new Map<string, ClusterNode>();
  /** Lined up with `topology.nodes`. */
  #nodes: readonly ClusterNode[] = [];
  #primaries: readonly ClusterNode[] = [];
  /** The replicas of each of `#nodes`. */
  #replicas: readonly (readonly ClusterNode[])[] = [];
  #topology: Topology | undefined;
  #turn = 0;

  constructor(events: DirectoryEvents) {
    this.#events = events;
  }

  get nodes(): readonly ClusterNode[] {
    return this.#nodes;
  }

  get(address: string): ClusterNode | undefined {
    return this.#byAddress.get(address);
  }

  ownerOf(slot: number): ClusterNode | undefined {
    const topology = this.#topology;
    return topology === undefined ? undefined : this.#nodes[topology.ownerIndexOf(slot)];
  }

  /** The replicas of the slot's owner that are not known to be out of order. */
  replicasOf(slot: number): readonly ClusterNode[] {
    return this.#replicas[this.#topology?.ownerIndexOf(slot) ?? -1] ?? [];
  }

  /** A primary, each in turn; one without a connection only when none has one. */
  anyPrimary(): ClusterNode | undefined {
    const primaries = this.#primaries;
    const first = this.#turn++;
    for (let step = 0; step < primaries.length; step++) {
      const node = primaries[(first + step) % primaries.length];
      if (node?.pool.ready) return node;
    }
    return primaries[first % primaries.length];
  }

  /** Nodes that own slots and have no connection. */
  ownersDown(): ClusterNode[] {
    const down = new Set(this.#nodes.filter((node) => !node.pool.ready));
    if (down.size === 0) return [];
    const owners = new Set(this.#topology?.ranges.map((range) => range.primary.address));
    return [...down].filter((node) => owners.has(node.address));
  }

  /** Opens nodes that are new, lets go of those that are gone. */
  follow(topology: Topology): void {
    const gone = new Map(this.#byAddress);
    const nodes = topology.nodes.map((info) => {
      gone.delete(info.address);
      let node = this.#byAddress.get(info.address);
      if (node === undefined) {
        node = this.#events.open(info);
        this.#byAddress.set(info.address, node);
      }
      node.info = info;
      return node;
    });
    this.#topology = topology;
    this.#nodes = nodes;
    this.#primaries = nodes.filter((node) => node.info.role === "primary");
    const replicas = nodes.filter(({ info }) => info.role === "replica" && info.health !== "fail");
    this.#replicas = nodes.map(({ address }) => replicas.filter(({ info }) => info.primary === address));
    for (const [address, node] of gone) {
      this.#byAddress.delete(address);
      this.#events.onRemoved(node);
    }
  }
}
