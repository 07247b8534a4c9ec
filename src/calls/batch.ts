import type { ByName, CommandResult } from "../commands/command-replies.ts";
import type { Division } from "../commands/spread.ts";
import { traitsOf } from "../commands/traits.ts";
import { InvalidArgumentError, type SlotwireError } from "../errors.ts";
import { argumentsOf, encodeCommand, kindOf } from "../protocol/encode.ts";
import type { Argument, CommandArguments, Reply } from "../protocol/reply.ts";
import type { CallKeys } from "../routing/batch-order.ts";
import type { Call } from "../routing/call.ts";
import { ALL_KEYS } from "../routing/call-extras.ts";
import { isScript, type Script, type ScriptCall, type Values, type WithArguments } from "../scripts/script.ts";
import { tracedBatch } from "../telemetry/call-trace.ts";
import { keysOf, type Reject, type Resolve } from "./call-factory.ts";
import { type Host, limitsOf } from "./host.ts";
import { Operation } from "./operation.ts";
import { planOfLearned } from "./plan.ts";
import { carryOut, type PartOf, type StepsPlan } from "./planned-command.ts";
import { copied, learn } from "./unlisted-commands.ts";
import type { stringsOf } from "./view.ts";
import { whileWriting } from "./written-keys.ts";

/** The result of each call of a list, in its order: its reply, or the error that it would have been rejected with. */
export type BatchResults<C extends readonly ScriptCall[]> = {
  -readonly [I in keyof C]: C[I] extends ScriptCall<infer T> ? T | SlotwireError : never;
};

/** The result of `exec`: a tuple when the calls were chained, an array when they were added one by one. */
export type Executed<R extends readonly unknown[]> = R extends readonly [] ? unknown[] : R;

/** The options of `batch`. */
export interface BatchOptions {
  /**
   * The calls of each key run in call order. `false` promises no order among the calls, and no call waits for another.
   * @default true
   */
  readonly ordered?: boolean | undefined;
}

/**
 * Checks the options of `batch`.
 * @throws {InvalidArgumentError} naming the option or the value that is wrong.
 */
export function batchOptions(options: unknown): BatchOptions {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError(
      `batch takes an array of script.call(...), or options with ordered, not ${kindOf(options)}.`,
    );
  }
  const { ordered, ...others } = options as BatchOptions;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`batch: there is no option "${unknown}"; accepted is ordered.`);
  }
  if (ordered !== undefined && typeof ordered !== "boolean") {
    throw new InvalidArgumentError(`batch: ordered is ${kindOf(ordered)}; accepted is true or false.`);
  }
  return { ordered };
}

/** A command of a batch that no table lists: a server has to be asked about it before it is sent. */
interface Unlearned {
  /** The command's place among the results. */
  readonly index: number;
  readonly name: string;
  readonly args: readonly Argument[];
}

/** A call, and the keys by which it keeps its place: none in a batch without order. */
interface Made {
  readonly call: Call;
  readonly keys: CallKeys | undefined;
}

/**
 * Collects calls of any slots, then sends each node its part in one write. A call is checked and encoded when it is
 * added, so the caller may change its keys and arguments afterwards.
 */
export class Batch<R extends readonly unknown[] = [], S extends string | Buffer = string> {
  /** No property, but a mark for the compiler: the type of the strings of replies. */
  declare readonly [stringsOf]: S;
  readonly #host: Host;
  readonly #ordered: boolean;
  /** In call order. Undefined in the place of a command that a server has to be asked about: it has no call yet. */
  readonly #calls: (Call | undefined)[] = [];
  /** For each of `#calls` its keys, if the batch keeps an order. */
  readonly #keys: (CallKeys | undefined)[] = [];
  /** The commands that a server has to be asked about, by their place in `#calls`. */
  readonly #toLearn = new Map<number, Unlearned>();
  /** Each starts a command of several steps or nodes. */
  readonly #toCarryOut: ((part: PartOf) => void)[] = [];
  #results: unknown[] = [];
  #unsettled = 0;
  #executed = false;
  #done: () => void = () => {};

