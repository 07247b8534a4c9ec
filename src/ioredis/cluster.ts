import { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import { realTime } from "../environment.ts";
import {
  type Argument,
  type ConnectOptions,
  InvalidArgumentError,
  type Cluster as Slotwire,
  type TopologyNode,
} from "../index.ts";
import { givenTo } from "./arguments.ts";
import { type Callback, told } from "./callbacks.ts";
import { Chain, type ChainOwner } from "./chain.ts";
import { addCommand, addCommands, addDefined } from "./commands.ts";
import { beInstanceOf } from "./compatible.ts";
import { Defined } from "./defined.ts";
import { executed } from "./execution.ts";
import { Heard } from "./heard.ts";
import { type ClusterStatus, Life } from "./life.ts";
import { NodeClient } from "./node-client.ts";
import { type ClusterOptions, type CommandDefinition, connectOptionsOf, type StartupNode } from "./options.ts";
import { errorOf } from "./replies.ts";
import { sendShaped } from "./send.ts";
import { elementStream, keyStream, type ScanStreamOptions, Scans } from "./streams.ts";

/** An object of ioredis's class `Command`. */
interface SentCommand {
  readonly name: string;
  readonly args: readonly unknown[];
  /** Null where the reply's texts are to be Buffers. */
  readonly replyEncoding: string | null;
  readonly promise: Promise<unknown>;
  resolve(reply: unknown): void;
  reject(error: Error): void;
}

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
 * The states are those of `Life`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class Cluster extends EventEmitter {
  readonly isCluster = true;
  readonly options: ClusterOptions;
  readonly startupNodes: readonly StartupNode[];
  /** Packages write it as well. */
  status: ClusterStatus = "wait";
  readonly #commands = new Map<string, Defined>();
  /** Its prototype has the commands that were defined. */
  readonly #OwnChain = class extends Chain {};
  readonly #heard = new Heard(this, (subscribe) => this.#with(subscribe));
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
      scaleReads: "master",
      redisOptions: {},
      ...options,
      lazyConnect: lazyConnect ?? false,
      // A text in any case: packages put it in front of patterns.
      keyPrefix: options.keyPrefix ?? redisOptions?.keyPrefix ?? "",
    };
    this.startupNodes = startupNodes;
    // Wrong options are told now.
    if (adopting === undefined) connectOptionsOf(startupNodes, options);
    if (options.compatible !== undefined) beInstanceOf(this, Cluster.prototype, options.compatible);
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
    if (adopting !== undefined) return;
    if (lazyConnect === true) realTime.nextTick(() => this.emit("wait"));
    else this.connect().catch(() => {});
  }

  /**
   * Wraps a connected client of slotwire. `quit` and `disconnect` close that client.
   * @param options  Those of credentials, TLS and so on hold for `duplicate`, which connects by itself.
   */
  static from(cluster: Slotwire, options: ClusterOptions = {}): Cluster {
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
    this.#nameConnections(slotwire);
    this.#heard.connected(slotwire);
    slotwire.on("nodeDown", ({ address, cause }) => this.emit("node error", cause, address));
    slotwire.on("topology", ({ current, previous }) => this.#tellNodes(current.nodes, previous.nodes));
  }

  /** One connection to each node has the name, the one for calls. It is named again when it was lost. */
  #nameConnections(slotwire: Slotwire): void {
    const name = this.options.redisOptions?.connectionName;
    if (name === undefined || name === null) return;
    slotwire.command("CLIENT", "SETNAME", name).catch(() => {});
    slotwire.on("nodeUp", ({ address }) => {
      const node = slotwire.topology.nodes.find((each) => each.address === address);
      if (node !== undefined)
        this.#node(node)
          .call("CLIENT", "SETNAME", name)
          .catch(() => {});
    });
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

  /**
   * Closes at once. Calls under way reject with "Connection is closed.".
   * @param reconnect  Connects again after it. Default: false.
   */
  disconnect(reconnect = false): void {
    this.#life.disconnect(reconnect);
  }

  /** The same as `disconnect`. */
  end(): void {
    this.#life.disconnect(false);
  }

  /**
   * A client with the same settings and defined commands, and connections of its own.
   * @param startupNodes  None: those of this client.
   */
  duplicate(startupNodes: readonly StartupNode[] = [], options: ClusterOptions = {}): Cluster {
    const redisOptions = { ...this.options.redisOptions, ...options.redisOptions };
    const nodes = startupNodes.length > 0 ? startupNodes : this.startupNodes;
    const copy = new Cluster(nodes, { ...this.options, ...options, redisOptions });
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
    addDefined<Cluster>(this, name, (on, _, values, wantsBuffers) => on.#run(defined, name, values, wantsBuffers));
    addDefined<Chain>(this.#OwnChain.prototype, name, (on, _, values, wantsBuffers) =>
      Chain.collect(on, name, values, wantsBuffers),
    );
    this.#life?.cluster?.preload(defined.script).catch(() => {});
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

  /** Sends a command that is an object of ioredis's class `Command`, and settles its promise. */
  sendCommand(command: SentCommand): Promise<unknown> {
    const { name, args, replyEncoding, resolve, reject } = command;
    this.#send(name, args, replyEncoding === null).then(resolve, reject);
    return command.promise;
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
    const scanStep = (args: readonly Argument[], buffers: boolean) =>
      this.#scans.step(() => this.#ready(), args, buffers);
    const owner: ChainOwner = {
      keyPrefix: this.keyPrefix,
      defined: (name) => this.#commands.get(name),
      execute: async (how, calls) => executed(await this.#ready(), how, calls, scanStep),
    };
    return new this.#OwnChain(owner, kind, commands);
  }

  /** Sends one command. */
  #send(name: string, values: readonly unknown[], wantsBuffers: boolean): Promise<unknown> {
    return sendShaped(String(name), values, this.keyPrefix, (command, args) =>
      // A server's cursor is one node's.
      command.toLowerCase() === "scan"
        ? this.#scans.step(() => this.#ready(), args, wantsBuffers)
        : this.#with((cluster) => {
            const view = wantsBuffers ? cluster.with({ replies: "buffer" }) : cluster;
            return view.command(command, ...args);
          }),
    );
  }

  /** Runs a defined command. */
  #run(defined: Defined, name: string, values: readonly unknown[], wantsBuffers: boolean): Promise<unknown> {
    const { args, callback } = givenTo(name, values);
    const sent = this.#with((cluster) => {
      const { script, keys, rest } = defined.callOf(args, this.keyPrefix);
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
    if (cluster === undefined) return this.#ready().then(send);
    try {
      return send(cluster);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #ready(): Promise<Slotwire> {
    return this.#life.ready();
  }

  // Keys of the whole cluster.

  /** One step of a scan of the whole cluster. The cursors are this client's own. */
  scan(...values: unknown[]): Promise<[string, string[]]> {
    return this.#send("scan", values, false) as Promise<[string, string[]]>;
  }

  scanBuffer(...values: unknown[]): Promise<[string, Buffer[]]> {
    return this.#send("scan", values, true) as Promise<[string, Buffer[]]>;
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
    return elementStream(step, [key], options);
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
    return new NodeClient(node, (send) => this.#with(send), this.keyPrefix);
  }

  // Subscriptions.

  subscribe(...values: unknown[]): Promise<number> {
    return this.#heard.subscribe("subscribe", values);
  }

  psubscribe(...values: unknown[]): Promise<number> {
    return this.#heard.subscribe("psubscribe", values);
  }

  ssubscribe(...values: unknown[]): Promise<number> {
    return this.#heard.subscribe("ssubscribe", values);
  }

  unsubscribe(...values: unknown[]): Promise<number> {
    return this.#heard.unsubscribe("subscribe", values);
  }

  punsubscribe(...values: unknown[]): Promise<number> {
    return this.#heard.unsubscribe("psubscribe", values);
  }

  sunsubscribe(...values: unknown[]): Promise<number> {
    return this.#heard.unsubscribe("ssubscribe", values);
  }
}

addCommands(Cluster.prototype as object as Cluster, (on, name, values, wantsBuffers) => {
  return wantsBuffers ? on.callBuffer(name, ...values) : on.call(name, ...values);
});
addCommands(Chain.prototype, Chain.collect);
addCommand(Chain.prototype, "scan", Chain.collect);

/** The client that `Cluster.from` wraps, while the constructor runs. */
let adopting: Slotwire | undefined;

/** ioredis's own default. */
function usualDelay(times: number): number {
  return Math.min(100 + times * 2, 2000);
}
