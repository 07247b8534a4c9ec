import type { CallFactory, ViewSettings } from "./call-factory.ts";
import type { Client } from "./client.ts";
import { InvalidArgumentError, type SlotwireError } from "./errors.ts";
import { kindOf } from "./protocol/encode.ts";
import type { Argument, Reply } from "./protocol/reply.ts";
import type { Call } from "./routing/call.ts";
import { tracedBatch } from "./routing/call-trace.ts";
import { isScript, type Script, type ScriptCall, type Values, type WithArguments } from "./scripts/script.ts";

/** The result of each call of a list, in its order: its reply, or the error that it would have been rejected with. */
export type BatchResults<C extends readonly ScriptCall[]> = {
  -readonly [I in keyof C]: C[I] extends ScriptCall<infer T> ? T | SlotwireError : never;
};

/** What `exec` resolves to: a tuple when the calls were chained, an array when they were added one by one. */
export type Executed<R extends readonly unknown[]> = R extends readonly [] ? unknown[] : R;

/**
 * Collects calls of any slots, then sends each node its part in one write. A call is checked and encoded when it is
 * added, so what it was given may be changed afterwards.
 */
export class Batch<R extends readonly unknown[] = []> {
  readonly #client: Client;
  readonly #factory: CallFactory;
  readonly #view: ViewSettings;
  readonly #calls: Call[] = [];
  readonly #results: unknown[] = [];
  #unsettled = 0;
  #executed = false;
  #done: (results: unknown[]) => void = () => {};

  /** @internal */
  constructor(client: Client, factory: CallFactory, view: ViewSettings) {
    this.#client = client;
    this.#factory = factory;
    this.#view = view;
  }

  /** Calls collected so far. */
  get size(): number {
    return this.#calls.length;
  }

  /**
   * Adds a call of a script.
   * @throws {InvalidArgumentError | CrossSlotError} The call is wrong; it is not added.
   */
  run<N extends number, T, A extends number>(
    script: Script<N, T, A>,
    keys: Values<N>,
    ...rest: WithArguments<A>
  ): Batch<[...R, T | SlotwireError]>;
  run(script: Script, keys: readonly Argument[], args: readonly Argument[] = []): unknown {
    return this.#add((settle) => this.#factory.run(script, keys, args, this.#view.timeoutMs, settle, settle));
  }

  /**
   * Adds any other command.
   * @throws {InvalidArgumentError | CrossSlotError} The call is wrong; it is not added.
   */
  command<T = Reply>(name: string, ...args: readonly Argument[]): Batch<[...R, T | SlotwireError]> {
    this.#add((settle) => this.#factory.command(name, args, this.#view.timeoutMs, settle, settle));
    return this as unknown as Batch<[...R, T | SlotwireError]>;
  }

  /**
   * Sends all calls, within the bounds on what may be pending. Resolves when each has its answer, to an array in the
   * order of the calls: a reply, or the error of that call as a value. The calls of each key run in call order.
   *
   * @throws {InvalidArgumentError} A second time.
   * @throws {ClosedError}          The client is closed.
   */
  async exec(): Promise<Executed<R>> {
    if (this.#executed) throw new InvalidArgumentError("exec: this batch has been executed; make a new one.");
    this.#client.refuseWhenClosed();
    this.#executed = true;
    if (this.#unsettled > 0) {
      const settled = new Promise<unknown[]>((resolve) => {
        this.#done = resolve;
      });
      await tracedBatch(this.#client.telemetry.client, "batch", this.#calls, undefined, (context) => {
        this.#client.sendAll(this.#calls, this.#view.signal, context);
        return settled;
      });
    }
    return this.#results as Executed<R>;
  }

  #add(make: (settle: (result: unknown) => void) => Call): this {
    if (this.#executed) throw new InvalidArgumentError("This batch has been executed; make a new one.");
    const index = this.#calls.length;
    const call = make((result) => {
      this.#results[index] = result;
      if (--this.#unsettled === 0) this.#done(this.#results);
    });
    this.#calls.push(call);
    this.#results.push(undefined);
    this.#unsettled++;
    return this;
  }
}

/**
 * Adds calls made by `script.call`.
 * @throws {InvalidArgumentError} naming the element that is none.
 */
export function addCalls(batch: Batch, calls: readonly ScriptCall[]): void {
  if (!Array.isArray(calls)) {
    throw new InvalidArgumentError(`batch takes an array of script.call(...), not ${kindOf(calls)}.`);
  }
  calls.forEach((call: ScriptCall | undefined, index) => {
    if (!isScript(call?.script)) {
      throw new InvalidArgumentError(`batch: element ${index} is no call; accepted is what script.call(...) returns.`);
    }
    batch.run(call.script, call.keys, call.args);
  });
}
