import type { NodePool } from "../connection/node-pool.ts";
import type { LoadedScripts } from "../scripts/loaded-scripts.ts";
import type { TopologyNode } from "../topology/topology.ts";

/** A node of the cluster as this client holds it: its connections, and which scripts it has. */
export interface ClusterNode {
  readonly address: string;
  /** As last announced. */
  info: TopologyNode;
  readonly pool: NodePool;
  readonly scripts: LoadedScripts;
}
