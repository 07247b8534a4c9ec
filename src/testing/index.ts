export type { MoveSlots } from "./move-slots.ts";
export type { SettledSlot, SettleStep } from "./settle-slot.ts";
export { type ClusterOptions, type ConnectTo, type LocalCluster, startCluster } from "./start-cluster.ts";
