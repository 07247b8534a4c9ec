import type { ByName, CommandResult } from "../commands/command-replies.ts";
import { traitsOf } from "../commands/traits.ts";
import { InvalidArgumentError, type SlotwireError } from "../errors.ts";
import { argumentsOf } from "../protocol/encode.ts";
import { slotOfKeys } from "../protocol/hash-slot.ts";
import type { Argument, CommandArguments } from "../protocol/reply.ts";
import { type Call, makeCall } from "../routing/call.ts";
import { TransactionFrame } from "../routing/transaction-frame.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import type { Script, Values, WithArguments } from "../scripts/script.ts";
import { tracedBatch } from "../telemetry/call-trace.ts";
import type { BatchContext } from "../telemetry/channels.ts";
import type { Executed } from "./batch.ts";
import type { Host } from "./host.ts";
import type { stringsOf } from "./view.ts";
import { whileWriting, writtenBy } from "./written-keys.ts";

/** Sends a transaction on a connection that watches keys, in place of the dispatcher. */
export type Executor = (frame: TransactionFrame, batch: BatchContext | undefined) => Promise<unknown[] | null>;

/**
 * Collects calls on the slot of one key, then sends MULTI, the calls and EXEC in one write. Each distinct script is
 * loaded inside the MULTI, so that no script can be missing while the other calls commit.
 */
export class Transaction<
  R extends readonly unknown[] = [],
  Watched extends null = never,
  S extends string | Buffer = string,
> {
  /** No property, but a mark for the compiler: the type of the strings of replies. */
  declare readonly [stringsOf]: S;
  readonly #host: Host;
  readonly #key: Argument;
  readonly #executor: Executor | undefined;
  readonly #parts: Call[] = [];
  #executed = false;

  /** @internal */
  constructor(host: Host, key: Argument, executor?: Executor) {
    this.#host = host;
    this.#key = key;
    this.#executor = executor;
    slotOfKeys([key]);
  }

  /** Calls collected so far. */
  get size(): number {
    return this.#parts.length;
  }

  /**
   * Adds a call of a script.
   * @throws {InvalidArgumentError} The call is wrong; it is not added.
   * @throws {CrossSlotError}       A key in another slot than the transaction's.
   */
  run<N extends number, T, A extends number>(
    script: Script<N, T, A>,
    keys: Values<N>,
    ...rest: WithArguments<A>
  ): Transaction<[...R, T | SlotwireError], Watched, S>;
  run(script: Script, keys: readonly Argument[], args: readonly Argument[] = []): unknown {
    return this.#add(keys, () => this.#host.factory.run(script, keys, args, 0, nobody, nobody));
  }

  /**
   * Adds any other command.
   * @throws {InvalidArgumentError} The command is wrong, or cannot be part of a transaction; it is not added.
   * @throws {CrossSlotError}       A key in another slot than the transaction's.
   */
  command<T = ByName, const N extends string = string, const A extends CommandArguments = CommandArguments>(
    name: N,
    ...args: A
  ): Transaction<[...R, CommandResult<T, N, A, S> | SlotwireError], Watched, S>;
  command(name: string, ...given: CommandArguments): unknown {
    const args = argumentsOf(given);
    // Keys that only a server can find are checked by the server: it refuses the whole transaction.
    const { client, factory } = this.#host;
    const keys = factory.isUnlearned(name, args) ? [] : traitsOf(name, args, client.commands).keys;
    return this.#add(keys, () => factory.command(name, args, 0, nobody, nobody));
  }

  /**
   * Executes the transaction. Resolves to an array in the order of the calls: a reply, or the error of that call as a
   * value. When one call fails, the other calls have run all the same. A transaction that watches keys resolves to
   * `null` when one of these keys has changed.
   *
   * @throws {ReplyError}    The server refused the transaction, or a call in it. No call ran.
   * @throws {SlotwireError} Any other failure; `outcome` says whether the transaction may have run. A transaction that
   *   may have run is never sent again.
   * @see https://redis.io/docs/latest/develop/using-commands/transactions/
   */
  async exec(): Promise<Executed<R> | Watched> {
    this.#refuseWhenExecuted();
    // A transaction that watches keys is under way already: a client that is closing lets it end.
    if (this.#executor === undefined) this.#host.client.refuseWhenClosed();
    this.#executed = true;
    if (this.#executor === undefined && this.#parts.length === 0) return [] as unknown as Executed<R>;
    const slot = slotOfKeys([this.#key]);
    return tracedBatch(this.#host.client.telemetry.client, "transaction", this.#parts, slot, (context) =>
      this.#executor === undefined ? this.#send(slot, context) : this.#execute(this.#executor, slot, context),
    ) as Promise<Executed<R> | Watched>;
  }

  #execute(executor: Executor, slot: number, context: BatchContext | undefined): Promise<unknown> {
    return whileWriting(this.#host.client.cache, writtenBy(this.#parts), slot, () =>
      executor(this.#frame(slot), context),
    );
  }

  async #send(slot: number, batch: BatchContext | undefined): Promise<unknown> {
    const { client, view } = this.#host;
    const frame = this.#frame(slot);
    this.#loadAhead(frame.libraries, slot);
    let call: Call | undefined;
    try {
      return await new Promise((resolve, reject) => {
        call = makeCall(frame.kindFor(client.dispatcher), frame.bytes, slot, view.timeoutMs, resolve, reject);
        frame.carrier = call;
        call.written = writtenBy(this.#parts);
        client.door.sendLate(call, view.signal, batch);
      });
    } finally {
      for (const library of frame.missing) call?.node?.scripts.forget(library);
    }
  }

  #frame(slot: number): TransactionFrame {
    const owner = this.#host.client.dispatcher.ownerOf(slot);
    return new TransactionFrame(this.#parts, owner?.scripts.deniesLoads === true);
  }

  /**
   * Puts libraries that the node lacks in front, in the same write. A connection that is not open yet is given every
   * library before its first call.
   */
  #loadAhead(libraries: readonly RegisteredLibrary[], slot: number): void {
    const owner = this.#host.client.dispatcher.ownerOf(slot);
    const lane = owner?.pool.laneOf(slot);
    if (owner === undefined || lane?.ready !== true) return;
    for (const library of libraries)
      if (!owner.scripts.isComing(library, lane)) void owner.scripts.loadOn(lane, library);
  }

  #add(keys: readonly Argument[], make: () => Call): this {
    this.#refuseWhenExecuted();
    const part = make();
    slotOfKeys([this.#key, ...keys]);
    this.#parts.push(part);
    return this;
  }

  #refuseWhenExecuted(): void {
    if (this.#executed) throw new InvalidArgumentError("This transaction has been executed; make a new one.");
  }
}

/** The calls of a transaction are never sent by themselves, so nobody waits for their replies. */
const nobody = () => {};
