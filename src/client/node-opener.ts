import { Crowd } from "../connection/crowd.ts";
import { Farewell } from "../connection/farewell.ts";
import { Flushes } from "../connection/flushes.ts";
import { greet, type Handshake, RefusedDatabaseError } from "../connection/handshake.ts";
import { StrangerError } from "../connection/identity.ts";
import { NodePool, type PoolEvents } from "../connection/node-pool.ts";
import type { Request } from "../connection/request.ts";
import type { Environment } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import { ClusterNode } from "../routing/cluster-node.ts";
import { LoadPace } from "../scripts/load-pace.ts";
import { LoadedScripts } from "../scripts/loaded-scripts.ts";
import { ScriptLoader } from "../scripts/script-loader.ts";
import { isPassing } from "../scripts/script-state.ts";
import type { Turns } from "../scripts/turns.ts";
import type { Telemetry } from "../telemetry/counters.ts";
import { ScriptTrace } from "../telemetry/script-trace.ts";
import type { TopologyNode } from "../topology/topology.ts";
import { locationOf } from "./locations.ts";
import { NameCheck } from "./name-check.ts";
import type { ScriptStore } from "./script-store.ts";
import { endpointTo, settingsFor } from "./seeds.ts";
import { settledWithin } from "./settled-within.ts";

/** Milliseconds that a node that left the topology may take to answer the requests that it was sent. */
const FAREWELL_MS = 10_000;

/** The news of its nodes for a client. */
export interface NodeEvents {
  /** A node is connected, and has been given every script. */
  onUp(node: ClusterNode): void;
  /** A node has no usable connection. `isNews` is false if the client was told so before. */
  onDown(node: ClusterNode, cause: Error, isNews: boolean): void;
  /** Sends requests elsewhere that were not written to a node. */
  resend(requests: readonly Request[]): void;
  isClosed(): boolean;
}

/** What the connections of one pool are for. */
interface PoolTerms {
  readonly nodeId: () => string;
  readonly readOnly: boolean;
  /** Settles when the node has answered what it was sent under another address. */
  readonly earlier?: Promise<void> | undefined;
}

/** Opens the connections of nodes that join the topology, and closes those of nodes that leave it. */
export class NodeOpener {
  readonly #options: ResolvedOptions;
  readonly #environment: Environment;
  readonly #telemetry: Telemetry;
  readonly #store: ScriptStore;
  readonly #events: NodeEvents;
  readonly #crowd: Crowd;
  readonly #flushes: Flushes;
  /** When a node was connected last, on the environment's clock. */
  #lastUpAt = Number.NEGATIVE_INFINITY;
  readonly #turns: Turns;
  /** Nodes that left the topology and may still answer. Each departure is an object of its own. */
  readonly #leaving = new Map<ClusterNode, object>();
  /** For single servers: whether a name leads elsewhere by now. */
  readonly #nameChecks = new Map<ClusterNode, NameCheck>();

  constructor(
    options: ResolvedOptions,
    environment: Environment,
    telemetry: Telemetry,
    store: ScriptStore,
    turns: Turns,
    events: NodeEvents,
  ) {
    this.#options = options;
    this.#environment = environment;
    this.#telemetry = telemetry;
    this.#store = store;
    this.#events = events;
    this.#turns = turns;
    this.#crowd = new Crowd(environment.clock);
    this.#flushes = new Flushes(environment.clock);
  }

  /** Whether nodes wait for their turn to be connected. */
  get isOpening(): boolean {
    return this.#crowd.isBusy;
  }