  /** @internal */
  constructor(host: Host, { ordered = true }: BatchOptions) {
    this.#host = host;
    this.#ordered = ordered;
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
  ): Batch<[...R, T | SlotwireError], S>;
  run(script: Script, keys: readonly Argument[], args: readonly Argument[] = []): unknown {
    const { factory, view } = this.#host;
    this.#refuseWhenExecuted();
    const settle = this.#settleNext();
    const call = factory.run(script, keys, args, view.timeoutMs, settle, settle);
    this.#keys.push(this.#ordered ? keysOf(keys) : undefined);
    this.#calls.push(call);
    this.#expect();
    return this;
  }

  /**
   * Adds any other command. A command over several slots, or for many nodes, goes in parts as with `cluster.command`. A
   * command that blocks has a connection of its own: no call waits behind it, and it keeps no order with calls of its
   * keys.
   * @throws {InvalidArgumentError | CrossSlotError} The call is wrong; it is not added.
   */
  command<T = ByName, const N extends string = string, const A extends CommandArguments = CommandArguments>(
    name: N,
    ...args: A
  ): Batch<[...R, CommandResult<T, N, A, S> | SlotwireError], S>;
  command(name: string, ...given: CommandArguments): unknown {
    const { factory } = this.#host;
    const args = argumentsOf(given);
    this.#refuseWhenExecuted();
    const plan = factory.planOf(name, args);
    const settle = this.#settleNext();
    if (plan.kind === "one") this.#push(this.#callOf(name, args, settle, settle));
    else if (plan.kind === "parts") for (const part of this.#partsOf(name, plan.division, settle)) this.#push(part);
    else this.#addSteps(name, args, plan, settle);
    this.#expect();
    return this;
  }

  /**
   * Sends all calls. A call that finds no room for its node waits for room. Resolves when each call has its answer, to
   * an array in the order of the calls: a reply, or the error of that call as a value. The calls of each key run in
   * call order, unless `ordered` is false.
   *
   * @throws {InvalidArgumentError} The batch has been executed before.
   * @throws {ClosedError}          The client is closed.
   */
  async exec(): Promise<Executed<R>> {
    if (this.#executed) throw new InvalidArgumentError("exec: this batch has been executed; make a new one.");
    this.#host.client.refuseWhenClosed();
    this.#executed = true;
    if (this.#unsettled > 0) {
      const settled = new Promise<void>((resolve) => {
        this.#done = resolve;
      });
      await (this.#toLearn.size === 0 ? this.#send(settled, 0) : this.#learnAndSend(settled));
    }
    return this.#results as Executed<R>;
  }

  /** All calls wait until the servers have been asked, so that the calls of each key keep their order. */
  async #learnAndSend(settled: Promise<void>): Promise<void> {
    const { client, view } = this.#host;
    const { clock } = client.environment;
    const startedAt = clock.now();
    const learnAndSend = () =>
      Operation.run(client, limitsOf(view), async (operation) => {
        const learning = [...this.#toLearn].map(([place, command]) => this.#learn(operation, place, command));
        await operation.wait(Promise.all(learning));
        // Within the operation, so that a client that is closing waits for the operation or for the calls at all times.
        void this.#send(settled, Math.round(clock.now() - startedAt));
      });
    try {
      // The calls are made now, and what nobody knows yet may write any key.
      await whileWriting(client.cache, ALL_KEYS, -1, learnAndSend);
    } catch (error) {
      // No call was sent.
      this.#results = this.#results.map(() => error);
      return;
    }
    await settled;
  }

  async #learn(operation: Operation, place: number, { index, name, args }: Unlearned): Promise<void> {
    const { client } = this.#host;
    const settle = (result: unknown) => this.#settle(index, result);
    const keys = await learn(operation, client, name, args);
    const plan = planOfLearned(name.toLowerCase(), args, client.commands);
    if (plan.kind !== "one") this.#carryOutLater(name, args, plan, settle);
    else {
      try {
        const made = this.#callOf(name, args, settle, settle, keys);
        this.#calls[place] = made.call;
        this.#keys[place] = made.keys;
      } catch (error) {
        settle(error);
      }
    }
  }

  /** @param elapsedMs  Milliseconds of the calls' time that have passed. */
  #send(settled: Promise<void>, elapsedMs: number): Promise<void> {
    const { client, view } = this.#host;
    let calls = this.#calls as Call[];
    let keys = this.#ordered ? this.#keys : undefined;
    if (this.#toLearn.size > 0) {
      // A command that cannot be sent as one call has none here.
      keys = keys?.filter((_, place) => calls[place] !== undefined);
      calls = calls.filter((call) => call !== undefined);
    }
    return tracedBatch(client.telemetry.client, "batch", calls, undefined, (batch) => {
      client.door.sendTogether(calls, view.signal, { keys, batch, elapsedMs });
      for (const start of this.#toCarryOut) start({ elapsedMs, isPart: true });
      return settled;
    });
  }

  #partsOf(name: string, { parts, join }: Division, settleWhole: (result: unknown) => void): Made[] {
    const outcomes: PromiseSettledResult<Reply>[] = [];
    let open = parts.length;
    return parts.map((args, part) => {
      const settle = (outcome: PromiseSettledResult<Reply>) => {
        outcomes[part] = outcome;
        if (--open === 0) settleWhole(resultOf(() => join(outcomes)));
      };
      const onReply = (value: Reply) => settle({ status: "fulfilled", value });
      const onError = (reason: Error) => settle({ status: "rejected", reason });
      return this.#callOf(name, args, onReply, onError);
    });
  }

  #callOf(
    name: string,
    args: readonly Argument[],
    resolve: Resolve,
    reject: Reject,
    known?: readonly Argument[],
  ): Made {
    const { factory, view } = this.#host;
    let keys: CallKeys | undefined;
    const note = (found: readonly Argument[]) => {
      keys = keysOf(found);
    };
    const noteKeys = this.#ordered ? note : undefined;
    const call = factory.command(name, args, view.timeoutMs, resolve, reject, known, noteKeys);
    return { call, keys };
  }

