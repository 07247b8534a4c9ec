import type { Readable } from "node:stream";
import { type Argument, type Cluster, InvalidArgumentError, type TopologyNode } from "../index.ts";
import { Chain, type ChainCall, type ChainResults, pairsOf } from "./chain.ts";
import { addCommand, addCommands } from "./commands.ts";
import { sendShaped } from "./send.ts";
import { elementStream, type ScanStreamOptions } from "./streams.ts";

/** Does something with the client, now or when it is connected. */
type WithCluster = <T>(ask: (cluster: Cluster) => Promise<T>) => Promise<T>;

// The methods of commands are added below.
export interface NodeClient {
  // biome-ignore lint/suspicious/noExplicitAny: every command is a method
  [command: string]: any;
}

/** One node, with the commands as methods. A command goes to that node and to no other; MOVED is an error. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class NodeClient {
  readonly isCluster = false;
  readonly status = "ready";
  readonly options: { readonly host: string; readonly port: number };
  readonly keyPrefix: string;
  readonly #address: string;
  readonly #with: WithCluster;

  constructor({ address, host, port }: TopologyNode, send: WithCluster, keyPrefix: string) {
    this.options = { host, port };
    this.keyPrefix = keyPrefix;
    this.#address = address;
    this.#with = send;
  }

  call(name: string, ...values: unknown[]): Promise<unknown> {
    return this.#send(name, values, false);
  }

  callBuffer(name: string, ...values: unknown[]): Promise<unknown> {
    return this.#send(name, values, true);
  }

  /** The old name of `call`. */
  send_command(name: string, ...values: unknown[]): Promise<unknown> {
    return this.#send(name, values, false);
  }

  /** Commands that are sent together by `exec`. */
  pipeline(commands: readonly (readonly unknown[])[] = []): Chain {
    const { keyPrefix } = this;
    // No command is defined for a single node.
    return new Chain(
      { keyPrefix, defined: () => undefined, execute: (_, calls) => this.#execute(calls) },
      "pipeline",
      commands,
    );
  }

  /** @throws {InvalidArgumentError} A transaction is the cluster's: it goes to the node that owns the slot. */
  multi(): never {
    throw new InvalidArgumentError("slotwire/ioredis: a node has no multi(); accepted is multi() of the cluster.");
  }

  /** The keys of this node. */
  scanStream(options: ScanStreamOptions = {}): Readable {
    return this.#elements("scan", [], options, false);
  }

  scanBufferStream(options: ScanStreamOptions = {}): Readable {
    return this.#elements("scan", [], options, true);
  }

  hscanStream(key: Argument, options: ScanStreamOptions = {}): Readable {
    return this.#elements("hscan", [key], options, false);
  }

  sscanStream(key: Argument, options: ScanStreamOptions = {}): Readable {
    return this.#elements("sscan", [key], options, false);
  }

  zscanStream(key: Argument, options: ScanStreamOptions = {}): Readable {
    return this.#elements("zscan", [key], options, false);
  }

  async #execute(calls: readonly ChainCall[]): Promise<ChainResults> {
    const results = await this.#with((cluster) =>
      Promise.allSettled(calls.map(({ name, args, wantsBuffers }) => this.#ask(cluster, name, args, wantsBuffers))),
    );
    return pairsOf(
      calls,
      results.map((result) => (result.status === "fulfilled" ? result.value : result.reason)),
    );
  }

  #send(name: string, values: readonly unknown[], wantsBuffers: boolean): Promise<unknown> {
    return sendShaped(name, values, this.keyPrefix, (_, args) =>
      this.#with((cluster) => this.#ask(cluster, name, args, wantsBuffers)),
    );
  }

  // Not at once: a node that has left the cluster rejects, and does not throw.
  async #ask(cluster: Cluster, name: string, args: readonly Argument[], wantsBuffers: boolean): Promise<unknown> {
    const view = wantsBuffers ? cluster.with({ replies: "buffer" }) : cluster;
    return view.node(this.#address).command(name, ...args);
  }

  #elements(name: string, key: readonly Argument[], options: ScanStreamOptions, buffers: boolean): Readable {
    const step = (args: readonly unknown[]) => this.#send(name, args, buffers) as Promise<[string, unknown[]]>;
    return elementStream(step, key, options);
  }
}

addCommands(NodeClient.prototype, (on, name, values, wantsBuffers) =>
  wantsBuffers ? on.callBuffer(name, ...values) : on.call(name, ...values),
);
addCommand(NodeClient.prototype, "scan", (on, name, values, wantsBuffers) =>
  wantsBuffers ? on.callBuffer(name, ...values) : on.call(name, ...values),
);
