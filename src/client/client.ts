import type { Cache } from "../cache/cache.ts";
import { OwnWrites } from "../cache/own-writes.ts";
import { LearnedCommands } from "../commands/server-commands.ts";
import { isLasting } from "../connection/retry-policy.ts";
import { type Environment, epochMsOf, nextTurn } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import { formatAddress } from "../protocol/node-address.ts";
import { Availability } from "../routing/availability.ts";
import type { ReadFrom } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { Deadlines } from "../routing/deadlines.ts";
import { Dispatcher } from "../routing/dispatcher.ts";
import { NodeDirectory } from "../routing/node-directory.ts";
import { Signals } from "../routing/signals.ts";
import type { Script } from "../scripts/script.ts";
import type { ScriptRegistry } from "../scripts/script-registry.ts";
import { Turns } from "../scripts/turns.ts";
import { Subscriptions } from "../subscriptions/subscriptions.ts";
import { answerCollections } from "../telemetry/collection.ts";
import { Telemetry } from "../telemetry/counters.ts";
import { nextClientId } from "../telemetry/sequence.ts";
import type { Informant } from "../topology/inquiry.ts";
import { Topology } from "../topology/topology.ts";
import { tellTopology } from "../topology/topology-difference.ts";
import { TopologyTracker } from "../topology/topology-tracker.ts";
import { cacheOf, cacheOpened } from "./cache-of.ts";
import { Door } from "./door.ts";
import { Emitter } from "./events.ts";
import { findTopology } from "./first-topology.ts";
import { informantsOf } from "./informants.ts";
import { Lifetime, type Underway } from "./lifetime.ts";
import { refuseWithoutLocation } from "./locations.ts";
import { type Metrics, metricsOf } from "./metrics.ts";
import { NodeOpener } from "./node-opener.ts";
import { Reach } from "./reach.ts";
import { ALONE, reauthenticate, type Steps } from "./reauthentication.ts";
import { refusedEverywhere } from "./refused-everywhere.ts";
import { Renewal } from "./renewal.ts";
import { ScriptAudits } from "./script-audits.ts";
import { registryOf, ScriptStore } from "./script-store.ts";
import { askedSparingly, seedInformant } from "./seeds.ts";
import { settledWithin } from "./settled-within.ts";
import { whileAlive } from "./while-alive.ts";
import { ZoneQuestions } from "./zone-questions.ts";

/** While very many nodes are being opened, those that are down are looked at after this time. */
const LOOK_AGAIN_MS = 50;

/**
 * One connected client. It wires its parts together, begins them and ends them: connections at the bottom, scripts and
 * topology above them, the dispatcher and the door on top. `Cluster` is its public face; all views share one client.
 */
export class Client {
  readonly options: ResolvedOptions;
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  /** For users' listeners only: nothing inside listens to it. */
  readonly emitter = new Emitter();
  readonly signals = new Signals();
  readonly deadlines: Deadlines;
  readonly door: Door;
  readonly dispatcher: Dispatcher;
  readonly scripts: ScriptStore;
  /** Undefined unless the option `cache` is set. */
  readonly cache: Cache | undefined;
  /** Milliseconds from the clock's times to the times since 1970. */
  readonly epochMs: number;
  readonly commands = new LearnedCommands();
  readonly #lifetime = new Lifetime();
  readonly #opener: NodeOpener;
  readonly #directory: NodeDirectory;
  readonly #tracker: TopologyTracker;
  readonly #audits: ScriptAudits;
  readonly #reach: Reach;
  readonly #renewal: Renewal;
  readonly #availability: Availability;
  readonly #zones: ZoneQuestions;
  #subscriptions: Subscriptions | undefined;
  readonly #onTopology = new Set<() => void>();
  readonly #endCollections: () => void;
  #idle: Promise<void> | undefined;
  /** The nodes that are down are looked at at the end of this turn. */
  #isLookDue = false;
  #mayTopologyHelp = false;

