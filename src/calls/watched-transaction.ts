import { backoffMs } from "../connection/backoff.ts";
import type { Connection } from "../connection/connection.ts";
import {
  AbortedError,
  AuthError,
  ClosedError,
  DeadlineError,
  InvalidArgumentError,
  type Outcome,
  QueueFullError,
  SlotwireError,
} from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import { slotOfKeys } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { type Call, resultOf } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Script, Values, WithArguments } from "../scripts/script.ts";
import { countIn } from "../telemetry/counters.ts";
import type { Executed } from "./batch.ts";
import { Transaction, type TransactionHost } from "./transaction.ts";
import { isUnlearned } from "./unlisted-commands.ts";
import { WatchSession } from "./watch-session.ts";

/** How often a session that was refused starts over. */
const MAX_STARTS = 32;
const RETRY = { firstMs: 4, mostMs: 100 };

/** What a watching transaction's function gets: reads on the connection that watches the keys. */
export class Watching {
  readonly #host: TransactionHost;
  readonly #key: Argument;
  readonly #session: WatchSession;

  /** @internal */
  constructor(host: TransactionHost, key: Argument, session: WatchSession) {
    this.#host = host;
    this.#key = key;
    this.#session = session;
  }

  /** Sends a command at once. One that writes is not part of the transaction: it takes effect by itself. */
  async command<T = Reply>(name: string, ...args: readonly Argument[]): Promise<T> {
    // Keys that are not known are the server's to check.
    const keys = isUnlearned(this.#host.client, name, args) ? [this.#key] : undefined;
    return this.#send(this.#host.factory.command(name, args, 0, nobody, nobody, keys));
  }

  /** Runs a script at once, loaded in the same write. What it writes is not part of the transaction. */
  async run<N extends number, T, A extends number>(
    script: Script<N, T, A>,
    keys: Values<N>,
    ...rest: WithArguments<A>
  ): Promise<T> {
    const [args = []] = rest;
    return this.#send(this.#host.factory.run(script, keys, args, 0, nobody, nobody));
  }

  /** Begins what is to be executed if no watched key has changed. Return it from the function, as it is. */
  multi(): Transaction<[], null> {
    return new Transaction(this.#host, this.#key, (frame) => this.#session.execute(frame));
  }

  async #send<T>({ frame, kind, slot }: Call): Promise<T> {
    if (slot >= 0 && slot !== slotOfKeys([this.#key])) {
      throw new InvalidArgumentError("A command of a transaction must be on the slot of the transaction's key.");
    }
    return resultOf(kind, await this.#session.command(frame, kind)) as T;
  }
}

/** The function of a watching transaction. It runs again when the slot moved before anything was written. */
export type WatchingBody<R extends readonly unknown[]> = (tx: Watching) => Promise<Transaction<R, null>>;

/**
 * WATCH, the function, then MULTI to EXEC, on a connection of its own. A session of which nothing can have run starts over
 * where the slot is by then.
 *
 *   owner --> open, WATCH --> body --> MULTI ... EXEC --> done
 *     ^           '---- refused, or lost before EXEC ---'
 *     '-- backoff, then a read through the dispatcher: who serves the keys now?
 */
export class WatchingRun<R extends readonly unknown[]> {
  readonly #host: TransactionHost;
  readonly #key: Argument;
  readonly #keys: readonly Argument[];
  readonly #slot: number;
  readonly #body: WatchingBody<R>;
  readonly #endsAt: number;
  #session: WatchSession | undefined;
  /** The connection under way or in use, to be closed early. */
  #connection: Connection | undefined;
  #ended: SlotwireError | undefined;
  /** Why it had to start over last. */
  #refusal: unknown;

  constructor(host: TransactionHost, key: Argument, keys: readonly Argument[], body: WatchingBody<R>) {
    this.#host = host;
    this.#key = key;
    this.#keys = keys;
    this.#slot = slotOfKeys([key, ...keys]);
    this.#body = body;
    const { timeoutMs } = host.view;
    this.#endsAt = timeoutMs === 0 ? Number.POSITIVE_INFINITY : host.client.environment.clock.now() + timeoutMs;
  }

  /** To its end, its deadline, its abort, or the end of the client, whichever comes first. */
  async result(): Promise<Executed<R> | null> {
    const { client, view } = this.#host;
    const { signal, timeoutMs } = view;
    if (signal?.aborted) throw new AbortedError("not-executed", signal.reason);
    const { clock } = client.environment;
    const { counters } = client.telemetry;
    counters.calls++;
    let isOver = false;
    let stopWaiting = () => {};
    const running = new Promise<Executed<R> | null>((resolve, reject) => {
      const end = (errorOf: (outcome: Outcome) => SlotwireError) => {
        if (isOver || this.#ended !== undefined) return;
        this.#ended = errorOf(this.#session?.execSent ? "unknown" : "not-executed");
        this.#connection?.close(this.#ended);
        reject(this.#ended);
      };
      const abort = () => end((outcome) => new AbortedError(outcome, signal?.reason));
      signal?.addEventListener("abort", abort, { once: true });
      const late = () =>
        end((outcome) => new DeadlineError(timeoutMs, outcome, outcome === "unknown" ? undefined : this.#refusal));
      // Replies that have arrived win over a deadline that passed while the event loop was busy.
      const timer = timeoutMs === 0 ? undefined : clock.setTimer(() => clock.afterReads(late), timeoutMs);
      const untrack = client.track(() => end((outcome) => new ClosedError(outcome)));
      stopWaiting = () => {
        isOver = true;
        signal?.removeEventListener("abort", abort);
        timer?.cancel();
        untrack();
      };
      this.#run().then(resolve, reject);
    });
    // Not when the function ends: that may be never.
    return running.finally(stopWaiting).then(
      (replies) => {
        counters.replies++;
        return replies;
      },
      (error: unknown) => {
        countIn(counters.errors, error instanceof SlotwireError ? error.code : "OTHER");
        throw error;
      },
    );
  }

  async #run(): Promise<Executed<R> | null> {
    const { clock, random } = this.#host.client.environment;
    const owner = this.#host.client.dispatcher.ownerOf(this.#slot);
    let where = owner ? { node: owner, asking: false } : await this.#locate();
    for (let start = 1; ; start++) {
      const outcome = await this.#attempt(where.node, where.asking);
      if ("result" in outcome) return outcome.result;
      this.#refusal = outcome.failure;
      if (this.#ended) throw this.#ended;
      if (start === MAX_STARTS) throw outcome.failure;
      await new Promise<void>((resolve) => clock.setTimer(resolve, backoffMs(start - 1, RETRY, random())));
      if (this.#ended) throw this.#ended;
      where = await this.#locate();
      if (this.#ended) throw this.#ended;
    }
  }

  async #attempt(
    node: ClusterNode,
    asking: boolean,
  ): Promise<{ readonly result: Executed<R> | null } | { readonly failure: unknown }> {
    let session: WatchSession | undefined;
    try {
      const loan = await node.pool.dedicated.lend((connection) => {
        this.#connection = connection;
      });
      session = new WatchSession(loan, node, this.#slot, asking);
      this.#session = session;
      if (this.#ended) throw this.#ended;
      await session.watch(this.#keys);
      const built: unknown = await this.#body(new Watching(this.#host, this.#key, session));
      if (!(built instanceof Transaction)) {
        throw new InvalidArgumentError(
          `transaction: the function gave ${kindOf(built)}; accepted is what tx.multi() and its calls give.`,
        );
      }
      return { result: await (built as Transaction<R, null>).exec() };
    } catch (failure) {
      // No connection was to be had: without the credentials, or past the bound, there is none the next time either.
      const isFinal = failure instanceof AuthError || failure instanceof QueueFullError;
      if (session === undefined ? !isFinal : session.canStartOver(failure)) return { failure };
      throw failure;
    } finally {
      this.#session = undefined;
      // It may be another's from now on.
      this.#connection = undefined;
      session?.end();
    }
  }

  /** A read finds out, through every redirection and wait, who serves the keys now. */
  async #locate(): Promise<{ node: ClusterNode; asking: boolean }> {
    const { client, factory } = this.#host;
    const leftMs = Math.ceil(this.#endsAt - client.environment.clock.now());
    return new Promise((resolve, reject) => {
      const keys = [...new Set([this.#key, ...this.#keys])];
      const found = () => resolve({ node: probe.node as ClusterNode, asking: probe.asking });
      const probe = factory.onPrimary(
        "EXISTS",
        keys,
        leftMs === Number.POSITIVE_INFINITY ? 0 : Math.max(1, leftMs),
        found,
        reject,
      );
      client.sendAll([probe], undefined);
    });
  }
}

/** Its calls are sent by the session, not by themselves, so nobody waits for them. */
const nobody = () => {};
