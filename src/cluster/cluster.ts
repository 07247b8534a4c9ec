import { addCalls, Batch, type BatchOptions, type BatchResults, batchOptions, type Executed } from "../calls/batch.ts";
import { CachedReads } from "../calls/cached-reads.ts";
import { CallFactory, naming, namingScript } from "../calls/call-factory.ts";
import { type Host, ownLimitsOf } from "../calls/host.ts";
import { OneNode } from "../calls/one-node.ts";
import { Operation } from "../calls/operation.ts";
import { carryOut, sendParts } from "../calls/planned-command.ts";
import { Scan, type ScanOptions, scanArguments } from "../calls/scan.ts";
import { type SubscribeArguments, subscribe } from "../calls/subscribe.ts";
import { Transaction } from "../calls/transaction.ts";
import type { CallOptions, StringsAs, StringsOf, stringsOf, ViewOptions, ViewSettings } from "../calls/view.ts";
import { checkCallOptions, checkOptions, checkTimeout, viewOf } from "../calls/view.ts";
import { type WatchingBody, watchedTransaction } from "../calls/watched-transaction.ts";
import type { Client } from "../client/client.ts";
import { type ClusterEvent, checkListener, type Listener } from "../client/events.ts";
import type { Metrics } from "../client/metrics.ts";
import { checkScripts, type PreloadReport } from "../client/script-store.ts";
import type { ByName, CommandResult } from "../commands/command-replies.ts";
import { AbortedError } from "../errors.ts";
import { argumentsOf } from "../protocol/encode.ts";
import type { Argument, CommandArguments } from "../protocol/reply.ts";
import type { Library } from "../scripts/library.ts";
import type { Script, ScriptCall, Values, WithArguments } from "../scripts/script.ts";
import type { Subscription } from "../subscriptions/subscription.ts";
import type { Topology } from "../topology/topology.ts";

const NO_ARGUMENTS: readonly Argument[] = [];

// One function takes the `resolve` of every promise, because a closure for each call would cost more than the promise.
// `reject` is not kept, which makes a call in flight 72 bytes smaller.
let resolveNext: (value: never) => void;
const capture = (resolve: (value: never) => void) => {
  resolveNext = resolve;
};

/** A connected cluster, made by `connect`. `with` makes views of the same cluster, which share its connections. */
export class Cluster<S extends string | Buffer = string> {
  /** No property, but a mark for the compiler: the type of the strings of replies. */
  declare readonly [stringsOf]: S;
  readonly #client: Client;
  readonly #view: ViewSettings;
  readonly #factory: CallFactory;
  readonly #host: Host;
  /** Undefined for a view that is not cached. */
  readonly #cached: CachedReads | undefined;

  /** @internal */
  constructor(client: Client, view: ViewSettings) {
    this.#client = client;
    this.#view = view;
    this.#factory = new CallFactory(client, view);
    this.#host = { client, factory: this.#factory, view };
    this.#cached = view.cached && client.cache !== undefined ? new CachedReads(this.#host, client.cache) : undefined;
  }

  /** @internal */
  static clientOf(cluster: Cluster<string | Buffer>): Client {
    return cluster.#client;
  }