  /**
   * Whether nodes wait for their turn, to be connected or to be given scripts, while others come up. Where none comes up,
   * those that wait will not either.
   */
  get isBusy(): boolean {
    const isComing = this.#environment.clock.now() - this.#lastUpAt < this.#options.connectTimeout / 2;
    return isComing && (this.#crowd.isBusy || this.#turns.isBusy);
  }

  /**
   * Opens the connections of a node. A node that left and is still answering comes back with the connections that it
   * has: calls of a slot would overtake those in flight if they used others.
   * @param elsewhere  The node under another address, which it leaves. What is in flight there is answered first.
   */
  open(info: TopologyNode, elsewhere: ClusterNode | undefined): ClusterNode {
    for (const node of this.#leaving.keys()) {
      if (node.address !== info.address || node.info.id !== info.id) continue;
      this.#leaving.delete(node);
      node.scripts.trace?.onAudit("returned", 0, node.scripts.held, []);
      return node;
    }
    return this.#openNew(info, elsewhere === undefined ? undefined : this.#answeredBy(elsewhere));
  }

  #openNew(info: TopologyNode, earlier: Promise<void> | undefined): ClusterNode {
    const { counters } = this.#telemetry;
    const scripts = new LoadedScripts(
      this.#store.registry,
      () => node.info.role === "primary",
      (outcome) => {
        if (outcome === "held") counters.scriptLoads++;
        else {
          counters.scriptLoadFailures++;
          if (isPassing(outcome.cause)) loader.bringLater();
        }
      },
      new LoadPace(this.#environment.clock),
      new ScriptTrace(this.#telemetry.client, info.address),
    );
    let announced: "up" | "down" | "unfit" | undefined;
    const nodeId = () => node.info.id;
    const pool: NodePool = this.#newPool(
      info,
      { nodeId, readOnly: false, earlier },
      {
        prepare: async (connection) => {
          const isFree = await loader.prepare(connection);
          if (isFree && !loader.isBusy) this.#store.tellPrepared(node);
          return isFree;
        },
        onUp: () => {
          announced = "up";
          this.#events.onUp(node);
        },
        onDown: (cause) => {
          if (this.#events.isClosed()) return;
          for (const lane of pool.lanes) this.#events.resend(lane.takeQueued());
          const isStranger = cause instanceof StrangerError;
          // That the server cannot be used as it is, is news also of a node that was down before.
          const isUnfit = isStranger || cause instanceof RefusedDatabaseError;
          const isNews = announced !== "unfit" && (announced !== "down" || isUnfit);
          if (isNews) announced = isUnfit ? "unfit" : "down";
          if (isStranger) dropConnectionsOf(node, pool, cause);
          this.#events.onDown(node, cause, isNews);
        },
      },
    );
    // The lanes of the pool connect later than in this tick, so `node` is there when they ask for its id.
    const loader = new ScriptLoader({
      scripts,
      registry: this.#store.registry,
      turns: this.#turns,
      settings: () => pool.settings,
      lane: () => pool.lanes.find(({ ready }) => ready),
      onBrought: () => this.#store.tellPrepared(node),
      onStranger: (cause) => node.dropConnections(cause),
    });
    const openReaders = () => this.#openReaders(node);
    const node: ClusterNode = new ClusterNode(info, pool, scripts, loader, openReaders, () => this.#checkName(node));
    // Nothing is sent that was not asked for.
    if (this.#options.mode === "single") node.transactions.refused();
    if (info.role === "replica" && this.#options.readFrom !== "primary") node.openReaders();
    return node;
  }

  /**
   * A node is gone from the topology. Requests that were not written to it go elsewhere; it may still answer the
   * others.
   */
  async farewell(node: ClusterNode): Promise<void> {
    const departure = {};
    this.#nameChecks.get(node)?.close();
    this.#nameChecks.delete(node);
    this.#leaving.set(node, departure);
    for (const pool of node.pools) this.#events.resend(pool.takeUnwritten());
    if (node.pools.some((pool) => pool.ready)) {
      await settledWithin(this.#environment.clock, FAREWELL_MS, this.#answeredBy(node));
    }
    // It may have come back, and have left once more.
    if (this.#leaving.get(node) !== departure) return;
    this.#leaving.delete(node);
    node.close(new Farewell("node-left", "the node left the cluster"));
  }

  /** Resolves when a node has answered all that it was sent, as far as it can be reached. */
  async #answeredBy(node: ClusterNode): Promise<void> {
    await Promise.all(node.pools.filter((pool) => pool.ready).map((pool) => pool.drain()));
  }

  /** The client ends, so nodes that left are not waited for any more. */
  close(cause: Error): void {
    for (const node of this.#leaving.keys()) node.close(cause);
    for (const check of this.#nameChecks.values()) check.close();
  }

  /** A single server refused a call as a replica does. In a cluster, the topology says who the primary is. */
  #checkName(node: ClusterNode): void {
    if (node.info.id !== "" || this.#events.isClosed()) return;
    let check = this.#nameChecks.get(node);
    if (check === undefined) {
      check = new NameCheck(node.pool, this.#options.connectTimeout);
      this.#nameChecks.set(node, check);
    }
    check.noteRefusal();
  }

  /** Opens the connections of a replica that serve reads. The node's other connections tell the client of its state. */
  #openReaders(node: ClusterNode): NodePool {
    const { info, loader } = node;
    const nodeId = () => node.info.id;
    const pool: NodePool = this.#newPool(
      info,
      { nodeId, readOnly: true },
      {
        prepare: (connection) => loader.prepare(connection),
        onUp: () => {},
        onDown: (cause) => {
          if (this.#events.isClosed()) return;
          for (const lane of pool.lanes) this.#events.resend(lane.takeQueued());
          if (cause instanceof StrangerError) dropConnectionsOf(node, pool, cause);
        },
      },
    );
    if (this.#events.isClosed()) pool.close(new ClosedError());
    return pool;
  }

  #newPool(info: TopologyNode, { nodeId, readOnly, earlier }: PoolTerms, events: PoolEvents): NodePool {
    const options = this.#options;
    const { clock } = this.#environment;
    const settings = settingsFor(info.address, info, options, this.#environment, this.#telemetry, nodeId);
    let isProven = options.seeds.some(({ host }) => host === info.host);
    const locate = () => {
      const location = locationOf(info, options);
      isProven ||= location !== info;
      return endpointTo(location);
    };
    const isOnlyAnnounced = () => !isProven;
    const handshake: Handshake = async (exchange, login, terms) => {
      // A node that does not answer under its earlier address has other limits to run into.
      if (earlier !== undefined) await settledWithin(clock, options.connectTimeout / 2, earlier);
      return greet(exchange, login, terms);
    };
    const limits = {
      connections: options.connectionsPerNode,
      maxPending: options.maxPendingPerNode,
      maxPendingBytes: options.maxPendingBytesPerNode,
    };
    const onUp = () => {
      isProven = true;
      this.#lastUpAt = this.#environment.clock.now();
      events.onUp();
    };
    return new NodePool(
      { ...settings, crowd: this.#crowd, flushes: this.#flushes, locate, handshake, readOnly, isOnlyAnnounced },
      limits,
      {
        ...events,
        onUp,
      },
    );
  }
}

/** Another server answers at a node's address: what one pool has found out holds for the other as well. */
function dropConnectionsOf({ loader, pools }: ClusterNode, finder: NodePool, cause: StrangerError): void {
  loader.dropConnection(cause);
  for (const pool of pools) if (pool !== finder) pool.dropConnections(cause);
}
