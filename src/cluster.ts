import { addCalls, Batch, type BatchOptions, type BatchResults, batchOptions, type Executed } from "./calls/batch.ts";
import { CallFactory } from "./calls/call-factory.ts";
import { type Host, ownLimitsOf } from "./calls/host.ts";
import { Operation } from "./calls/operation.ts";
import { carryOut } from "./calls/planned-command.ts";
import { Scan, type ScanOptions, scanArguments } from "./calls/scan.ts";
import { Transaction } from "./calls/transaction.ts";
import {
  type CallOptions,
  checkOptions,
  checkSignal,
  checkTimeout,
  type ViewOptions,
  type ViewSettings,
  viewOf,
} from "./calls/view.ts";
import { runWatching, type WatchingBody } from "./calls/watched-transaction.ts";
import { Client } from "./client/client.ts";
import { type ClusterEvent, EVENT_NAMES, type Listener } from "./client/events.ts";
import type { Metrics } from "./client/metrics.ts";
import type { PreloadReport } from "./client/script-store.ts";
import type { Division } from "./commands/spread.ts";
import { nodeEnvironment } from "./connection/node-environment.ts";
import type { Environment } from "./environment.ts";
import { AbortedError, InvalidArgumentError } from "./errors.ts";
import { type ConnectOptions, resolveOptions } from "./options.ts";
import { kindOf } from "./protocol/encode.ts";
import type { Argument, Reply } from "./protocol/reply.ts";
import { isLibrary, type Library } from "./scripts/library.ts";
import { isScript, type Script, type ScriptCall, type Values, type WithArguments } from "./scripts/script.ts";
import type { Topology } from "./topology/topology.ts";

const NO_ARGUMENTS: readonly Argument[] = [];

// One function for all calls takes the promise's end: a closure for each would cost more than the promise. The other end
// is left to the garbage collector: a call in flight is 72 bytes smaller for it.
let resolveNext: (value: never) => void;
const capture = (resolve: (value: never) => void) => {
  resolveNext = resolve;
};

/**
 * Connects to a cluster, or to a single server without cluster mode. Resolves when the topology is known and every
 * script in `scripts` is on every node that could be reached; what failed is in `scripts()`.
 *
 * @throws {InvalidArgumentError} An option is wrong.
 * @throws {AuthError}            The credentials were refused.
 * @throws {UnavailableError}     No seed answered; a cause for each.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 */
export function connect(options: ConnectOptions): Promise<Cluster> {
  return connectIn(nodeEnvironment, options);
}

/** @internal `connect` with sockets, clock and chance of one's own. */
export async function connectIn(environment: Environment, options: ConnectOptions): Promise<Cluster> {
  const resolved = resolveOptions(options);
  const client = await Client.connect(resolved, environment);
  const { commandTimeout, readFrom } = resolved;
  return new Cluster(client, { timeoutMs: commandTimeout, signal: undefined, replies: undefined, readFrom });
}

/** A connected cluster. Made by `connect`; `with` makes views of the same one. */
export class Cluster {
  readonly #client: Client;
  readonly #view: ViewSettings;
  readonly #factory: CallFactory;
  readonly #host: Host;

  /** @internal */
  constructor(client: Client, view: ViewSettings) {
    this.#client = client;
    this.#view = view;
    this.#factory = new CallFactory(client, view);
    this.#host = { client, factory: this.#factory, view };
  }

  /** @internal */
  static clientOf(cluster: Cluster): Client {
    return cluster.#client;
  }

