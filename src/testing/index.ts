export type { MoveSlots } from "./move-slots.ts";
export type { ClosedMark, HandedOver, KeptValue, MovedKeys, SettledSlot, SettleStep } from "./settle-slot.ts";
export { type ClusterOptions, type ConnectTo, type LocalCluster, startCluster } from "./start-cluster.ts";
