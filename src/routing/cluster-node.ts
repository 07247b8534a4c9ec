import type { NodePool } from "../connection/node-pool.ts";
import type { LoadedScripts } from "../scripts/loaded-scripts.ts";
import type { TopologyNode } from "../topology/topology.ts";
import { TransactionSupport } from "./transaction-support.ts";

/** A node of the cluster, with the client's connections to it and the client's belief about its scripts. */
export class ClusterNode {
  readonly address: string;
  /** The node as last announced. */
  info: TopologyNode;
  readonly pool: NodePool;
  readonly scripts: LoadedScripts;
  readonly transactions = new TransactionSupport();
  readonly #openReaders: () => NodePool;
  #readers: NodePool | undefined;

  constructor(info: TopologyNode, pool: NodePool, scripts: LoadedScripts, openReaders: () => NodePool) {
    this.address = info.address;
    this.info = info;
    this.pool = pool;
    this.scripts = scripts;
    this.#openReaders = openReaders;
  }

  /** The connections of a replica that serve reads. They are opened at the first call. A write must never go there. */
  openReaders(): NodePool {
    this.#readers ??= this.#openReaders();
    return this.#readers;
  }

  /** `pool`, and the connections for reads if they were opened. */
  get pools(): readonly NodePool[] {
    return this.#readers === undefined ? [this.pool] : [this.pool, this.#readers];
  }
}
