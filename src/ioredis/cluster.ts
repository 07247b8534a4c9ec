import { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import {
  type Argument,
  type ConnectOptions,
  InvalidArgumentError,
  type Cluster as Slotwire,
  type TopologyNode,
} from "../index.ts";
import { type Callback, givenTo, prefixedKey, withPrefix } from "./arguments.ts";
import { Chain, type ChainCall, type ChainOwner, type ChainResults, firstKeyOf, pairsOf, told } from "./chain.ts";
import { addCommand, addCommands } from "./commands.ts";
import { Defined } from "./defined.ts";
import { Heard, type SubscribeMethod } from "./heard.ts";
import { type ClusterStatus, Life } from "./life.ts";
import { type NodeClient, nodeClient } from "./node-client.ts";
import { type ClusterOptions, type CommandDefinition, connectOptionsOf, type StartupNode } from "./options.ts";
import { errorOf, shaped } from "./replies.ts";
import { elementStream, keyStream, type ScanStreamOptions, Scans } from "./streams.ts";

// The methods of commands are added below.
export interface Cluster {
  // biome-ignore lint/suspicious/noExplicitAny: every command is a method, defined commands too
  [command: string]: any;
}

/**
 * A cluster's client in the shape of ioredis's `Cluster`: commands are methods, calls wait for the connection, events
 * tell of it. Underneath is a client of slotwire: scripts of `defineCommand` are preloaded on every node, and nothing that
 * may have run is sent again.
 *
 *   wait --connect(), or the first command--> connecting --> connect --> ready --quit(), disconnect()--> close --> end
 *                                               ^  '-- reconnecting --'
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class Cluster extends EventEmitter implements ChainOwner {
  readonly isCluster = true;
  readonly options: ClusterOptions;
  readonly startupNodes: readonly StartupNode[];
  /** Packages write it as well. */
  status: ClusterStatus = "wait";
  readonly #commands = new Map<string, Defined>();
  readonly #heard = new Heard(this);
  readonly #scans = new Scans();
  readonly #life: Life;

  /**
   * @param startupNodes  `{ host, port }`, `"host:port"`, a URL, or a port of this machine.
   * @throws {InvalidArgumentError} An option cannot be honoured.
   */
  constructor(startupNodes: readonly StartupNode[], options: ClusterOptions = {}) {
    super();
    const { lazyConnect, redisOptions } = options;
    this.options = {
      ...options,
      lazyConnect: lazyConnect ?? false,
      keyPrefix: options.keyPrefix ?? redisOptions?.keyPrefix,
    };
    this.startupNodes = startupNodes;
    // Wrong options are told now.
    if (adopting === undefined) connectOptionsOf(startupNodes, options);
    if (options.compatible !== undefined) beInstanceOf(this, options.compatible);
    for (const [name, definition] of Object.entries(options.scripts ?? {})) this.defineCommand(name, definition);
    const { clusterRetryStrategy = usualDelay } = options;
    this.#life = new Life(
      {
        emitter: this,
        options: () => this.#connectOptions(),
        retryDelay: clusterRetryStrategy,
        onConnected: (slotwire) => this.#connected(slotwire),
      },
      adopting,
    );
    if (adopting === undefined && lazyConnect !== true) this.connect().catch(() => {});
  }

  /** Wraps a connected client of slotwire. `quit` and `disconnect` close that client. */
  static from(cluster: Slotwire, options: Pick<ClusterOptions, "keyPrefix" | "compatible" | "scripts"> = {}): Cluster {
    adopting = cluster;
    try {
      return new Cluster(
        cluster.topology.nodes.map(({ host, port }) => ({ host, port })),
        options,
      );
    } finally {
      adopting = undefined;
    }
  }

  /** True of every client of this class, also of one that is `compatible` with ioredis. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && #life in value;
  }

  /** The prefix of all keys. */
  get keyPrefix(): string {
    return this.options.keyPrefix ?? "";
  }

  // Life.

  /** Connects. Resolves when the cluster can be used. */
  connect(): Promise<void> {
    return this.#life.connect();
  }

  #connectOptions(): ConnectOptions {
    const given = connectOptionsOf(this.startupNodes, this.options);
    const scripts = [...this.#commands.values()].map(({ script }) => script);
    return { ...given, scripts: [...(given.scripts ?? []), ...scripts] };
  }

  #connected(slotwire: Slotwire): void {
    for (const { script } of this.#commands.values()) slotwire.preload(script).catch(() => {});
    slotwire.on("nodeDown", ({ address, cause }) => this.emit("node error", cause, address));
    slotwire.on("topology", ({ current, previous }) => this.#tellNodes(current.nodes, previous.nodes));
  }

  #tellNodes(current: readonly TopologyNode[], previous: readonly TopologyNode[]): void {
    const isIn = (nodes: readonly TopologyNode[], address: string) => nodes.some((node) => node.address === address);
    for (const node of current) if (!isIn(previous, node.address)) this.emit("+node", this.#node(node));
    for (const node of previous) if (!isIn(current, node.address)) this.emit("-node", this.#node(node));
  }

  /** Waits for the calls under way, and closes. */
  quit(callback?: Callback): Promise<"OK"> {
    return told(this.#life.quit(), callback);
  }

  /** Closes at once. Calls under way reject with "Connection is closed.". */
  disconnect(): void {
    this.#life.disconnect();
  }

  /** The same as `disconnect`. */
  end(): void {
    this.#life.disconnect();
  }

  /** A client with the same settings and defined commands, and connections of its own. */
  duplicate(startupNodes: readonly StartupNode[] = this.startupNodes, options: ClusterOptions = {}): Cluster {
    const redisOptions = { ...this.options.redisOptions, ...options.redisOptions };
    const copy = new Cluster(startupNodes, { ...this.options, ...options, redisOptions });
    for (const [name, defined] of this.#commands) copy.#define(name, defined);
    return copy;
  }

  // Commands.

  /**
   * Makes a method of a script. It is preloaded on every node.
   * @throws {InvalidArgumentError} The source is no text.
   */
  defineCommand(name: string, definition: CommandDefinition): void {
    this.#define(name, new Defined(name, definition));
  }

  #define(name: string, defined: Defined): void {
    this.#commands.set(name, defined);
    addCommand<Cluster>(this, name, (on, _, values, wantsBuffers) => on.#run(defined, name, values, wantsBuffers));
    this.#life?.cluster?.preload(defined.script).catch(() => {});
  }

  /** @internal */
  defined(name: string): Defined | undefined {
    return this.#commands.get(name);
  }

  /** Sends any command. */
  call(name: string, ...args: unknown[]): Promise<unknown> {
    return this.#send(name, args, false);
  }

  /** Sends any command. Texts of the reply are Buffers. */
  callBuffer(name: string, ...args: unknown[]): Promise<unknown> {
    return this.#send(name, args, true);
  }

  /** The old name of `call`. */
  send_command(name: string, ...args: unknown[]): Promise<unknown> {
    return this.#send(name, args, false);
  }

  /** Commands that are sent together by `exec`, as one transaction on the slot of the first key. */
  multi(commands?: readonly (readonly unknown[])[] | { readonly pipeline?: boolean }): Chain {
    if (commands !== undefined && !Array.isArray(commands) && (commands as { pipeline?: boolean }).pipeline === false) {
      throw new InvalidArgumentError(
        "slotwire/ioredis: multi({ pipeline: false }) cannot be honoured: use multi().exec().",
      );
    }
    return this.#chain("multi", Array.isArray(commands) ? commands : []);
  }

  /** Commands that are sent together by `exec`. The commands of a key run in order. */
  pipeline(commands: readonly (readonly unknown[])[] = []): Chain {
    return this.#chain("pipeline", commands);
  }

  #chain(kind: "multi" | "pipeline", commands: readonly (readonly unknown[])[]): Chain {
    const chain = new Chain(this, kind, commands);
    for (const name of this.#commands.keys()) {
      addCommand(chain, name, (on, _, values, wantsBuffers) => on.add(name, values, wantsBuffers));
    }
    return chain;
  }

  /** @internal */
  async execute(kind: "multi" | "pipeline", calls: readonly ChainCall[]): Promise<ChainResults> {
    const buffers = calls.some(({ wantsBuffers }) => wantsBuffers);
    const cluster = await this.#ready();
    const view = buffers ? cluster.with({ replies: "buffer" }) : cluster;
    const key = firstKeyOf(calls) ?? "";
    const together = kind === "multi" ? view.transaction(key) : view.batch();
    try {
      for (const { name, args, script } of calls) {
        if (script === undefined) together.command(name, ...args);
        else together.run(script.script, script.keys, script.rest);
      }
      if (calls.length === 0) return [];
      const results = await together.exec();
      return pairsOf(calls, buffers ? results.map((result, index) => asWanted(result, calls[index])) : results);
    } catch (error) {
      throw errorOf(error, kind === "multi" ? "exec" : "pipeline", 0);
    }
  }

  /** Sends one command. */
  #send(name: string, values: readonly unknown[], wantsBuffers: boolean): Promise<unknown> {
    const lower = String(name).toLowerCase();
    const { args, callback } = givenTo(lower, values);
    const prefixed = withPrefix(this.keyPrefix, lower, args);
    const sent = this.#with((cluster) => {
      const view = wantsBuffers ? cluster.with({ replies: "buffer" }) : cluster;
      return view.command(lower, ...prefixed);
    });
    const result = sent.then(
      (reply) => shaped(lower, reply),
      (error: unknown) => {
        throw errorOf(error, lower, args.length);
      },
    );
    return told(result, callback);
  }

  /** Runs a defined command. */
  #run(defined: Defined, name: string, values: readonly unknown[], wantsBuffers: boolean): Promise<unknown> {
    const { args, callback } = givenTo(name, values);
    const { script, keys, rest } = defined.callOf(args, this.keyPrefix);
    const sent = this.#with((cluster) => {
      const view = wantsBuffers ? cluster.with({ replies: "buffer" }) : cluster;
      return view.run(script, keys, rest);
    });
    const result = sent.catch((error: unknown) => {
      throw errorOf(error, name, args.length);
    });
    return told(result, callback);
  }

  /** Does it now, or when the client is connected: in the order of the calls. */
  #with<T>(send: (cluster: Slotwire) => Promise<T>): Promise<T> {
    const { cluster } = this.#life;
    return cluster === undefined ? this.#ready().then(send) : send(cluster);
  }

  #ready(): Promise<Slotwire> {
    return this.#life.ready();
  }

  // Keys of the whole cluster.

  /** One step of a scan of the whole cluster. The cursors are this client's own. */
  scan(...values: unknown[]): Promise<[string, string[]]> {
    const { args, callback } = givenTo("scan", values);
    return told(this.#scans.step(() => this.#ready(), args, false) as Promise<[string, string[]]>, callback);
  }

  scanBuffer(...values: unknown[]): Promise<[string, Buffer[]]> {
    const { args, callback } = givenTo("scan", values);
    return told(this.#scans.step(() => this.#ready(), args, true) as Promise<[string, Buffer[]]>, callback);
  }

  scanStream(options: ScanStreamOptions = {}): Readable {
    return keyStream(() => this.#ready(), options, false);
  }

  scanBufferStream(options: ScanStreamOptions = {}): Readable {
    return keyStream(() => this.#ready(), options, true);
  }

  hscanStream(key: Argument, options: ScanStreamOptions = {}): Readable {
    return this.#elements("hscan", key, options);
  }

  sscanStream(key: Argument, options: ScanStreamOptions = {}): Readable {
    return this.#elements("sscan", key, options);
  }

  zscanStream(key: Argument, options: ScanStreamOptions = {}): Readable {
    return this.#elements("zscan", key, options);
  }

  #elements(name: string, key: Argument, options: ScanStreamOptions): Readable {
    const step = (args: readonly Argument[]) => this.#send(name, args, false) as Promise<[string, unknown[]]>;
    return elementStream(step, key, options);
  }

  // Nodes.

  /** The nodes, each as a client of its own. */
  nodes(role: "all" | "master" | "slave" = "all"): NodeClient[] {
    if (role !== "all" && role !== "master" && role !== "slave") {
      throw new Error(`Invalid role "${role}". Expected "all", "master" or "slave"`);
    }
    const nodes = this.#life.cluster?.topology.nodes ?? [];
    const wanted = role === "master" ? "primary" : "replica";
    return nodes.filter((node) => role === "all" || node.role === wanted).map((node) => this.#node(node));
  }

  #node(node: TopologyNode): NodeClient {
    return nodeClient(node, (send) => this.#with(send), this.keyPrefix);
  }

  // Subscriptions.

  subscribe(...values: unknown[]): Promise<number> {
    return this.#subscribe("subscribe", values);
  }

  psubscribe(...values: unknown[]): Promise<number> {
    return this.#subscribe("psubscribe", values);
  }

  ssubscribe(...values: unknown[]): Promise<number> {
    return this.#subscribe("ssubscribe", values);
  }

  unsubscribe(...values: unknown[]): Promise<number> {
    return this.#unsubscribe("subscribe", values);
  }

  punsubscribe(...values: unknown[]): Promise<number> {
    return this.#unsubscribe("psubscribe", values);
  }

  sunsubscribe(...values: unknown[]): Promise<number> {
    return this.#unsubscribe("ssubscribe", values);
  }

  #subscribe(method: SubscribeMethod, values: readonly unknown[]): Promise<number> {
    const { args, callback } = givenTo(method, values);
    const names = args.map((name) => prefixedKey(this.keyPrefix, name)) as (string | Uint8Array)[];
    const counted = this.#with((cluster) => this.#heard.subscribe(cluster, method, names)).catch((error: unknown) => {
      throw errorOf(error, method, args.length);
    });
    return told(counted, callback);
  }

  #unsubscribe(method: SubscribeMethod, values: readonly unknown[]): Promise<number> {
    const { args, callback } = givenTo(method, values);
    const names = args.map((name) => prefixedKey(this.keyPrefix, name)) as (string | Uint8Array)[];
    return told(this.#heard.unsubscribe(method, names), callback);
  }
}

