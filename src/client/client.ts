import { LearnedCommands } from "../commands/server-commands.ts";
import { CredentialsError, type Login } from "../connection/handshake.ts";
import { NodePool, type PoolEvents } from "../connection/node-pool.ts";
import type { Environment, Timer } from "../environment.ts";
import { AuthError, ClosedError, InvalidArgumentError, ReplyError, UnavailableError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import { isAuthFailure, isUnknownCommand } from "../protocol/error-reply.ts";
import { formatAddress, type NodeAddress } from "../protocol/node-address.ts";
import type { Reply } from "../protocol/reply.ts";
import { feedAll } from "../routing/batch-feed.ts";
import type { Call } from "../routing/call.ts";
import { ClusterNode } from "../routing/cluster-node.ts";
import { Dispatcher } from "../routing/dispatcher.ts";
import { NodeDirectory } from "../routing/node-directory.ts";
import { Signals } from "../routing/signals.ts";
import { isLibrary, type Library, libraryOfFunction } from "../scripts/library.ts";
import type { Loadable } from "../scripts/loadable.ts";
import { LoadedScripts } from "../scripts/loaded-scripts.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import type { Script } from "../scripts/script.ts";
import { type RegisteredScript, ScriptRegistry, type ScriptSource } from "../scripts/script-registry.ts";
import { type BatchContext, preloadChannel, topologyChannel } from "../telemetry/channels.ts";
import { Telemetry } from "../telemetry/counters.ts";
import { Topology, type TopologyNode } from "../topology/topology.ts";
import { differenceOf } from "../topology/topology-difference.ts";
import { type Informant, Inquiry, TopologyTracker } from "../topology/topology-tracker.ts";
import { Emitter } from "./events.ts";
import { type Metrics, metricsOf } from "./metrics.ts";
import { ensure, ScriptAudits } from "./script-audits.ts";
import { askedSparingly, seedInformant, settingsFor } from "./seeds.ts";

/** A script in a report. */
export interface ScriptName {
  /** As defined; need not be unique. */
  readonly name: string;
  /** SHA-1 of the source. */
  readonly sha: string;
}

/** What became of scripts on one node. */
export interface NodeScripts {
  /** As announced. */
  readonly address: string;
  /** As the current topology has it. */
  readonly role: "primary" | "replica";
  /** Believed to be there. */
  readonly loaded: readonly ScriptName[];
  /** Not there, and why. */
  readonly failed: readonly (ScriptName & {
    /** What the node answered, or why it could not be asked. */
    readonly cause: Error;
  })[];
}

/** What `preload` reports: an entry for each known node. */
export type PreloadReport = readonly NodeScripts[];

const NOT_THERE = { script: "not answered yet", library: "not answered yet, or not replicated yet" };
/** How long a node that left the topology may take to answer what it was sent. */
const FAREWELL_MS = 10_000;

/**
 * Where the layers are wired together: connections at the bottom, scripts and topology on them, the dispatcher on top.
 * `Cluster` is the public face of it; views share one client.
 */
export class Client {
  readonly options: ResolvedOptions;
  readonly emitter = new Emitter();
  readonly dispatcher: Dispatcher;
  readonly signals = new Signals();
  readonly commands = new LearnedCommands();
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  readonly #registry = new ScriptRegistry();
  readonly #seeds: readonly Informant[];
  readonly #directory: NodeDirectory;
  readonly #tracker: TopologyTracker;
  /** Nodes that left the topology and may still answer. */
  readonly #leaving = new Set<ClusterNode>();
  readonly #audits: ScriptAudits;
  #idle: Promise<void> | undefined;
  /** What runs on connections of its own: to be ended with the client. */
  readonly #tracked = new Set<() => void>();
  #onUntracked = () => {};
  #state: "open" | "closing" | "closed" = "open";

  private constructor(
    options: ResolvedOptions,
    environment: Environment,
    telemetry: Telemetry,
    seeds: readonly Informant[],
    initial: Topology,
  ) {
    this.options = options;
    this.environment = environment;
    this.telemetry = telemetry;
    this.#seeds = seeds;
    for (const item of options.scripts) this.#keep(item);
    this.#directory = new NodeDirectory({
      open: (info) => this.#openNode(info),
      onRemoved: (node) => void this.#farewell(node),
    });
    this.dispatcher = new Dispatcher(
      environment,
      this.#directory,
      () => this.#tracker,
      {
        onRedirection: (redirection) => this.emitter.emit("redirection", redirection),
        onScriptMissing: (missing) => {
          this.emitter.emit("scriptMissing", missing);
          if (this.#state === "open") this.#audits.soon();
        },
      },
      options.maxRedirections,
      telemetry,
    );
    this.#audits = new ScriptAudits(
      environment.clock,
      () => this.#directory.nodes,
      () => this.#registry.wanted,
    );
    this.#tracker = new TopologyTracker(initial, {
      environment,
      tls: options.tls !== undefined,
      intervalMs: options.topologyRefreshInterval,
      answerTimeoutMs: options.connectTimeout,
      informants: () => this.#informants(),
      unsettled: () => this.#isUnsettled(),
      onChange: (current, previous, how) => {
        this.#directory.follow(current);
        this.#auditPromoted(current, previous);
        this.dispatcher.reroute();
        if (how === "refreshed") this.dispatcher.retryWaiting();
        telemetry.counters.topologyChanges++;
        if (topologyChannel.hasSubscribers) {
          topologyChannel.publish({ client: telemetry.client, ...differenceOf(current, previous) });
        }
        this.emitter.emit("topology", { current, previous });
      },
      onRefreshed: () => {
        telemetry.counters.topologyRefreshes++;
        this.#audits.atRefresh();
      },
    });
    this.#directory.follow(initial);
  }

  /** Finds the topology through the seeds, then connects to and prepares every node. */
  static async connect(given: ResolvedOptions, environment: Environment): Promise<Client> {
    const options = { ...given, credentials: askedSparingly(given.credentials, environment) };
    const telemetry = new Telemetry(
      Object.freeze({ seeds: Object.freeze(options.seeds.map(formatAddress)), name: options.connectionName }),
      options.durations,
    );
    const seeds = options.seeds.map((seed) => seedInformant(seed, options, environment, telemetry));
    const inquiry = new Inquiry({
      environment,
      tls: options.tls !== undefined,
      answerTimeoutMs: options.connectTimeout,
    });
    const description = await inquiry.ask(seeds).catch((error: unknown) => {
      const causes = error instanceof UnavailableError ? [...error.causes.values()] : [];
      throw causes.find((cause) => cause instanceof AuthError) ?? error;
    });
    const topology = Topology.from(description);
    // Before anything is opened: a natMap that does not work is the user's to mend.
    for (const { address } of topology.nodes) options.natMap(address);
    const client = new Client(options, environment, telemetry, seeds, topology);
    await client.#prepared();
    return client;
  }

  get topology(): Topology {
    return this.#tracker.current;
  }

  get nodes(): readonly ClusterNode[] {
    return this.#directory.nodes;
  }

  metrics(): Metrics {
    return metricsOf(this.telemetry, this.dispatcher.live, this.nodes);
  }

  /** @throws {ClosedError} No call is accepted any more. */
  refuseWhenClosed(): void {
    if (this.#state !== "open") throw new ClosedError();
  }

  /** Sends calls, those of each slot in their order, within the bounds. `signal` aborts them. */
  sendAll(calls: readonly Call[], signal: AbortSignal | undefined, batch?: BatchContext): void {
    for (const call of calls) {
      this.dispatcher.admit(call, batch);
      if (signal?.aborted) call.abort(signal.reason);
      else if (signal !== undefined) this.signals.listen(signal, call);
    }
    feedAll(this.dispatcher, this.environment, calls);
  }

  /** The script's entry in the registry. A script met for the first time is sent to every other node in the background. */
  registered(script: Script, slot: number): RegisteredScript | RegisteredLibrary {
    const library = libraryOfFunction(script);
    const known = library === undefined ? this.#registry.get(script.sha) : this.#registry.getLibrary(library.sha);
    if (known?.wanted) return known;
    const registered = this.#register(library ?? script);
    const used = slot < 0 ? undefined : this.#directory.ownerOf(slot);
    for (const { pool, scripts } of this.#directory.nodes) {
      const lane = pool.lanes[0];
      // The node that is used gets it in the same write as the call.
      if (lane?.ready && scripts !== used?.scripts && scripts.needsLoad(registered))
        void scripts.loadOn(lane, registered);
    }
    return registered;
  }

  #register(item: Script | Library): RegisteredScript | RegisteredLibrary {
    return isLibrary(item) ? this.#registry.registerLibrary(item) : this.#registry.register(item);
  }

  #keep(item: Script | Library): RegisteredScript | RegisteredLibrary {
    return isLibrary(item) ? this.#registry.registerLibrary(item) : this.#registry.keep(item);
  }

  async preload(items: readonly (Script | Library)[]): Promise<PreloadReport> {
    const registered = items.map((item) => this.#keep(item));
    for (const { scripts } of this.#directory.nodes) for (const each of registered) scripts.redeliver(each);
    await Promise.all(
      this.#directory.nodes.map((node) => this.#within(this.options.connectTimeout, ensure(node, registered))),
    );
    const report = this.report(registered);
    if (preloadChannel.hasSubscribers) for (const node of report) this.#tellPreload(node);
    return report;
  }

  #tellPreload({ address, loaded, failed }: NodeScripts): void {
    const { client } = this.telemetry;
    preloadChannel.publish({ client, address, loaded: loaded.length, failed: failed.length });
  }

  /** Registers a script that is about to be loaded. */
  remember(source: ScriptSource): void {
    this.#registry.register(source);
  }

  /** Registers a script and loads it on every node that can be reached. What became of it, node by node. */
  async loadEverywhere(
    source: ScriptSource,
    limitMs: number,
  ): Promise<{ readonly address: string; readonly cause: Error | undefined }[]> {
    const script = this.#registry.register(source);
    const loads = this.#directory.nodes.flatMap(({ pool, scripts }) => {
      const lane = pool.lanes.find(({ ready }) => ready);
      return lane === undefined ? [] : [scripts.loadNow(lane, script)];
    });
    await this.#within(limitMs || this.options.connectTimeout, Promise.all(loads));
    return this.#directory.nodes.map(({ address, pool, scripts }) => {
      const state = scripts.stateOf(script);
      if (state?.kind === "held") return { address, cause: undefined };
      return { address, cause: state?.kind === "failed" ? state.cause : (pool.cause ?? new Error("not answered yet")) };
    });
  }

  /** The nodes were told to forget every script: nobody loads one again before it is run or preloaded. */
  forgetScripts(): void {
    for (const item of this.#registry.all) if (item.kind === "script") item.wanted = false;
    for (const { scripts } of this.#directory.nodes) scripts.forgetScripts();
  }

  /** The entry of a script by its SHA-1, if it is one that nodes should hold. */
  wantedScript(sha: string): RegisteredScript | undefined {
    const registered = this.#registry.get(sha.toLowerCase());
    return registered?.wanted ? registered : undefined;
  }

  /**
   * @internal Believes what a client believes whose news are old: that `slot` is `owner`'s, or that every node holds `script`.
   * For who wants to see how it finds out.
   */
  believe({ slot, owner, script }: { readonly slot: number; readonly owner?: string; readonly script?: Script }): void {
    if (owner !== undefined) this.#tracker.slotMoved(slot, owner);
    if (script === undefined) return;
    const registered = this.#register(script);
    for (const { scripts } of this.#directory.nodes) scripts.loadByEval(undefined, registered)("held");
  }

  /** Opens the replicas' connections for reads, for a view that will use them. */
  openReaders(): void {
    for (const node of this.#directory.nodes) if (node.info.role === "replica") node.readers;
  }

  report(scripts: readonly Loadable[] = this.#registry.wanted): PreloadReport {
    return this.#directory.nodes.map((node) => this.#reportOn(node, scripts));
  }

  #reportOn({ address, info, pool, scripts: held }: ClusterNode, scripts: readonly Loadable[]): NodeScripts {
    const loaded: ScriptName[] = [];
    const failed: (ScriptName & { cause: Error })[] = [];
    for (const script of scripts) {
      const { name, sha } = script;
      if (held.stateOf(script)?.kind === "held") loaded.push({ name, sha });
      else {
        const cause = held.failureOf(script) ?? pool.cause ?? new Error(NOT_THERE[script.kind]);
        failed.push({ name, sha, cause });
      }
    }
    return { address, role: info.role, loaded, failed };
  }

  /** Resolves when the topology is fresh, and nodes that are new in it are connected and prepared. */
  async refresh(): Promise<void> {
    await this.#tracker.refresh().catch((error: unknown) => {
      throw this.#state === "closed" ? new ClosedError() : error;
    });
    await this.#prepared();
    await this.#within(this.options.connectTimeout, this.#audits.ofAll());
  }

  /** Logs in again on every open connection; those that were refused try again at once. */
  async reauthenticate(): Promise<void> {
    const { username, password } = (await this.#askForCredentials()) ?? {};
    if (password === undefined) throw new InvalidArgumentError("reauthenticate: there are no credentials to use.");
    const auth = username === undefined ? ["AUTH", password] : ["AUTH", username, password];
    const lanes = this.#directory.nodes.flatMap(({ pools }) => pools.flatMap((pool) => pool.lanes));
    for (const lane of lanes) if (lane.cause instanceof AuthError) lane.connectNow();
    for (const { pool } of this.#directory.nodes) pool.dedicated.renew();
    const connections = lanes.flatMap((lane) => lane.useConnection() ?? []);
    const causes = new Map<string, unknown>();
    await Promise.all(
      connections.map(async (connection) => {
        const answer = connection.exchange(auth)[0] as Promise<Reply>;
        const silent = new Error(`no answer within ${this.options.connectTimeout} ms`);
        causes.set(connection.address, silent);
        const noted = answer.then(
          () => causes.delete(connection.address),
          // A connection that is gone needs no renewal: the next one asks for the credentials itself.
          (cause: unknown) => {
            if (!(cause instanceof ReplyError)) causes.delete(connection.address);
            // Such an answer quotes what it was sent.
            else if (isUnknownCommand(cause.reply)) causes.set(connection.address, new Error("it knows no AUTH"));
            else causes.set(connection.address, cause);
          },
        );
        await this.#within(this.options.connectTimeout, noted);
      }),
    );
    if (this.#state === "closed") throw new ClosedError();
    for (const [address, cause] of causes) {
      if (cause instanceof ReplyError && isAuthFailure(cause.reply)) throw new AuthError(address, cause.reply);
    }
    if (causes.size > 0) throw new UnavailableError("The credentials were not renewed everywhere", causes);
  }

  /** The provider is someone else's: it can fail, and it can be silent. */
  async #askForCredentials(): Promise<Login | undefined> {
    const { connectTimeout, credentials } = this.options;
    let timer: Timer | undefined;
    let untrack = () => {};
    try {
      return await new Promise<Login | undefined>((resolve, reject) => {
        const late = () => reject(new Error(`no answer within ${connectTimeout} ms`));
        timer = this.environment.clock.setTimer(late, connectTimeout);
        untrack = this.track(() => reject(new ClosedError()));
        Promise.resolve(credentials()).then(resolve, reject);
      });
    } catch (cause) {
      if (this.#state === "closed") throw new ClosedError();
      const failure = new CredentialsError("the provider of credentials failed", { cause });
      const causes = new Map(this.#directory.nodes.map(({ address }) => [address, failure]));
      throw new UnavailableError("The credentials were not renewed", causes);
    } finally {
      timer?.cancel();
      untrack();
    }
  }

  close(timeoutMs: number | undefined): Promise<void> {
    if (this.#state === "open") this.#state = "closing";
    if (timeoutMs === undefined) this.dispatcher.endEndless();
    this.#idle ??= this.#settled();
    return this.#finish(this.#idle, timeoutMs);
  }

  async #settled(): Promise<void> {
    while (this.#tracked.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onUntracked = resolve;
      });
    }
    await this.dispatcher.idle();
  }

  /** `end` is called when the client is destroyed; what this returns says that there is nothing to end any more. */
  track(end: () => void): () => void {
    this.#tracked.add(end);
    return () => {
      this.#tracked.delete(end);
      this.#onUntracked();
    };
  }

  async #finish(idle: Promise<void>, timeoutMs: number | undefined): Promise<void> {
    await (timeoutMs === undefined ? idle : this.#within(timeoutMs, idle));
    this.destroy();
  }

  destroy(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const cause = new ClosedError();
    this.#audits.close();
    this.#tracker.close();
    for (const end of this.#tracked) end();
    this.dispatcher.close();
    for (const { pools } of this.#directory.nodes) for (const pool of pools) pool.close(cause);
    for (const { pools } of this.#leaving) for (const pool of pools) pool.close(cause);
  }

  /** A promoted replica was given every script, but may have been flushed since. */
  #auditPromoted(current: Topology, previous: Topology): void {
    if (current.nodes === previous.nodes) return;
    const replicas = new Set(previous.nodes.filter(({ role }) => role === "replica").map(({ address }) => address));
    for (const { address, role } of current.nodes) {
      const node = role === "primary" && replicas.has(address) ? this.#directory.get(address) : undefined;
      if (node) void ensure(node, this.#registry.wanted);
    }
  }

  #openNode(info: TopologyNode): ClusterNode {
    const { address } = info;
    const { options } = this;
    const { counters } = this.telemetry;
    const scripts = new LoadedScripts(
      this.#registry,
      () => node.info.role === "primary",
      (isHeld) => {
        if (isHeld) counters.scriptLoads++;
        else counters.scriptLoadFailures++;
      },
    );
    let announced: "up" | "down" | undefined;
    const pool: NodePool = this.#newPool(info, false, {
      prepare: async (connection) => {
        await scripts.prepare(connection);
        if (preloadChannel.hasSubscribers) this.#tellPreload(this.#reportOn(node, this.#registry.wanted));
      },
      onUp: () => {
        announced = "up";
        this.emitter.emit("nodeUp", { address });
      },
      onDown: (cause) => {
        if (this.#state === "closed") return;
        for (const lane of pool.lanes) this.dispatcher.resend(lane.takeQueued());
        if (announced !== "down") this.emitter.emit("nodeDown", { address, cause });
        announced = "down";
        // Nobody else can say more of credentials that were refused.
        if (!(cause instanceof AuthError)) this.#tracker.refreshSoon(this.#isUnsettled() ? "urgent" : "settled");
      },
    });
    const node: ClusterNode = new ClusterNode(info, pool, scripts, () => this.#openReaders(node));
    if (info.role === "replica" && options.readFrom !== "primary") node.readers;
    return node;
  }

  /** Connections of a replica that serve reads. What the node tells of itself is told by its other connections. */
  #openReaders({ info, scripts }: ClusterNode): NodePool {
    const pool: NodePool = this.#newPool(info, true, {
      prepare: (connection) => scripts.prepare(connection),
      onUp: () => {},
      onDown: () => {
        if (this.#state === "closed") return;
        for (const lane of pool.lanes) this.dispatcher.resend(lane.takeQueued());
      },
    });
    if (this.#state === "closed") pool.close(new ClosedError());
    return pool;
  }

  #newPool(info: TopologyNode, readOnly: boolean, events: PoolEvents): NodePool {
    const { options } = this;
    return new NodePool(
      { ...settingsFor(info.address, this.#reachable(info), options, this.environment, this.telemetry), readOnly },
      {
        connections: options.connectionsPerNode,
        maxPending: options.maxPendingPerNode,
        maxPendingBytes: options.maxPendingBytesPerNode,
      },
      events,
    );
  }

  #reachable(info: TopologyNode): NodeAddress {
    try {
      return this.options.natMap(info.address) ?? info;
    } catch (error) {
      // It worked when the client connected. For a node that came later, the announced address is the best guess.
      process.emitWarning(String(error instanceof Error ? error.message : typeof error), "SlotwireWarning");
      return info;
    }
  }

  /** A node that is gone from the topology: what it was not sent yet goes elsewhere, the rest may be answered. */
  async #farewell(node: ClusterNode): Promise<void> {
    this.#leaving.add(node);
    for (const { lanes } of node.pools) for (const lane of lanes) this.dispatcher.resend(lane.takeQueued());
    this.dispatcher.resend(node.pool.dedicated.takeWaitingWhere(() => true));
    const open = node.pools.filter((pool) => pool.ready);
    if (open.length > 0) await this.#within(FAREWELL_MS, Promise.all(open.map((pool) => pool.drain())));
    for (const pool of node.pools) pool.close(new Error("the node left the cluster"));
    this.#leaving.delete(node);
  }

  /** Every node has been connected to, or could not be, or is silent. */
  async #prepared(): Promise<void> {
    const tries = Promise.all(this.#directory.nodes.flatMap(({ pools }) => pools.map((pool) => pool.firstTry)));
    await this.#within(this.options.connectTimeout, tries);
  }

  #within(limitMs: number, what: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.environment.clock.setTimer(resolve, limitMs);
      const finish = () => {
        timer.cancel();
        resolve();
      };
      what.then(finish, finish);
    });
  }

  /** Who may be asked for the topology: connected nodes in a random order, and the seeds when those do not answer. */
  #informants(): Informant[] {
    const ready = this.#directory.nodes.filter(({ pool }) => pool.ready);
    const turn = Math.floor(this.environment.random() * ready.length);
    const nodes = [...ready.slice(turn), ...ready.slice(0, turn)].map(
      ({ address, info, pool }): Informant => ({
        address,
        answersAs: { host: info.host, port: info.port },
        connect: async () => {
          const connection = pool.lanes.find((lane) => lane.useConnection() !== undefined)?.useConnection();
          if (connection === undefined) throw pool.cause ?? new Error("the connection was lost");
          return connection;
        },
      }),
    );
    return [...nodes, ...this.#seeds];
  }

  /** Whether nodes that own slots are down, and for another reason than the credentials. */
  #isUnsettled(): boolean {
    return this.#directory.ownersDown().some(({ pool }) => !(pool.cause instanceof AuthError));
  }
}
