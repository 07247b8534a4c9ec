export { Batch, type BatchOptions, type BatchResults, type Executed } from "./calls/batch.ts";
export type { HedgeOptions } from "./calls/hedge-options.ts";
export { OneNode } from "./calls/one-node.ts";
export type { ScanOptions } from "./calls/scan.ts";
export { Transaction } from "./calls/transaction.ts";
export type { CallOptions, StringsAs, StringsOf, ViewOptions } from "./calls/view.ts";
export type { Watching, WatchingBody } from "./calls/watched-transaction.ts";
export type { ClusterEvent, ClusterEvents, Listener } from "./client/events.ts";
export type { ConnectionState, MetricCounters, Metrics, NodeMetrics, SubscriptionMetrics } from "./client/metrics.ts";
export type { NodeScripts, PreloadReport, ScriptName } from "./client/script-store.ts";
export { Cluster } from "./cluster/cluster.ts";
export { connect } from "./cluster/connect.ts";
export type { ByName, CommandReplies, CommandReply, CommandResult } from "./commands/command-replies.ts";
export { asEntries, asObject, asPairs, type Entry } from "./commands/flat-replies.ts";
export {
  AbortedError,
  AuthError,
  ClosedError,
  ConnectionLostError,
  CrossSlotError,
  DeadlineError,
  type ErrorCode,
  type Hop,
  InvalidArgumentError,
  type Outcome,
  ProtocolError,
  QueueFullError,
  RedirectionsError,
  ReplyError,
  type ScriptPlace,
  SlotwireError,
  UnavailableError,
  type Waited,
} from "./errors.ts";
export type { LineOrigin } from "./files/lua-lines.ts";
export type {
  CacheOptions,
  ConnectOptions,
  Credentials,
  NatMap,
  OpenSocket,
  SocketEndpoint,
  SocketOptions,
  Trusts,
} from "./options.ts";
export { slotOf } from "./protocol/hash-slot.ts";
export type { NodeAddress } from "./protocol/node-address.ts";
export type { Argument, CommandArguments, Reply } from "./protocol/reply.ts";
export type { ReadFrom } from "./routing/call.ts";
export { defineLibrary, type Library, type LibraryDefinition } from "./scripts/library.ts";
export { type LoadScriptsOptions, loadScripts } from "./scripts/load-scripts.ts";
export {
  defineScript,
  type Script,
  type ScriptCall,
  type ScriptOf,
  type Values,
  type WithArguments,
} from "./scripts/script.ts";
export type {
  FileDefinition,
  FileResult,
  ScriptDefinition,
  ScriptOptions,
  SourceDefinition,
} from "./scripts/script-definition.ts";
export type { Gap, GapReason } from "./subscriptions/gap.ts";
export {
  type Message,
  type MessageListener,
  type SubscribeOptions,
  Subscription,
} from "./subscriptions/subscription.ts";
export type {
  AnswerMessage,
  AttemptMessage,
  AuditMessage,
  AuditReason,
  BatchContext,
  CacheDropReason,
  CacheLossReason,
  CacheMessage,
  CacheMetrics,
  ClientInfo,
  CollectMessage,
  CommandContext,
  ConnectContext,
  ConnectionFigures,
  DecisionMessage,
  DisconnectMessage,
  DisconnectReason,
  GapMessage,
  LoadMessage,
  LoadReason,
  MovedSlots,
  OperationContext,
  PreloadMessage,
  RedirectionMessage,
  RefreshMessage,
  RefreshReason,
  ScriptInfo,
  ScriptMissingMessage,
  SubscribedMessage,
  TopicInfo,
  TopicMessage,
  TopologyMessage,
  WaitMessage,
  WrittenMessage,
} from "./telemetry/channels.ts";
export type { DurationHistogram } from "./telemetry/counters.ts";
export type { LeftOutEntry, SlotRange, Topology, TopologyNode } from "./topology/topology.ts";
