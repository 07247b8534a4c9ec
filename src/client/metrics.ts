import type { ErrorCode } from "../errors.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { DurationHistogram, Telemetry } from "../telemetry/counters.ts";

/** Sums since `connect`: they only grow. */
export interface MetricCounters {
  /**
   * Calls made by `run` and `command`, in batches (each one) and as transactions (one each), sent or not. A command that
   * goes in parts, or to many nodes, counts once for each part or node, and a scan by its steps.
   */
  readonly calls: number;
  /** Of these, those that a node answered with a reply; for a watching transaction, `null` as well. */
  readonly replies: number;
  /** Of these, those that were rejected, or have an error as their result in a batch, by its code. */
  readonly errors: Readonly<Partial<Record<ErrorCode | "OTHER", number>>>;
  /** Answers that sent a call to another node. */
  readonly redirections: {
    /** The slot has another owner. */
    readonly MOVED: number;
    /** The slot is on its way to another owner. */
    readonly ASK: number;
  };
  /** Attempts that were followed by another, by the first word of the answer: `MOVED`, `NOSCRIPT`, ...; `LOST` for none. */
  readonly retries: Readonly<Record<string, number>>;
  /**
   * How often each row of the decision was taken, by its name: `moved-known`, `noscript-load`, `lost`, ... The rows are
   * listed in src/README.md; a call that is served at once takes none.
   */
  readonly decisions: Readonly<Record<string, number>>;
  /** NOSCRIPT, and functions that were not found. */
  readonly scriptMisses: number;
  /** SCRIPT LOAD and FUNCTION LOAD that succeeded, one a node. */
  readonly scriptLoads: number;
  /** Those that were refused or lost. */
  readonly scriptLoadFailures: number;
  /** Connections that logged in: those of calls, and short ones for topologies, checks and watching transactions. */
  readonly connectionsOpened: number;
  /** Connections that could not be opened, or not log in. */
  readonly connectionFailures: number;
  /** Connections of calls that took the place of one. */
  readonly reconnections: number;
  /** Topologies that were asked for and received. */
  readonly topologyRefreshes: number;
  /** Times that the topology was another than before. */
  readonly topologyChanges: number;
  /** Handed to sockets, before TLS. */
  readonly bytesWritten: number;
  /** Taken from sockets, after TLS. */
  readonly bytesRead: number;
}

/** One node, as it is now. */
export interface NodeMetrics {
  /** As announced. */
  readonly address: string;
  /** As the current topology has it. */
  readonly role: "primary" | "replica";
  /** Calls queued, in flight, or refused by this node and waiting for their next attempt. */
  readonly pending: number;
  /** Their bytes that the operating system has not taken. */
  readonly pendingBytes: number;
  /** How many are in each state. `silent`: open, and the node answers nobody; `waiting`: before the next try. */
  readonly connections: Readonly<Record<ConnectionState, number>>;
}

/** What a connection of calls is doing: see `NodeMetrics`. */
export type ConnectionState = "connecting" | "ready" | "silent" | "waiting" | "closed";

/** What `metrics` returns: plain data, a copy, fit for JSON. */
export interface Metrics {
  /** Sums since `connect`. */
  readonly counters: MetricCounters;
  /** Calls that are not settled. */
  readonly pending: number;
  /** Every known node. */
  readonly nodes: readonly NodeMetrics[];
  /** From `run` or `command` to the answer, errors included. Empty unless `connect` was given `durations: true`. */
  readonly durations: readonly DurationHistogram[];
}

/** Reads the figures of a client. */
export function metricsOf({ counters, durations }: Telemetry, live: number, nodes: readonly ClusterNode[]): Metrics {
  const { errors, redirections, retries, decisions } = counters;
  return {
    counters: {
      ...counters,
      errors: { ...errors },
      redirections: { ...redirections },
      retries: { ...retries },
      decisions: { ...decisions },
    },
    pending: live,
    nodes: nodes.map(nodeMetrics),
    durations: durations?.histograms ?? [],
  };
}

function nodeMetrics({ address, info, pools }: ClusterNode): NodeMetrics {
  const connections = { connecting: 0, ready: 0, silent: 0, waiting: 0, closed: 0 };
  for (const { lanes, dedicated } of pools) {
    for (const { state } of lanes) connections[state]++;
    connections.connecting += dedicated.states.connecting;
    connections.ready += dedicated.states.ready;
  }
  return {
    address,
    role: info.role,
    pending: pools.reduce((sum, { pending, dedicated }) => sum + pending + dedicated.pending, 0),
    pendingBytes: pools.reduce((sum, { pendingBytes, dedicated }) => sum + pendingBytes + dedicated.waitingBytes, 0),
    connections,
  };
}
