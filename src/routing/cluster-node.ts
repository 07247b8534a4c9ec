import type { NodePool } from "../connection/node-pool.ts";
import type { LoadedScripts } from "../scripts/loaded-scripts.ts";
import type { TopologyNode } from "../topology/topology.ts";

/** A node of the cluster as this client holds it: its connections, and which scripts it has. */
export class ClusterNode {
  readonly address: string;
  /** As last announced. */
  info: TopologyNode;
  readonly pool: NodePool;
  readonly scripts: LoadedScripts;
  readonly #openReaders: () => NodePool;
  #readers: NodePool | undefined;

  constructor(info: TopologyNode, pool: NodePool, scripts: LoadedScripts, openReaders: () => NodePool) {
    this.address = info.address;
    this.info = info;
    this.pool = pool;
    this.scripts = scripts;
    this.#openReaders = openReaders;
  }

  /** Of a replica: its connections that serve reads, opened when they are first asked for. A write must never go there. */
  openReaders(): NodePool {
    this.#readers ??= this.#openReaders();
    return this.#readers;
  }

  /** `pool`, and `readers` where they were opened. */
  get pools(): readonly NodePool[] {
    return this.#readers === undefined ? [this.pool] : [this.pool, this.#readers];
  }
}