  /**
   * Runs a script by its SHA-1 on the node that owns `keys`; without keys, on any primary. The call takes one round
   * trip, and one more if the node forgot the script. A script that was not preloaded is loaded in the same write and
   * stays registered; of the scripts that were not preloaded, the last 1,000 do.
   *
   * @param keys  The keys, all in one hash slot.
   * @param rest  An array of the arguments, sent as bulk strings, numbers as decimal text; then `CallOptions`.
   * @returns     The script's reply (see `Reply`), or the result of its `parse`.
   * @throws {CrossSlotError}       The keys are in different slots; nothing was sent.
   * @throws {InvalidArgumentError} Wrong number of keys, unsendable value, or over 512 MiB in all; nothing was sent.
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
      if (this.#cached !== undefined) {
        return this.#cached.run(script, keys, args, timeoutMs, signal) as Promise<T>;
      }
      const promise = new Promise<T>(capture as never);
      this.#client.door.send(this.#factory.run(script, keys, args, timeoutMs, resolveNext, undefined), signal);
      return promise;
    } catch (error) {
      return Promise.reject(namingScript(error, script));
    }
  }

  /**
   * Sends any other command to the node that owns its keys; without keys, to any primary.
   *
   * Commands for many nodes (`SCRIPT`, `FLUSHALL`, `DBSIZE`, `KEYS` and so on) go to all nodes or to all primaries. MGET,
   * MSET, DEL, UNLINK, EXISTS and TOUCH over several slots go in parts, not atomically. The replies are joined into one.
   * When a part fails, the whole call is rejected with the error of that part, after all parts have ended; `outcome` is
   * `executed` if any part ran. If no table lists the command, a server is asked where its keys are: the first such call
   * waits, and may be written after calls that were made later. SCAN is refused: use `scan`. When a connection is lost, a
   * command that was written is sent again only if the server flags it `readonly`.
   *
   * A command that blocks (`BLPOP`, `XREAD` with `BLOCK` and so on) has a connection of its own; a node takes at most
   * 1,000. Its deadline is its blocking time plus `commandTimeout`; if it blocks for ever, it has none. A `timeout` of the
   * view limits the whole. An abort or a deadline closes the connection: an element that was popped just before is lost,
   * and `outcome` is `unknown`. `WAIT` counts the replicas that have all calls that were answered before.
   *
   * @param name  One word, in either case; further words are arguments: `command("CONFIG", "GET", "save")`.
   * @param args  Sent as bulk strings, numbers as decimal text. One array of any length in their place will do.
   * @returns The reply in the shape of RESP2: for `HGETALL`, an array of fields and values in turn. Its type is that of
   *   `CommandReplies` for the name; `command<T>` says another one.
   * @throws {InvalidArgumentError} An unsendable value, over 512 MiB in all, or a command that would change a shared
   *                                connection (`SUBSCRIBE`, `MULTI`, `SELECT` and so on); nothing was sent.
   * @throws {CrossSlotError}       Keys in different slots, of a command that has no parts; nothing was sent.
   * @throws {ReplyError}           The server answered with an error.
   * @throws {SlotwireError}        Any other failure; `outcome` says whether the command may have run.
   * @see https://redis.io/docs/latest/commands/
   */
  command<T = ByName, const N extends string = string, const A extends CommandArguments = CommandArguments>(
    name: N,
    ...args: A
  ): Promise<CommandResult<T, N, A, S>>;
  command(name: string, ...given: CommandArguments): Promise<unknown> {
    try {
      if (this.#cached !== undefined) return this.#cached.command(name, given, this.#check(undefined));
      const args = argumentsOf(given);
      const signal = this.#check(undefined);
      const plan = this.#factory.planOf(name, args);
      if (plan.kind === "one") return this.#sendCommand(name, args, signal);
      if (plan.kind === "parts") return sendParts(this.#host, name, plan.division, signal);
      return carryOut(this.#host, plan, name, args);
    } catch (error) {
      return Promise.reject(naming(error, name));
    }
  }

  /**
   * Iterates over the keys of all primaries by SCAN: `for await (const key of cluster.scan({ match: "user:*" }))`.
   * A key that exists from the first step to the last comes at least once, even if its slot moves or its primary fails
   * over, because slots that moved are scanned again on their new node. As with SCAN itself, a key may come more than once,
   * in any order; one that is added or removed meanwhile may come or not. With `replies: "buffer"` in the view, keys are
   * Buffers. The view's `timeout` and `signal` hold for each step. A loop may be ended early.
   *
   * @throws {InvalidArgumentError} An option is wrong. Thrown at once; nothing was sent.
   * @throws {UnavailableError}     While iterating: a slot has no owner, or does not stop moving.
   * @throws {SlotwireError}        While iterating: a step failed.
   * @see https://redis.io/docs/latest/commands/scan/
   */
  scan<K extends string | Buffer = S>(options: ScanOptions = {}): AsyncGenerator<K, void, undefined> {
    this.#client.refuseWhenClosed();
    return new Scan(this.#client, this.#view, scanArguments(options)).keys() as AsyncGenerator<K, void, undefined>;
  }

  /**
   * Sends calls together. Resolves to an array in the order of the calls: a reply, or the error of that call as a
   * value. The calls of each key run in call order.
   */
  batch<const C extends readonly ScriptCall[]>(calls: C): Promise<BatchResults<C>>;
  /** Collects calls of any slots. `exec` sends them together, in one write for each node. No call is sent before. */
  batch(options?: BatchOptions): Batch<[], S>;
  batch(calls?: readonly ScriptCall[] | BatchOptions): Batch<[], S> | Promise<unknown> {
    const isList = Array.isArray(calls);
    const batch = new Batch<[], S>(this.#host, isList ? {} : batchOptions(calls));
    if (!isList) return batch;
    try {
      addCalls(batch, calls);
    } catch (error) {
      return Promise.reject(error);
    }
    return batch.exec();
  }

  /**
   * Collects calls on the slot of `key`. `exec` executes them as one transaction. No call is sent before.
   * @see https://redis.io/docs/latest/develop/using-commands/transactions/
   */
  transaction(key: Argument): Transaction<[], never, S>;
  /**
   * Watches keys of the slot of `key`, calls `body`, which reads on the same connection, and executes the transaction
   * that `body` returns. Resolves to the replies, or to `null` when a watched key has changed meanwhile. If the slot
   * moved before anything was written, the whole starts over, and `body` is called again. The view's `timeout` limits
   * the whole. The transaction has a connection of its own: a node takes at most 1,000 of these, commands that block
   * included, then `QUEUE_FULL`.
   *
   * @throws {SlotwireError} `outcome` says whether the transaction may have run. Errors of `body` come unchanged.
   * @see https://redis.io/docs/latest/develop/using-commands/transactions/#optimistic-locking-using-check-and-set
   */
  transaction<R extends readonly unknown[]>(
    key: Argument,
    options: { readonly watch: readonly Argument[] },
    body: WatchingBody<R, S>,
  ): Promise<Executed<R> | null>;
  transaction<R extends readonly unknown[]>(
    key: Argument,
    options?: { readonly watch: readonly Argument[] },
    body?: WatchingBody<R, S>,
  ): Transaction<[], never, S> | Promise<Executed<R> | null> {
    if (options === undefined) return new Transaction(this.#host, key);
    return watchedTransaction(this.#host, key, options, body);
  }

  /**
   * Subscribes to channels. PUBLISH reaches them wherever it is sent, so one node serves them all, and another one when it
   * is lost. Resolves when the servers have confirmed every channel. Whenever messages may have been missed, `onGap` tells.
   *
   * @param given  One channel or several in an array; a listener, which gets each message; then `SubscribeOptions`. Without
   *   a listener, the subscription is iterated.
   * @throws {InvalidArgumentError} A wrong argument; nothing was sent.
   * @throws {ReplyError}           The user may not hear a channel.
   * @throws {SlotwireError}        The deadline passed, the signal was aborted, or the client was closed.
   * @see https://redis.io/docs/latest/commands/subscribe/
   */
  subscribe<M extends string | Buffer = S>(...given: SubscribeArguments<M>): Promise<Subscription<M>> {
    return subscribe(this.#host, "channel", given);
  }

  /**
   * Subscribes to all channels that match patterns, as `subscribe` does. A message that matches two comes for each.
   * @see https://redis.io/docs/latest/commands/psubscribe/
   */
  psubscribe<M extends string | Buffer = S>(...given: SubscribeArguments<M>): Promise<Subscription<M>> {
    return subscribe(this.#host, "pattern", given);
  }

  /**
   * Subscribes to sharded channels of any slots, as `subscribe` does. Each is heard from the owner of its slot, wherever
   * the slot moves. Servers from 7.0 on have them.
   * @see https://redis.io/docs/latest/commands/ssubscribe/
   */
  ssubscribe<M extends string | Buffer = S>(...given: SubscribeArguments<M>): Promise<Subscription<M>> {
    return subscribe(this.#host, "shard", given);
  }

  /**
   * Hears the keyspace events of keys that match patterns, from every primary: a message's channel is
   * `__keyspace@<db>__:` and the key, its payload the name of the event. A pattern that begins with `__keyspace@` or
   * `__keyevent@` is sent as it is.
   * @throws {InvalidArgumentError} Also where a server's `notify-keyspace-events` is empty.
   * @see https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/
   */
  keyspaceEvents<M extends string | Buffer = S>(...given: SubscribeArguments<M>): Promise<Subscription<M>> {
    return subscribe(this.#host, "keyspace", given);
  }

  /**
   * One node of the topology, for commands that are about a node: `cluster.node(address).command("INFO")`.
   * @param address  As announced, as in `topology.nodes`.
   * @throws {InvalidArgumentError} The topology has no such node.
   */
  node(address: string): OneNode<S> {
    return new OneNode(this.#host, address);
  }

  /**
   * A view of the same cluster with other defaults for its calls. Closing a view closes the cluster.
   * @throws {InvalidArgumentError} An option is wrong.
   */
  with<R extends StringsAs | undefined = undefined>(options: ViewOptions<R>): Cluster<StringsOf<R, S>> {
    const view = viewOf(options, this.#view, this.#client.cache !== undefined);
    if (view.readFrom !== "primary") this.#client.readFrom(view.readFrom);
    return new Cluster(this.#client, view);
  }

  /**
   * Registers scripts and libraries for good. Loads scripts on every node, and libraries on every primary. A node that
   * fails does not affect the others. A node that is silent is waited for during `connectTimeout`. A `timeout` and a
   * `signal` of the view hold for the whole.
   *
   * @returns For each known node, the scripts that it holds and those that failed. A node that fails rejects nothing.
   * @throws {InvalidArgumentError} A value is neither a script nor a library; nothing was sent.
   * @throws {SlotwireError}        The deadline passed, the signal was aborted, or the client was closed.
   * @see https://redis.io/docs/latest/commands/script-load/
   * @see https://redis.io/docs/latest/commands/function-load/
   */
  async preload(...scripts: readonly (Script | Library)[]): Promise<PreloadReport> {
    checkScripts(scripts);
    return Operation.run(this.#client, ownLimitsOf(this.#view), (operation) => {
      // From now on, loads are on their way.
      operation.outcome = "unknown";
      return this.#client.scripts.preload(scripts);
    });
  }

  /** For each known node, the scripts that it is believed to hold, and the scripts that failed, with their causes. */
  scripts(): PreloadReport {
    return this.#client.scripts.report();
  }

  /**
   * The counters of this client and all its views since `connect`, and the state of each node. The result is plain
   * data, a new copy at each call. The durations of calls are measured only if `connect` was given `durations: true`.
   */
  metrics(): Metrics {
    return this.#client.metrics();
  }

  /** The current snapshot of the topology. A snapshot never changes; a new one replaces it. */
  get topology(): Topology {
    return this.#client.topology;
  }

  /**
   * Asks the cluster for its topology now. Resolves when new nodes are connected and preloaded. A node that is silent
   * is waited for during `connectTimeout`. A `timeout` and a `signal` of the view hold for the whole.
   *
   * @throws {UnavailableError} No node answered; a cause for each node.
   * @throws {SlotwireError}    The deadline passed, the signal was aborted, or the client was closed.
   * @see https://redis.io/docs/latest/commands/cluster-shards/
   */
  async refreshTopology(): Promise<void> {
    await Operation.run(this.#client, ownLimitsOf(this.#view), () => this.#client.refresh());
  }

  /**
   * Asks for the credentials again and logs in with them on every open connection. The provider and each node have
   * `connectTimeout`. A `timeout` and a `signal` of the view hold for the whole.
   *
   * @throws {InvalidArgumentError} There are no credentials.
   * @throws {AuthError}            A node refused the credentials.
   * @throws {UnavailableError}     The provider failed, or a node did not confirm; a cause for each node.
   * @throws {SlotwireError}        The deadline passed, the signal was aborted, or the client was closed.
   * @see https://redis.io/docs/latest/commands/auth/
   */
  async reauthenticate(): Promise<void> {
    await Operation.run(this.#client, ownLimitsOf(this.#view), (operation) => this.#client.reauthenticate(operation));
  }

  /**
   * Calls `listener` at every `event`. Returns the function that removes it. A listener that throws harms nobody.
   * @throws {InvalidArgumentError} There is no such event, or the listener is not a function.
   */
  on<E extends ClusterEvent>(event: E, listener: Listener<E>): () => void {
    checkListener(event, listener);
    return this.#client.emitter.on(event, listener);
  }

  /**
   * Calls `listener` at the next `event` only. `events.once(cluster, event)` of Node uses it. No event is called "error":
   * such a listener is accepted and never called.
   */
  once(event: ClusterEvent | "error", listener: (...payload: never[]) => void): this {
    this.#client.emitter.once(event, listener);
    return this;
  }

  /** Removes a listener of `on` or `once`. */
  off(event: ClusterEvent | "error", listener: (...payload: never[]) => void): this {
    this.#client.emitter.off(event, listener);
    return this;
  }

  /** The same as `off`. */
  readonly removeListener = this.off;

  /**
   * Refuses new calls, waits for the calls and operations under way, and closes.
   * @param options  `timeout`: milliseconds after which calls that are still under way are rejected with `CLOSED`.
   *                 Default: no limit but the calls' own deadlines. Then calls that block without a limit and have no
   *                 deadline are rejected at once.
   * @throws {InvalidArgumentError} An option is wrong.
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

  /** Closes as `close()` does, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Checks whether a call may be made, before it is encoded or registered. Returns its signal, if it has one. */
  #check(options: CallOptions | undefined): AbortSignal | undefined {
    this.#client.refuseWhenClosed();
    if (options !== undefined) checkCallOptions(options);
    const signal = options?.signal ?? this.#view.signal;
    if (signal?.aborted) throw new AbortedError("not-executed", signal.reason);
    return signal;
  }

  #sendCommand(name: string, args: readonly Argument[], signal: AbortSignal | undefined): Promise<unknown> {
    const promise = new Promise(capture as never);
    this.#client.door.send(this.#factory.command(name, args, this.#view.timeoutMs, resolveNext, undefined), signal);
    return promise;
  }
}
