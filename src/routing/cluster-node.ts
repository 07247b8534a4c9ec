import type { NodePool } from "../connection/node-pool.ts";
import type { LoadedScripts } from "../scripts/loaded-scripts.ts";
import type { ScriptLoader } from "../scripts/script-loader.ts";
import type { TopologyNode } from "../topology/topology.ts";
import { TransactionSupport } from "./transaction-support.ts";

/** A node of the cluster, with the client's connections to it and the client's belief about its scripts. */
export class ClusterNode {
  readonly address: string;
  /** The node as last announced. */
  info: TopologyNode;
  readonly pool: NodePool;
  readonly scripts: LoadedScripts;
  /** A call was refused in a way that only a replica refuses. A single server is asked by its name again. */
  readonly noteReplicaRefusal: () => void;
  readonly loader: ScriptLoader;
  /**
   * Until when reads pass the node over, because it said that it cannot serve; 0 while it serves reads. On the
   * environment's clock.
   */
  restsUntil = 0;
  readonly transactions = new TransactionSupport();
  readonly #openReaders: () => NodePool;
  #readers: NodePool | undefined;

  constructor(
    info: TopologyNode,
    pool: NodePool,
    scripts: LoadedScripts,
    loader: ScriptLoader,
    openReaders: () => NodePool,
    noteReplicaRefusal: () => void = () => {},
  ) {
    this.address = info.address;
    this.info = info;
    this.pool = pool;
    this.scripts = scripts;
    this.noteReplicaRefusal = noteReplicaRefusal;
    this.loader = loader;
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

  /** Another server answers at the node's address: closes every connection. What is queued waits for the next ones. */
  dropConnections(cause: Error): void {
    for (const pool of this.pools) pool.dropConnections(cause);
    this.loader.dropConnection(cause);
  }

  /** Ends now. Requests that are queued or in flight are lost. */
  close(cause: Error): void {
    this.loader.close(cause);
    for (const pool of this.pools) pool.close(cause);
  }
}
