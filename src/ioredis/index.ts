import { Cluster } from "./cluster.ts";

export { Chain, type ChainResult, type ChainResults } from "./chain.ts";
export { Cluster } from "./cluster.ts";
export type { ClusterStatus } from "./life.ts";
export type { NodeClient } from "./node-client.ts";
export type { ClusterOptions, CommandDefinition, RedisOptions, StartupNode } from "./options.ts";
export type { ScanStreamOptions } from "./streams.ts";

/** For `import Redis from "slotwire/ioredis"` and `new Redis.Cluster(...)`. */
const Redis = { Cluster };
export default Redis;
