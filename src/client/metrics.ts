import type { ErrorCode, Waited } from "../errors.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { GapReason } from "../subscriptions/gap.ts";
import type { CacheMetrics } from "../telemetry/channels.ts";
import type { DurationHistogram, Telemetry } from "../telemetry/counters.ts";

/** Sums since `connect`. They only grow. */
export interface MetricCounters {
  /**
   * The number of calls made, sent or not. Each call of a batch counts, and a transaction counts as one call. A command
   * that goes in parts, or to many nodes, counts once for each part or node. Each step of a scan counts.
   */
  readonly calls: number;
  /** The number of calls that a node answered with a reply. For a watching transaction, `null` is a reply too. */
  readonly replies: number;
  /** The number of calls that ended with an error, by the error's code. */
  readonly errors: Readonly<Partial<Record<ErrorCode | "OTHER", number>>>;
  /** The number of calls whose deadline passed, by where each was then: the property `waited` of its error. */
  readonly deadlines: Readonly<Partial<Record<Waited, number>>>;
  /** The number of answers that sent a call to another node. */
  readonly redirections: {
    /** Answers that the slot has another owner. */
    readonly MOVED: number;
    /** Answers that the slot is moving to another owner. */
    readonly ASK: number;
  };
  /**
   * The number of attempts that were followed by another attempt, by the first word of the answer: `MOVED`, `NOSCRIPT`
   * and so on, or `LOST` when the connection was lost.
   */
  readonly retries: Readonly<Record<string, number>>;
  /**
   * How often each row of the decision on redirections and retries was taken, by the row's name: `moved-known`,
   * `noscript-load`, `lost` and so on. src/README.md lists the rows. A call that is served at once takes no row.
   */
  readonly decisions: Readonly<Record<string, number>>;
  /** Reads of a view with `hedge` that had no answer after its `after`. */
  readonly hedges: {
    /** The number of them that were sent once more. */
    readonly sent: number;
    /** The number of calls that got their result from the node that was asked second. */
    readonly won: number;
    /** The number of them that were not sent once more, because `budget` was used up. */
    readonly overBudget: number;
    /** The number of them that no other node could be given: none is allowed, connected, and holds the script. */
    readonly withoutNode: number;
  };
  /** The number of answers that a script or function is missing. */
  readonly scriptMisses: number;
  /** The number of successful SCRIPT LOADs and FUNCTION LOADs, counted for each node. */
  readonly scriptLoads: number;
  /** The number of SCRIPT LOADs and FUNCTION LOADs that failed. */
  readonly scriptLoadFailures: number;
  /** The number of connections opened: for calls, topology queries, checks of silence, and watching transactions. */
  readonly connectionsOpened: number;
  /** The number of connections that could not be opened, or could not log in. */
  readonly connectionFailures: number;
  /** The number of connections for calls that replaced another connection. */
  readonly reconnections: number;
  /** The number of topologies received. */
  readonly topologyRefreshes: number;
  /** The number of times that the topology changed. */
  readonly topologyChanges: number;
  /** The number of messages that subscribed channels and patterns have received. */
  readonly messages: number;
  /** The number of gaps that began, by their reason. Each channel and each pattern counts. */
  readonly gaps: Readonly<Partial<Record<GapReason, number>>>;
  /** The bytes handed to sockets, before encryption. */
  readonly bytesWritten: number;
  /** The bytes received from sockets, after decryption. */
  readonly bytesRead: number;
}

/** The state of one node. */
export interface NodeMetrics {
  /** The node's address, as announced. */
  readonly address: string;
  /** The node's role in the current topology. */
  readonly role: "primary" | "replica";
  /**
   * The number of calls that are queued, in flight, or refused by this node and waiting for their next attempt. Reads that
   * wait for the cache are among them.
   */
  readonly pending: number;
  /** The bytes of these calls that the operating system has not taken. */
  readonly pendingBytes: number;
  /**
   * The number of connections in each state. `silent`: the connection is open, but the node answers nobody. `waiting`:
   * the last try failed, and the next one comes later.
   */
  readonly connections: Readonly<Record<ConnectionState, number>>;
}

/** The state of a connection for calls: see `NodeMetrics`. */
export type ConnectionState = "connecting" | "ready" | "silent" | "waiting" | "closed";

/** The subscriptions of one client. */
export interface SubscriptionMetrics {
  /** The number of subscriptions that are not closed. */
  readonly subscriptions: number;
  /** The number of different channels and patterns, each kind by itself. */
  readonly topics: number;
  /** The number of connections that are open for them. One that is not needed any more is closed after 2 s. */
  readonly connections: number;
}

/** The result of `metrics`: plain data that can be serialised as JSON. Each result is a copy. */
export interface Metrics {
  /** Sums since `connect`. */
  readonly counters: MetricCounters;
  /** The number of calls that are not settled. */
  readonly pending: number;
  /** What the client is subscribed to. */
  readonly subscriptions: SubscriptionMetrics;
  /** What is kept in memory. Absent unless `connect` was given `cache`. */
  readonly cache?: CacheMetrics;
  /** All known nodes. */
  readonly nodes: readonly NodeMetrics[];
  /**
   * Histograms of the time from making a call to its answer, errors included. Empty unless `connect` was given
   * `durations: true`.
   */
  readonly durations: readonly DurationHistogram[];
}

/** Reads the figures of a client. */
export function metricsOf(
  { counters, durations }: Telemetry,
  live: number,
  nodes: readonly ClusterNode[],
  subscriptions: SubscriptionMetrics | undefined,
  cache: CacheMetrics | undefined,
): Metrics {
  const { errors, deadlines, redirections, retries, decisions, gaps, hedges } = counters;
  return {
    counters: {
      ...counters,
      errors: { ...errors },
      deadlines: { ...deadlines },
      redirections: { ...redirections },
      retries: { ...retries },
      decisions: { ...decisions },
      gaps: { ...gaps },
      hedges: { ...hedges },
    },
    pending: live,
    subscriptions: subscriptions ?? { topics: 0, subscriptions: 0, connections: 0 },
    ...(cache === undefined ? {} : { cache }),
    nodes: nodes.map(nodeMetrics),
    durations: durations?.histograms ?? [],
  };
}

function nodeMetrics({ address, info, pools }: ClusterNode): NodeMetrics {
  const connections = { connecting: 0, ready: 0, silent: 0, waiting: 0, closed: 0 };
  for (const { lanes, dedicated, repeats } of pools) {
    for (const { state } of lanes) connections[state]++;
    for (const { connecting, ready } of [dedicated.states, repeats.states]) {
      connections.connecting += connecting;
      connections.ready += ready;
    }
  }
  return {
    address,
    role: info.role,
    pending: pools.reduce((sum, { pending, dedicated }) => sum + pending + dedicated.pending, 0),
    pendingBytes: pools.reduce((sum, { pendingBytes, dedicated }) => sum + pendingBytes + dedicated.waitingBytes, 0),
    connections,
  };
}
