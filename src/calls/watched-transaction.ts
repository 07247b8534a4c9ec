import type { ByName, CommandResult } from "../commands/command-replies.ts";
import { backoffMs } from "../connection/backoff.ts";
import type { Connection } from "../connection/connection.ts";
import {
  ConnectionLostError,
  DeadlineError,
  InvalidArgumentError,
  ReplyError,
  SlotwireError,
  UnavailableError,
} from "../errors.ts";
import { argumentsOf, kindOf } from "../protocol/encode.ts";
import { slotOfKeys } from "../protocol/hash-slot.ts";
import type { Argument, CommandArguments } from "../protocol/reply.ts";
import { type Call, resultOf } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { RETRY_PAUSES } from "../routing/waiting-room.ts";
import type { Script, Values, WithArguments } from "../scripts/script.ts";
import { waitChannel } from "../telemetry/channels.ts";
import { countIn } from "../telemetry/counters.ts";
import { nextSeq } from "../telemetry/sequence.ts";
import type { Executed } from "./batch.ts";
import { type Host, limitsOf } from "./host.ts";
import { Operation } from "./operation.ts";
import { Transaction } from "./transaction.ts";
import { checkOptions, type stringsOf } from "./view.ts";
import { canStartOver, decideAfterAttempt } from "./watch-decisions.ts";
import { WatchSession } from "./watch-session.ts";
import { whileWriting, writtenBy } from "./written-keys.ts";

/** The argument of a watching transaction's function. It sends commands on the connection that watches the keys. */
export class Watching<S extends string | Buffer = string> {
  /** No property, but a mark for the compiler: the type of the strings of replies. */
  declare readonly [stringsOf]: S;
  readonly #host: Host;
  readonly #key: Argument;
  readonly #session: WatchSession;

  /** @internal */
  constructor(host: Host, key: Argument, session: WatchSession) {
    this.#host = host;
    this.#key = key;
    this.#session = session;
  }

  /** Sends a command at once. A command that writes is not part of the transaction: it takes effect by itself. */
  command<T = ByName, const N extends string = string, const A extends CommandArguments = CommandArguments>(
    name: N,
    ...args: A
  ): Promise<CommandResult<T, N, A, S>>;
  async command(name: string, ...given: CommandArguments): Promise<never> {
    const args = argumentsOf(given);
    // Keys that only a server can find are checked by the server.
    const keys = this.#host.factory.isUnlearned(name, args) ? [this.#key] : undefined;
    return this.#send(this.#host.factory.command(name, args, 0, nobody, nobody, keys));
  }

  /** Runs a script at once, loaded in the same write. The script's own writes are not part of the transaction. */
  async run<N extends number, T, A extends number>(
    script: Script<N, T, A>,
    keys: Values<N>,
    ...rest: WithArguments<A>
  ): Promise<T> {
    const [args = []] = rest;
    return this.#send(this.#host.factory.run(script, keys, args, 0, nobody, nobody));
  }

