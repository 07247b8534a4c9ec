export { type ClusterOptions, type LocalCluster, type MoveSlots, startCluster } from "./start-cluster.ts";
