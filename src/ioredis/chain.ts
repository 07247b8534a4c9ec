import { type Argument, InvalidArgumentError, type Script } from "../index.ts";
import { givenTo, keyIndexesOf, withPrefix } from "./arguments.ts";
import { type Callback, tell, told } from "./callbacks.ts";
import type { Defined } from "./defined.ts";
import { errorOf, shaped } from "./replies.ts";

/** One command of a chain. */
export interface ChainCall {
  readonly name: string;
  readonly args: readonly Argument[];
  readonly callback: Callback | undefined;
  readonly wantsBuffers: boolean;
  /** For a command that was defined: its script and its keys. */
  readonly script:
    | { readonly script: Script; readonly keys: readonly Argument[]; readonly rest: readonly Argument[] }
    | undefined;
}

/** What became of one command of a chain: `[null, reply]`, or `[error]`. */
export type ChainResult = [error: Error | null, reply?: unknown];
/** The results of a chain, one for each command. Null: a watched key has changed. */
export type ChainResults = ChainResult[] | null;

/** What a chain needs of its client. */
export interface ChainOwner {
  readonly keyPrefix: string;
  readonly defined: (name: string) => Defined | undefined;
  readonly execute: (kind: "multi" | "pipeline", calls: readonly ChainCall[]) => Promise<ChainResults>;
}

// The methods of commands are added elsewhere.
export interface Chain {
  // biome-ignore lint/suspicious/noExplicitAny: every command is a method, defined commands too
  [command: string]: any;
}

/** Commands that are collected, and sent together by `exec`. Its methods are those of the client. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class Chain {
  readonly isPipeline = true;
  readonly isCluster = true;
  readonly #owner: ChainOwner;
  #kind: "multi" | "pipeline";
  readonly #calls: ChainCall[] = [];

  constructor(owner: ChainOwner, kind: "multi" | "pipeline", commands: readonly (readonly unknown[])[] = []) {
    this.#owner = owner;
    this.#kind = kind;
    this.addBatch(commands);
  }

  /** The number of commands that were collected. */
  get length(): number {
    return this.#calls.length;
  }

  /** Collects commands that are given as arrays of a name and its arguments. */
  addBatch(commands: readonly (readonly unknown[])[]): this {
    for (const [name, ...values] of commands) Chain.collect(this, String(name), values);
    return this;
  }

  /** From here on, all commands are one transaction. */
  multi(): this {
    if (this.#calls.length > 0) throw new InvalidArgumentError("multi() comes first in a pipeline, or by itself.");
    this.#kind = "multi";
    return this;
  }

  /**
   * Adds a command. No method, because a defined command can have any name.
   * @internal
   */
  static collect(chain: Chain, name: string, values: readonly unknown[], wantsBuffers = false): Chain {
    const { keyPrefix, defined } = chain.#owner;
    const { args, callback } = givenTo(name, values);
    const script = defined(name)?.callOf(args, keyPrefix);
    const sent = script === undefined ? withPrefix(keyPrefix, name, args) : args;
    chain.#calls.push({ name, args: sent, callback, wantsBuffers, script });
    return chain;
  }

  /** Sends the commands. */
  exec(callback?: Callback): Promise<ChainResults> {
    const results = this.#owner.execute(this.#kind, this.#calls).then((pairs) => {
      for (const [index, call] of this.#calls.entries()) {
        const pair = pairs?.[index];
        if (pair !== undefined && call.callback !== undefined) tell(call.callback, ...pair);
      }
      return pairs;
    });
    return told(results, callback);
  }

  /** The same as `exec`. */
  execBuffer(callback?: Callback): Promise<ChainResults> {
    return this.exec(callback);
  }

  call(name: string, ...values: unknown[]): Chain {
    return Chain.collect(this, name, values);
  }

  callBuffer(name: string, ...values: unknown[]): Chain {
    return Chain.collect(this, name, values, true);
  }
}

/** The first key of the commands, which names the slot of a transaction. */
export function firstKeyOf(calls: readonly ChainCall[]): Argument | undefined {
  for (const { name, args, script } of calls) {
    if (script !== undefined) {
      if (script.keys.length > 0) return script.keys[0];
    } else {
      const [first] = keyIndexesOf(name, args);
      if (first !== undefined) return args[first];
    }
  }
  return undefined;
}

/** The pairs of ioredis from what slotwire resolves to: replies, and errors as values. */
export function pairsOf(calls: readonly ChainCall[], results: readonly unknown[]): ChainResult[] {
  return results.map((result, index) => {
    const { name, args } = calls[index] as ChainCall;
    return result instanceof Error ? [errorOf(result, name, args.length)] : [null, shaped(name, result)];
  });
}
