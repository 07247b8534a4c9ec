import type { Client } from "../client/client.ts";
import { type Division, divide, type Spread, spreadOf } from "../commands/spread.ts";
import { traitsOf } from "../commands/traits.ts";
import { InvalidArgumentError, type SlotwireError } from "../errors.ts";
import { encodeCommand, kindOf } from "../protocol/encode.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import { isScript, type Script, type ScriptCall, type Values, type WithArguments } from "../scripts/script.ts";
import { tracedBatch } from "../telemetry/call-trace.ts";
import type { CallFactory, ViewSettings } from "./call-factory.ts";
import { runOnNodes, scriptToLoad } from "./node-commands.ts";
import { copied, isUnlearned, learn } from "./unlisted-commands.ts";

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
  /** Undefined: to be made when it is known who gets it. */
  readonly #calls: (Call | undefined)[] = [];
  /** By their place in `#calls`. */
  readonly #later = new Map<number, () => Promise<Call | undefined>>();
  readonly #onNodes: (() => void)[] = [];
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
    return this.#results.length;
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
   * Adds any other command. One over several slots, or for many nodes, goes in parts as with `cluster.command`.
   * One that blocks has a connection of its own: nobody waits behind it, and it keeps no order with calls of its keys.
   * @throws {InvalidArgumentError | CrossSlotError} The call is wrong; it is not added.
   */
  command<T = Reply>(name: string, ...args: readonly Argument[]): Batch<[...R, T | SlotwireError]> {
    const lower = String(name).toLowerCase();
    const spread = spreadOf(lower, args);
    const division = spread === undefined ? divide(lower, args) : undefined;
    if (spread !== undefined || isUnlearned(this.#client, name, args)) this.#addLater(name, args, spread);
    else if (division !== undefined) this.#addParts(name, division);
    else this.#add((settle) => this.#factory.command(name, args, this.#view.timeoutMs, settle, settle));
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
      for (const [place, make] of this.#later) this.#calls[place] = await make();
      const calls = this.#calls.filter((call) => call !== undefined);
      await tracedBatch(this.#client.telemetry.client, "batch", calls, undefined, (context) => {
        this.#client.sendAll(calls, this.#view.signal, context);
        for (const start of this.#onNodes) start();
        return settled;
      });
    }
    return this.#results as Executed<R>;
  }

  #add(make: (settle: (result: unknown) => void) => Call): this {
    this.#refuseWhenExecuted();
    const index = this.#results.length;
    const call = make((result) => this.#settle(index, result));
    this.#calls.push(call);
    this.#expect();
    return this;
  }

  #addParts(name: string, { parts, join }: Division): void {
    this.#refuseWhenExecuted();
    const index = this.#results.length;
    const { timeoutMs } = this.#view;
    const outcomes: PromiseSettledResult<Reply>[] = [];
    let open = parts.length;
    const calls = parts.map((args, part) => {
      const settle = (outcome: PromiseSettledResult<Reply>) => {
        outcomes[part] = outcome;
        if (--open === 0)
          this.#settle(
            index,
            resultOf(() => join(outcomes)),
          );
      };
      const onReply = (value: Reply) => settle({ status: "fulfilled", value });
      return this.#factory.command(name, args, timeoutMs, onReply, (reason) => settle({ status: "rejected", reason }));
    });
    this.#calls.push(...calls);
    this.#expect();
  }

  /** Checked now; who gets it is found out when it is sent. */
  #addLater(name: string, given: readonly Argument[], spread: Spread | undefined): void {
    this.#refuseWhenExecuted();
    traitsOf(name, given, this.#client.commands);
    encodeCommand([name, ...given]);
    // An EVALSHA that is added behind a SCRIPT LOAD may be sent before it: it brings what it needs.
    const script = scriptToLoad(name, given);
    if (script !== undefined) this.#client.remember(script);
    const args = copied(given);
    const index = this.#results.length;
    const settle = (result: unknown) => this.#settle(index, result);
    const onNodes = (spread: Spread) => () =>
      void runOnNodes(this.#client, this.#factory, this.#view, spread, name, args).then(settle, settle);
    if (spread !== undefined) this.#onNodes.push(onNodes(spread));
    else {
      this.#later.set(this.#calls.length, async () => {
        try {
          const keys = await learn(this.#client, name, args);
          const learned = this.#client.commands.get(name.toLowerCase(), args)?.spread;
          if (learned === undefined) {
            return this.#factory.command(name, args, this.#view.timeoutMs, settle, settle, keys);
          }
          this.#onNodes.push(onNodes(learned));
        } catch (error) {
          settle(error);
        }
        return undefined;
      });
      this.#calls.push(undefined);
    }
    this.#expect();
  }

  #expect(): void {
    this.#results.push(undefined);
    this.#unsettled++;
  }

  #settle(index: number, result: unknown): void {
    this.#results[index] = result;
    if (--this.#unsettled === 0) this.#done(this.#results);
  }

  #refuseWhenExecuted(): void {
    if (this.#executed) throw new InvalidArgumentError("This batch has been executed; make a new one.");
  }
}

function resultOf(join: () => Reply): unknown {
  try {
    return join();
  } catch (error) {
    return error;
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