addCommands(Cluster.prototype as object as Cluster, (on, name, values, wantsBuffers) => {
  return wantsBuffers ? on.callBuffer(name, ...values) : on.call(name, ...values);
});
addCommands(Chain.prototype as Chain, (on, name, values, wantsBuffers) => on.add(name, values, wantsBuffers));
addCommand(Chain.prototype as Chain, "scan", (on, name, values, wantsBuffers) => on.add(name, values, wantsBuffers));

/** The client that `Cluster.from` wraps, while the constructor runs. */
let adopting: Slotwire | undefined;

/** ioredis's own default. */
function usualDelay(times: number): number {
  return Math.min(100 + times * 2, 2000);
}

/** A reply with Buffers, as the call wants it. */
function asWanted(reply: unknown, call: ChainCall | undefined): unknown {
  if (call?.wantsBuffers === true || reply instanceof Error) return reply;
  if (Buffer.isBuffer(reply)) return reply.toString();
  return Array.isArray(reply) ? reply.map((each) => asWanted(each, call)) : reply;
}

/** Makes `client instanceof ioredis.Cluster` true: ioredis's class becomes a prototype behind this one. */
function beInstanceOf(client: Cluster, compatible: NonNullable<ClusterOptions["compatible"]>): void {
  const { Cluster: own, default: whole } = compatible;
  const theirs = own ?? (whole as { Cluster?: unknown } | undefined)?.Cluster;
  if (typeof theirs !== "function") {
    throw new InvalidArgumentError(
      "slotwire/ioredis: compatible is not the imported module of ioredis: it has no Cluster.",
    );
  }
  let adapted = adaptedPrototypes.get(theirs);
  if (adapted === undefined) {
    const members = Object.getOwnPropertyDescriptors(Cluster.prototype);
    adapted = Object.create(theirs.prototype, members) as object;
    adaptedPrototypes.set(theirs, adapted);
  }
  Object.setPrototypeOf(client, adapted);
}

const adaptedPrototypes = new WeakMap<object, object>();