  /**
   * Begins the transaction that is executed if no watched key has changed. Return it from the function, without calling
   * `exec`.
   */
  multi(): Transaction<[], null, S> {
    return new Transaction(this.#host, this.#key, (frame, batch) => this.#session.execute(frame, batch));
  }

  async #send<T>(call: Call): Promise<T> {
    const { frame, kind, slot } = call;
    if (slot >= 0 && slot !== slotOfKeys([this.#key])) {
      throw new InvalidArgumentError("A command of a transaction must be on the slot of the transaction's key.");
    }
    const reply = await whileWriting(this.#host.client.cache, writtenBy([call]), slot, () =>
      this.#session.command(frame, kind),
    );
    return resultOf(kind, reply) as T;
  }
}

/** The function of a watching transaction. It is called again when the slot moved before anything was written. */
export type WatchingBody<R extends readonly unknown[], S extends string | Buffer = string> = (
  tx: Watching<S>,
) => Promise<Transaction<R, null, S>>;

/**
 * Watches `keys`, calls `body`, and executes the transaction that `body` returns. Resolves to the replies, or to null
 * when a watched key has changed. The deadline, the signal and the end of the client end the whole, whatever `body` is
 * doing.
 */
async function runWatching<R extends readonly unknown[]>(
  host: Host,
  key: Argument,
  keys: readonly Argument[],
  body: WatchingBody<R>,
): Promise<Executed<R> | null> {
  const { client, view } = host;
  const { counters } = client.telemetry;
  const limits = { ...limitsOf(view), particulars: { command: "WATCH", slot: slotOfKeys([key, ...keys]) } };
  const watching = Operation.run(client, limits, (operation) => {
    counters.calls++;
    return new WatchingRun(host, operation, key, keys, body).result();
  });
  try {
    const replies = await watching;
    counters.replies++;
    return replies;
  } catch (error) {
    countIn(counters.errors, error instanceof SlotwireError ? error.code : "OTHER");
    if (error instanceof DeadlineError) countIn(counters.deadlines, error.waited);
    throw error;
  }
}

/** The node on which a session begins. */
interface Place {
  readonly node: ClusterNode;
  readonly asking: boolean;
}

/**
 * WATCH, the user's function, then MULTI to EXEC, on a connection of its own. A session that can have written nothing
 * starts over on the node that serves the slot by then.
 *
 *   owner --> open, WATCH --> body --> MULTI ... EXEC --> done
 *     ^           '---- refused, or lost before EXEC ---'
 *     '-- backoff, then a read through the dispatcher: who serves the keys now?
 */
class WatchingRun<R extends readonly unknown[]> {
  readonly #host: Host;
  readonly #operation: Operation;
  readonly #key: Argument;
  readonly #keys: readonly Argument[];
  readonly #slot: number;
  readonly #body: WatchingBody<R>;

  constructor(host: Host, operation: Operation, key: Argument, keys: readonly Argument[], body: WatchingBody<R>) {
    this.#host = host;
    this.#operation = operation;
    this.#key = key;
    this.#keys = keys;
    this.#slot = slotOfKeys([key, ...keys]);
    this.#body = body;
  }

  async result(): Promise<Executed<R> | null> {
    const { client } = this.#host;
    const owner = client.dispatcher.ownerOf(this.#slot);
    // A session counts for its node, and between two the transaction counts for no node. So a transaction is refused
    // where no more of these may wait. The look for an owner counts by itself.
    client.door.hold(0)();
    let countOut = nobody;
    try {
      // The look for an owner is refused where the owner is unavailable.
      let place = owner?.pool.isUnavailable === false ? { node: owner, asking: false } : await this.#locate();
      for (let starts = 1; ; starts++) {
        countOut();
        countOut = nobody;
        const outcome = await this.#attempt(place, starts);
        if ("result" in outcome) return outcome.result;
        countOut = client.door.hold(0, true);
        this.#operation.lastRefusal = outcome.failure;
        await this.#operation.pause(backoffMs(starts - 1, RETRY_PAUSES, client.environment.random()));
        place = await this.#locate();
      }
    } finally {
      countOut();
    }
  }

  /** One session. Resolves to its result, or to the failure after which a new session has to begin. */
  async #attempt(
    { node, asking }: Place,
    starts: number,
  ): Promise<{ readonly result: Executed<R> | null } | { readonly failure: unknown }> {
    const { client } = this.#host;
    const operation = this.#operation;
    const handedAt = waitChannel.hasSubscribers ? client.environment.clock.now() : undefined;
    let opened: Connection | undefined;
    let session: WatchSession | undefined;
    operation.outcome = "not-executed";
    // From the moment on at which the operation's outcome is said, nothing is sent.
    operation.onEnd(() => {
      if (operation.error !== undefined) opened?.close(operation.error);
    });
    try {
      const loan = await operation.wait(
        node.pool.dedicated.lend((connection) => {
          opened = connection;
          // A loan comes late while the sockets are read first. The operation may have ended meanwhile.
          if (operation.error !== undefined) connection.close(operation.error);
        }),
      );
      if (handedAt !== undefined) {
        waitChannel.publish({
          seq: nextSeq(),
          client: client.telemetry.client,
          call: undefined,
          address: node.address,
          waitedMs: client.environment.clock.now() - handedAt,
        });
      }
      session = new WatchSession({
        client: client.telemetry.client,
        door: client.door,
        loan,
        node,
        slot: this.#slot,
        asking,
        onMayRun: () => {
          operation.outcome = "unknown";
        },
      });
      await operation.wait(session.watch(this.#keys));
      return { result: await operation.wait(this.#transactionOf(session)) };
    } catch (failure) {
      if (operation.error !== undefined) {
        opened?.close(operation.error);
        throw operation.error;
      }
      const next = decideAfterAttempt({
        starts,
        sessionCanStartOver: session && canStartOver(session.state, failure instanceof ConnectionLostError),
        failure,
      });
      if (next === "reject") throw session === undefined ? withoutConnection(node, failure) : failure;
      return { failure };
    } finally {
      session?.end();
    }
  }

  async #transactionOf(session: WatchSession): Promise<Executed<R> | null> {
    const built: unknown = await this.#body(new Watching(this.#host, this.#key, session));
    if (!(built instanceof Transaction)) {
      throw new InvalidArgumentError(
        `transaction: the function returned ${kindOf(built)}; accepted is what tx.multi() and its calls return.`,
      );
    }
    return (built as Transaction<R, null>).exec();
  }

  /** Finds the node that serves the keys now, by a read that follows every redirection. */
  #locate(): Promise<Place> {
    const { factory, view } = this.#host;
    return new Promise((resolve, reject) => {
      const keys = [...new Set([this.#key, ...this.#keys])];
      const found = () => resolve({ node: probe.node as ClusterNode, asking: probe.asking });
      const failed = (error: Error) => {
        // The question is lost, and nothing of the transaction was sent.
        const isLost = error instanceof ConnectionLostError;
        reject(isLost ? new ConnectionLostError(error.address ?? "", "not-executed", error.cause) : error);
      };
      const probe = factory.onPrimary("EXISTS", keys, view.timeoutMs, found, failed);
      this.#operation.ask(probe);
    });
  }
}

/** The error of a transaction that got no connection, however often it started over. */
function withoutConnection({ address }: ClusterNode, failure: unknown): unknown {
  // What a server says to a new connection (LOADING, too many clients) answers no call.
  if (failure instanceof SlotwireError && !(failure instanceof ReplyError)) return failure;
  return new UnavailableError(`No connection to ${address} could be had`, new Map([[address, failure]]));
}

/** The session sends the frames of these calls itself, so nobody waits for the calls. */
const nobody = () => {};

/** Checks what `transaction` was given, and carries it out. Rejects with `InvalidArgumentError` before anything is sent. */
export async function watchedTransaction<R extends readonly unknown[], S extends string | Buffer>(
  host: Host,
  key: Argument,
  options: { readonly watch: readonly Argument[] },
  body: WatchingBody<R, S> | undefined,
): Promise<Executed<R> | null> {
  checkOptions("transaction", options, ["watch"]);
  if (!Array.isArray(options.watch) || options.watch.length === 0) {
    throw new InvalidArgumentError(`transaction: watch is ${kindOf(options.watch)}; accepted is an array of keys.`);
  }
  if (typeof body !== "function") {
    throw new InvalidArgumentError(`transaction: the third argument is ${kindOf(body)}; accepted is a function.`);
  }
  // What strings of replies are in the view concerns the types alone.
  return runWatching(host, key, options.watch, body as unknown as WatchingBody<R>);
}