  /**
   * Runs a script by its SHA-1 on the node that owns `keys`; without keys on any primary. One round trip; one more if
   * the node forgot the script. A script that was not preloaded is loaded in the same write, and stays registered.
   *
   * @param keys  All in one hash slot.
   * @param rest  The arguments, sent as bulk strings, numbers as decimal text; behind them `CallOptions`.
   * @returns     The script's reply, through its `parse` if it has one: string, number, null, or arrays of these.
   * @throws {CrossSlotError}       Keys in different slots; nothing was sent.
   * @throws {InvalidArgumentError} A wrong number of keys, or a value that cannot be sent; nothing was sent.
   * @throws {ReplyError}           The script, or the server, answered with an error.
   * @throws {SlotwireError}        Any other failure; `outcome` says whether the script may have run.
   * @see https://redis.io/docs/latest/commands/evalsha/
   */
  run<N extends number, T, A extends number>(
    script: Script<N, T, A>,
    keys: Values<N>,
    ...rest: WithArguments<A, [options: CallOptions]>
  ): Promise<T>;
  run<T>(
    script: Script<number, T>,
    keys: readonly Argument[],
    args: readonly Argument[] = NO_ARGUMENTS,
    options?: CallOptions,
  ): Promise<T> {
    try {
      const signal = this.#check(options);
      const timeoutMs = options?.timeout ?? this.#view.timeoutMs;
      const promise = new Promise<T>(capture as never);
      this.#client.door.send(this.#factory.run(script, keys, args, timeoutMs, resolveNext, undefined), signal);
      return promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends any other command to the node that owns its keys; without keys to any primary. Commands that are for many
   * nodes (`SCRIPT`, `FUNCTION LOAD`, `FLUSHALL`, `DBSIZE`, `KEYS`, ...) go to all nodes or all primaries, and MGET, MSET,
   * DEL, UNLINK, EXISTS and TOUCH over several slots go in parts, not atomically; the replies come as one. When a part
   * fails, the whole is rejected with its error once all have ended, and `outcome` is `executed` if any part ran.
   * Where the keys of a command are that no table lists (a module's, or a newer server's), a server is asked: the first
   * such call waits for the answer, and may be written behind calls that were made after it.
   * A command that the server flags `readonly` is sent again when a connection is lost, any other is not.
   *
   * A command that blocks (`BLPOP`, `BZPOPMIN`, `XREAD` with `BLOCK`, ...) has a connection of its own for as long, and
   * delays nobody: at most 1,000 a node, past that `QUEUE_FULL`. Its deadline is its blocking time on top of
   * `commandTimeout`, and none if it blocks for ever; a `timeout` of the view is for the whole all the same. Its abort or
   * deadline ends that connection, so that nothing is popped for it from then on; what was popped just before is lost,
   * and `outcome` is `unknown`. `WAIT` is for what was written, and answered, before; it keeps nobody waiting either.
   *
   * @throws {InvalidArgumentError} Also for commands that change what a connection is (`SUBSCRIBE`, `MULTI`, `SELECT`, ...).
   * @throws {CrossSlotError}       Keys in different slots, of a command that cannot be sent in parts; nothing was sent.
   * @throws {ReplyError}           The server answered with an error.
   * @throws {SlotwireError}        Any other failure; `outcome` says whether the command may have run.
   * @returns The reply, as RESP2 has it: `HGETALL` gives an array of fields and values in turn.
   * @see https://redis.io/docs/latest/commands/
   */
  command<T = Reply>(name: string, ...args: readonly Argument[]): Promise<T> {
    try {
      const signal = this.#check(undefined);
      const plan = this.#factory.planOf(name, args);
      if (plan.kind === "one") return this.#sendCommand(name, args, signal);
      if (plan.kind === "parts") return this.#sendParts(name, plan.division, signal) as Promise<T>;
      return carryOut(this.#host, plan, name, args) as Promise<T>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The keys of all primaries, step by step by SCAN: `for await (const key of cluster.scan({ match: "user:*" }))`.
   *
   * A key that exists from the first step to the last comes at least once, also when its slot moves meanwhile, or its
   * primary fails over: what moved is scanned where it is by then. Like those of SCAN itself, keys may come more than
   * once, and in any order; keys that come or go meanwhile may be among them or not. Always asks primaries.
   * The view's `replies: "buffer"` gives Buffers (which is right for keys that are no text), its `timeout` and `signal` are
   * for each step. Nothing is left behind when the loop is ended early.
   *
   * @throws {InvalidArgumentError} An option is wrong; at once, and nothing was sent.
   * @throws {UnavailableError}     While iterating: a slot has no owner, or never comes to rest.
   * @throws {SlotwireError}        While iterating: a step failed.
   * @see https://redis.io/docs/latest/commands/scan/
   */
  scan<K extends string | Buffer = string>(options: ScanOptions = {}): AsyncGenerator<K, void, undefined> {
    this.#client.refuseWhenClosed();
    return new Scan(this.#client, this.#view, scanArguments(options)).keys() as AsyncGenerator<K, void, undefined>;
  }

  /** Sends calls together; resolves to their results, in their order: a reply, or the error of that call as a value. */
  batch<const C extends readonly ScriptCall[]>(calls: C): Promise<BatchResults<C>>;
  /** Collects calls of any slots, to be sent together by `exec`: one write a node. Nothing is sent before. */
  batch(options?: BatchOptions): Batch;
  batch(calls?: readonly ScriptCall[] | BatchOptions): Batch | Promise<unknown> {
    const isList = Array.isArray(calls);
    const batch = new Batch(this.#host, isList ? {} : batchOptions(calls));
    if (!isList) return batch;
    try {
      addCalls(batch, calls);
    } catch (error) {
      return Promise.reject(error);
    }
    return batch.exec();
  }

  /**
   * Collects calls on the slot of `key`, to be executed as one transaction by `exec`. Nothing is sent before.
   * @see https://redis.io/docs/latest/develop/using-commands/transactions/
   */
  transaction(key: Argument): Transaction;
  /**
   * Watches keys of the slot of `key`, then calls `body` with a connection that reads, and executes what it returns: the
   * replies, or `null` when a watched key changed meanwhile. When the slot moved before anything was written, it starts
   * over, and `body` is called again. The view's `timeout` is for the whole. It has a connection of its own: at most 1,000 a
   * node, commands that block included, past that `QUEUE_FULL`.
   *
   * @throws {SlotwireError} `outcome` says whether the transaction may have run. What `body` throws is thrown as it is.
   * @see https://redis.io/docs/latest/develop/using-commands/transactions/#optimistic-locking-using-check-and-set
   */
  transaction<R extends readonly unknown[]>(
    key: Argument,
    options: { readonly watch: readonly Argument[] },
    body: WatchingBody<R>,
  ): Promise<Executed<R> | null>;
  transaction<R extends readonly unknown[]>(
    key: Argument,
    options?: { readonly watch: readonly Argument[] },
    body?: WatchingBody<R>,
  ): Transaction | Promise<Executed<R> | null> {
    const host = this.#host;
    if (options === undefined) return new Transaction(host, key);
    try {
      checkOptions("transaction", options, ["watch"]);
      if (!Array.isArray(options.watch) || options.watch.length === 0) {
        throw new InvalidArgumentError(`transaction: watch is ${kindOf(options.watch)}; accepted is an array of keys.`);
      }
      if (typeof body !== "function") {
        throw new InvalidArgumentError(`transaction: the third argument is ${kindOf(body)}; accepted is a function.`);
      }
      return runWatching(host, key, options.watch, body);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** A view of the same cluster with other defaults for its calls. Closing a view closes the cluster. */
  with(options: ViewOptions): Cluster {
    const view = viewOf(options, this.#view);
    if (view.readFrom !== "primary") this.#client.openReaders();
    return new Cluster(this.#client, view);
  }

  /**
   * Registers scripts and loads them on every node; libraries on every primary. One sick node never delays or fails the
   * others; one that is silent is waited for during `connectTimeout`.
   *
   * @returns What became of these scripts on each known node. A node that failed rejects nothing.
   * @throws {InvalidArgumentError} for what is neither a script nor a library; nothing was sent.
   * @see https://redis.io/docs/latest/commands/script-load/
   * @see https://redis.io/docs/latest/commands/function-load/
   */
  async preload(...scripts: readonly (Script | Library)[]): Promise<PreloadReport> {
    for (const script of scripts) {
      if (!isScript(script) && !isLibrary(script)) {
        throw new InvalidArgumentError(
          `preload: a script is ${kindOf(script)}; accepted is what defineScript or defineLibrary returns.`,
        );
      }
    }
    return Operation.run(this.#client, ownLimitsOf(this.#view), (operation) => {
      // Loads are on their way from now on.
      operation.outcome = "unknown";
      return this.#client.scripts.preload(scripts);
    });
  }

  /** For each known node, which of the scripts it is believed to hold, and which failed and why. */
  scripts(): PreloadReport {
    return this.#client.scripts.report();
  }

  /**
   * Figures of this client and all its views, counted since `connect`: plain data, a copy at each call.
   * How long calls take is measured only where `connect` was given `durations: true`.
   */
  metrics(): Metrics {
    return this.#client.metrics();
  }

  /** The current snapshot. Never altered, only replaced. */
  get topology(): Topology {
    return this.#client.topology;
  }

  /**
   * Asks the cluster for its topology now. Resolves when new nodes are connected and preloaded.
   *
   * @throws {UnavailableError} No node answered; a cause for each.
   * @see https://redis.io/docs/latest/commands/cluster-shards/
   */
  async refreshTopology(): Promise<void> {
    await Operation.run(this.#client, ownLimitsOf(this.#view), () => this.#client.refresh());
  }

  /**
   * Asks for the credentials again and renews the open connections with them. Provider and nodes have `connectTimeout` each.
   * @throws {AuthError}        A node refused them.
   * @throws {UnavailableError} The provider gave none, or a node did not confirm; a cause for each node.
   * @see https://redis.io/docs/latest/commands/auth/
   */
  async reauthenticate(): Promise<void> {
    await Operation.run(this.#client, ownLimitsOf(this.#view), (operation) => {
      operation.outcome = "unknown";
      return this.#client.reauthenticate(operation);
    });
  }

  /**
   * Calls `listener` at every `event`; returns the function that removes it. Listeners that throw harm nobody.
   * @throws {InvalidArgumentError} There is no such event, or the listener is no function.
   */
  on<E extends ClusterEvent>(event: E, listener: Listener<E>): () => void {
    if (!EVENT_NAMES.includes(event)) {
      const given = typeof event === "string" ? JSON.stringify(event) : kindOf(event);
      throw new InvalidArgumentError(`on: the event is ${given}; accepted are ${EVENT_NAMES.join(", ")}.`);
    }
    if (typeof listener !== "function") {
      throw new InvalidArgumentError(`on: the listener is ${kindOf(listener)}; accepted is a function.`);
    }
    return this.#client.emitter.on(event, listener);
  }

  /**
   * Refuses new calls, lets those in flight finish, and closes.
   * @param options  `timeout`: milliseconds after which calls that are still in flight are rejected. Default: their own
   *                 deadlines; calls that block for ever are rejected at once.
   */
  async close(options: { readonly timeout?: number | undefined } = {}): Promise<void> {
    checkOptions("close", options, ["timeout"]);
    const { timeout } = options;
    if (timeout !== undefined) checkTimeout(timeout);
    await this.#client.close(timeout);
  }

  /** Closes at once; every unsettled call rejects with `CLOSED`. */
  destroy(): void {
    this.#client.destroy();
  }

  /** `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Before anything is encoded or registered: whether a call may be made at all. Its signal, if it has one. */
  #check(options: CallOptions | undefined): AbortSignal | undefined {
    this.#client.refuseWhenClosed();
    if (options !== undefined) checkOptions("run", options, ["timeout", "signal"]);
    if (options?.timeout !== undefined) checkTimeout(options.timeout);
    const signal = options?.signal ?? this.#view.signal;
    if (signal === undefined) return undefined;
    checkSignal(signal);
    if (signal.aborted) throw new AbortedError("not-executed", signal.reason);
    return signal;
  }

  /** Nothing is sent before every part has been checked. */
  async #sendParts(name: string, { parts, join }: Division, signal: AbortSignal | undefined): Promise<Reply> {
    const sent = parts.map((args) => {
      const reply = new Promise<Reply>(capture);
      return { reply, call: this.#factory.command(name, args, this.#view.timeoutMs, resolveNext, undefined) };
    });
    for (const { call } of sent) this.#client.door.send(call, signal);
    return join(await Promise.allSettled(sent.map(({ reply }) => reply)));
  }

  #sendCommand<T>(name: string, args: readonly Argument[], signal: AbortSignal | undefined): Promise<T> {
    const promise = new Promise<T>(capture as never);
    this.#client.door.send(this.#factory.command(name, args, this.#view.timeoutMs, resolveNext, undefined), signal);
    return promise;
  }
}