  #push({ call, keys }: Made): void {
    this.#calls.push(call);
    this.#keys.push(keys);
  }

  /** Checks a command of several steps now. It is sent with the other calls. */
  #addSteps(name: string, given: readonly Argument[], plan: StepsPlan, settle: (result: unknown) => void): void {
    if (plan.kind === "wait-for-replicas") {
      throw new InvalidArgumentError(
        "WAIT cannot be part of a batch: it is for calls that were answered before it. Accepted is cluster.command() after exec().",
      );
    }
    traitsOf(name, given, this.#host.client.commands);
    encodeCommand([name, ...given]);
    // An EVALSHA that is added after a SCRIPT LOAD may be sent before it. It brings the script along, if that is
    // registered.
    if (plan.kind === "load-script") this.#host.client.scripts.remember(plan.script);
    const args = copied(given);
    if (plan.kind !== "to-learn") this.#carryOutLater(name, args, plan, settle);
    else {
      this.#toLearn.set(this.#calls.length, { index: this.#results.length, name, args });
      this.#calls.push(undefined);
      this.#keys.push(undefined);
    }
  }

  #carryOutLater(name: string, args: readonly Argument[], plan: StepsPlan, settle: (result: unknown) => void): void {
    this.#toCarryOut.push((part) => void carryOut(this.#host, plan, name, args, part).then(settle, settle));
  }

  /** Returns the function that takes the result of the call that is added next. */
  #settleNext(): (result: unknown) => void {
    const index = this.#results.length;
    return (result) => this.#settle(index, result);
  }

  #expect(): void {
    this.#results.push(undefined);
    this.#unsettled++;
  }

  #settle(index: number, result: unknown): void {
    this.#results[index] = result;
    if (--this.#unsettled === 0) this.#done();
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
 * @throws {InvalidArgumentError} naming the element that is no call.
 */
export function addCalls(batch: Batch<[], string | Buffer>, calls: readonly ScriptCall[]): void {
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