  private constructor(
    options: ResolvedOptions,
    environment: Environment,
    telemetry: Telemetry,
    seeds: readonly Informant[],
    initial: Topology,
    registry: ScriptRegistry,
    turns: Turns,
    renewal: Renewal,
  ) {
    const { clock } = environment;
    this.options = options;
    this.environment = environment;
    this.telemetry = telemetry;
    this.deadlines = new Deadlines(clock);
    // COMMAND is not what anybody asked for.
    if (options.mode === "single") this.commands.nextAt = Number.POSITIVE_INFINITY;
    const nodes = () => this.#directory.nodes;
    this.scripts = new ScriptStore(registry, nodes, clock, telemetry.client, options.connectTimeout);
    this.#reach = new Reach(nodes, clock, options.connectTimeout);
    this.#opener = new NodeOpener(options, environment, telemetry, this.scripts, turns, {
      onUp: ({ address }) => {
        this.#reach.noteUp();
        const node = this.#directory.get(address);
        if (node !== undefined) {
          this.#subscriptions?.noteUp(node);
          this.#zones.noteUp(node);
        }
        this.emitter.emit("nodeUp", { address });
      },
      onDown: ({ address }, cause, isNews) => {
        if (isNews) this.emitter.emit("nodeDown", { address, cause });
        // After refused credentials, for one, another node's topology would not help.
        this.#lookAtNodesDown(!isLasting(cause));
      },
      resend: (requests) => this.dispatcher.resend(requests),
      isClosed: () => this.#lifetime.isClosed,
    });
    this.#directory = new NodeDirectory({
      open: (info, elsewhere) => this.#opener.open(info, elsewhere),
      onRemoved: (node) => void this.#opener.farewell(node),
    });
    const ownWrites = options.cache === undefined ? undefined : new OwnWrites();
    this.dispatcher = new Dispatcher({
      environment,
      telemetry,
      directory: this.#directory,
      deadlines: this.deadlines,
      tracker: () => this.#tracker,
      maxRedirections: options.maxRedirections,
      maxPending: options.maxPendingPerNode,
      maxPendingBytes: options.maxPendingBytesPerNode,
      unavailableAfter: options.unavailableAfter,
      ownWrites,
      events: {
        onRedirection: (redirection) => this.emitter.emit("redirection", redirection),
        onScriptMissing: (missing) => {
          this.emitter.emit("scriptMissing", missing);
          if (this.#lifetime.isOpen) this.#audits.soon();
        },
      },
    });
    this.#availability = new Availability(nodes, clock, options.unavailableAfter, {
      onUnavailable: (pool) => {
        this.dispatcher.resend(pool.takeUnwritten());
        for (const connections of [pool.dedicated, pool.urgent])
          connections.endTries(new Error("the node gives no sign of life"));
        this.#subscriptions?.noteUnavailable();
      },
    });
    this.cache = cacheOf(this, () => this.#directory, ownWrites);
    this.door = new Door(this.dispatcher, this.signals, environment, this.cache);
    this.#audits = new ScriptAudits(clock, nodes, () => this.scripts.registry.wanted);
    this.#zones = new ZoneQuestions(nodes, () => this.#tracker, clock, options.connectTimeout);
    this.#tracker = new TopologyTracker(initial, {
      environment,
      client: telemetry.client,
      tls: options.tls !== undefined,
      intervalMs: options.topologyRefreshInterval,
      answerTimeoutMs: options.connectTimeout,
      isSingle: options.mode === "single",
      informants: () => informantsOf(this.nodes, environment.random, seeds),
      unsettled: () => this.#isUnsettled(),
      outOfReach: () => this.#reach.isOut(),
      onChange: (current, previous, how) => this.#topologyChanged(current, previous, how),
      onRefreshed: (startedAt, isSure) => {
        telemetry.counters.topologyRefreshes++;
        this.#subscriptions?.noteRound(startedAt, isSure);
        this.#audits.atRefresh();
        this.#zones.atRefresh();
        this.dispatcher.lookForOwners();
      },
    });
    this.#renewal = renewal;
    this.epochMs = environment.epochMs ?? epochMsOf(clock.now());
    const pools = () => nodes().flatMap((node) => node.pools);
    this.#endCollections = answerCollections(
      telemetry.client,
      () => pools().map(({ figures }) => figures),
      () => this.cache?.metrics,
    );
  }

  /** Finds the topology through the seeds, then connects to and prepares every node. */
  static async connect(given: ResolvedOptions, environment: Environment): Promise<Client> {
    const renewal = new Renewal(environment);
    const options = { ...given, credentials: renewal.listeningTo(askedSparingly(given.credentials, environment)) };
    const telemetry = new Telemetry(
      Object.freeze({
        id: nextClientId(),
        seeds: Object.freeze(options.seeds.map(formatAddress)),
        name: options.connectionName,
        database: options.database,
      }),
      options.durations,
    );
    const seeds = options.seeds.map((seed) => seedInformant(seed, options, environment, telemetry));
    const turns = new Turns(environment.clock);
    const registering = registryOf(options.scripts, turns);
    registering.catch(() => {});
    const found = findTopology(options, environment, seeds).then(async (description) => {
      const topology = Topology.from(description);
      refuseWithoutLocation(topology, options);
      return new Client(options, environment, telemetry, seeds, topology, await registering, turns, renewal);
    });
    // Without a client there is nothing to renew.
    found.catch(() => renewal.close());
    const client = await found;
    tellTopology(telemetry.client, client.topology, undefined, "first");
    client.#tracker.zones.isWanted = typeof options.readFrom !== "string";
    await client.#openAll(client.topology);
    renewal.begin(() => client.reauthenticate(ALONE));
    await client.#prepared();
    await cacheOpened(client.cache, client);
    const refusal = refusedEverywhere(client.scripts.registry.wanted, client.nodes);
    if (refusal === undefined) {
      if (typeof options.readFrom !== "string") await client.#zones.askAll();
      return client;
    }
    client.destroy();
    throw refusal;
  }

  get topology(): Topology {
    return this.#tracker.current;
  }

  get nodes(): readonly ClusterNode[] {
    return this.#directory.nodes;
  }

  /** What is heard, and from where. The first subscription makes it, so that others need not load what it takes. */
  openSubscriptions(): Subscriptions {
    const { environment, telemetry, epochMs } = this;
    this.#subscriptions ??= new Subscriptions({
      ...{ environment, telemetry, epochMs },
      directory: () => this.#directory,
      tracker: () => this.#tracker,
      isSingle: this.options.mode === "single",
      unavailableAfter: this.options.unavailableAfter,
    });
    return this.#subscriptions;
  }

  metrics(): Metrics {
    const heard = this.#subscriptions?.figures;
    return metricsOf(this.telemetry, this.dispatcher.live, this.nodes, heard, this.cache?.metrics);
  }

  /** Calls `listener` after every change of the topology; returns the function that removes it. */
  onTopology(listener: () => void): () => void {
    // Each registration is a function of its own. So a listener that was added twice can be removed once.
    const registered = () => listener();
    this.#onTopology.add(registered);
    return () => this.#onTopology.delete(registered);
  }

  /**
   * @internal Makes the client believe what it would believe if its news were old: that `slot` is `owner`'s, or that
   * every node holds `script`. One can then watch how the client finds out.
   */
  believe({ slot, owner, script }: { readonly slot: number; readonly owner?: string; readonly script?: Script }): void {
    if (owner !== undefined) this.#tracker.slotMoved(slot, owner);
    if (script === undefined) return;
    const registered = this.scripts.keep(script);
    for (const { scripts } of this.#directory.nodes) scripts.assume(registered);
  }

  /** A view will read from replicas: opens their connections for reads, and asks for zones where it reads by zones. */
  readFrom(from: Exclude<ReadFrom, "primary">): void {
    if (typeof from !== "string") this.#zones.want();
    for (const node of this.#directory.nodes) if (node.info.role === "replica") node.openReaders();
  }

  /** Asks for the topology. Resolves when nodes that are new in it are connected and prepared. */
  async refresh(): Promise<void> {
    await this.#tracker.refresh().catch((error: unknown) => {
      throw this.#lifetime.isClosed ? new ClosedError() : error;
    });
    await this.#prepared();
    await this.#zones.askAll();
    await settledWithin(this.environment.clock, this.options.connectTimeout, this.#audits.ofAll("asked"));
  }

  /** Asks for the credentials and logs in again on every open connection. */
  reauthenticate(steps: Steps): Promise<void> {
    return reauthenticate(this.environment, this.options, () => this.#directory.nodes, this.cache, steps);
  }

  // The client's life.

  /** @throws {ClosedError} No call is accepted any more. */
  refuseWhenClosed(): void {
    this.#lifetime.refuseWhenClosed();
  }

  /** Makes closing wait for `item` until the returned function is called. */
  track(item: Underway): () => void {
    return this.#lifetime.track(item);
  }

  /**
   * Refuses new calls, waits for calls and operations under way, and ends.
   * @param timeoutMs  Milliseconds to wait. Undefined: as long as the deadlines of calls and operations allow.
   */
  async close(timeoutMs: number | undefined): Promise<void> {
    this.#lifetime.beginClosing();
    if (timeoutMs === undefined) {
      this.#lifetime.endEndless();
      this.dispatcher.endEndless();
    }
    this.#idle ??= this.#lifetime.over().then(() => this.dispatcher.idle());
    await (timeoutMs === undefined ? this.#idle : settledWithin(this.environment.clock, timeoutMs, this.#idle));
    this.destroy();
  }

  destroy(): void {
    if (!this.#lifetime.end()) return;
    const cause = new ClosedError();
    this.#endCollections();
    this.#audits.close();
    this.#renewal.close();
    this.#tracker.close();
    this.#availability.close();
    this.#subscriptions?.close(cause);
    this.cache?.close();
    this.dispatcher.close();
    for (const node of this.#directory.nodes) node.close(cause);
    this.#opener.close(cause);
  }

  /**
   * Nodes have gone down: once a turn, however many they are.
   * @param mayHelp  Whether another topology may help.
   */
  #lookAtNodesDown(mayHelp: boolean): void {
    this.#mayTopologyHelp ||= mayHelp;
    if (this.#isLookDue) return;
    this.#isLookDue = true;
    const { clock } = this.environment;
    const look = () => {
      // A crowd is being opened, so the topology is young, and there is enough to do.
      if (this.#opener.isOpening) return void clock.setTimer(look, LOOK_AGAIN_MS, true);
      this.#isLookDue = false;
      this.#reach.look();
      if (this.#mayTopologyHelp) this.#tracker.refreshSoon(this.#isUnsettled() ? "urgent" : "settled");
      this.#mayTopologyHelp = false;
    };
    clock.afterReads(look);
  }

  async #openAll(initial: Topology): Promise<void> {
    await this.#directory.openAll(initial, () => nextTurn(this.environment.clock));
    this.#directory.follow(this.#tracker.current);
  }

  #topologyChanged(current: Topology, previous: Topology, how: "patched" | "refreshed"): void {
    // What follows from the change is told after it.
    tellTopology(this.telemetry.client, current, previous, how === "patched" ? "moved" : "refreshed");
    this.#directory.follow(current);
    this.#subscriptions?.follow(how);
    this.cache?.follow();
    this.#reach.follow(current, previous);
    this.#audits.ofPromoted(current, previous);
    this.dispatcher.reroute();
    if (how === "refreshed") this.dispatcher.retryWaiting();
    this.telemetry.counters.topologyChanges++;
    for (const listener of [...this.#onTopology]) listener();
    this.emitter.emit("topology", { current, previous });
  }

  /** Resolves when every node is connected and prepared, or could not be, or has been silent for `connectTimeout`. */
  #prepared(): Promise<void> {
    const { clock } = this.environment;
    const prepared = async ({ loader, pools }: ClusterNode) => {
      await Promise.all(pools.map((pool) => pool.firstTry));
      await loader.idle();
    };
    return Promise.all(
      this.#directory.nodes.map((node) =>
        whileAlive(clock, this.options.connectTimeout, node, prepared(node), () => this.#opener.isBusy),
      ),
    ).then(() => {});
  }

  /** Whether a node that owns slots is down, for a reason that another topology could mend. */
  #isUnsettled(): boolean {
    for (const { pool } of this.#directory.ownersDown()) if (!isLasting(pool.cause)) return true;
    return false;
  }
}
