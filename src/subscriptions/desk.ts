import type { Environment } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { NodeDirectory } from "../routing/node-directory.ts";
import type { TopicTrace } from "../telemetry/topic-trace.ts";
import type { TopologyTracker } from "../topology/topology-tracker.ts";
import type { Action } from "./coverage.ts";
import type { Feed } from "./feed.ts";
import type { GapReason, Loss } from "./gap.ts";
import type { Refusals } from "./refusals.ts";
import type { Topic } from "./topic.ts";

/** What the places where topics are heard share: the home, the owners of slots, and the sources of keyspace events. */
export interface Desk {
  readonly environment: Environment;
  readonly trace: TopicTrace;
  readonly refusals: Refusals;
  readonly directory: () => NodeDirectory;
  readonly tracker: () => TopologyTracker;
  now(): number;
  /** Carries out what the coverage of `topic` has returned. */
  do(topic: Topic, actions: readonly Action<ClusterNode>[]): void;
  /** `topic` belongs to `nodes` from now on; `isInDoubt` if that is not certain. */
  want(topic: Topic, nodes: readonly ClusterNode[], reason: GapReason, isInDoubt?: boolean): void;
  /** What it costs that what `feed` has sent is not heard any more: of `topic`, or of what is not sharded. */
  lossAt(feed: Feed | undefined, topic: Topic | undefined, reason: GapReason): Loss;
  /** The servers refuse a topic for good. */
  reject(topic: Topic, error: Error): void;
  /** A message has arrived. */
  hear(topic: Topic, node: ClusterNode, channel: string | Buffer, payload: string | Buffer): void;
}
