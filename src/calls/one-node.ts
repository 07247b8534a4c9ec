import type { ByName, CommandResult } from "../commands/command-replies.ts";
import { InvalidArgumentError, UnavailableError } from "../errors.ts";
import { argumentsOf } from "../protocol/encode.ts";
import type { CommandArguments } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { naming } from "./call-factory.ts";
import type { Host } from "./host.ts";
import type { stringsOf } from "./view.ts";

/**
 * One node of the topology, made by `node`. It stays the node with this id: when another node, or none, has the address,
 * commands are rejected with `UNAVAILABLE`.
 */
export class OneNode<S extends string | Buffer = string> {
  /** No property, but a mark for the compiler: the type of the strings of replies. */
  declare readonly [stringsOf]: S;
  /** The address as announced. */
  readonly address: string;
  /** The node's id in the cluster. Empty for a single server without cluster mode. */
  readonly id: string;
  readonly #host: Host;
  readonly #node: ClusterNode;

  /**
   * @internal
   * @throws {InvalidArgumentError} The topology has no node with this address.
   */
  constructor(host: Host, address: string) {
    const node = host.client.nodes.find((each) => each.address === address);
    if (node === undefined) {
      const known = host.client.nodes.map((each) => each.address).join(", ");
      throw new InvalidArgumentError(`node: the topology has no node ${JSON.stringify(address)}; it has ${known}.`);
    }
    this.#host = host;
    this.#node = node;
    this.address = node.address;
    this.id = node.info.id;
  }

  /** The node's role in the current topology. */
  get role(): "primary" | "replica" {
    return this.#node.info.role;
  }

  /** The node's availability zone in the current topology, where it is known: see `zone` of `TopologyNode`. */
  get zone(): string | undefined {
    return this.#node.info.zone;
  }

  /**
   * Sends a command to this node and to no other. MOVED, ASK and READONLY reject as `ReplyError`. The timeout and the
   * signal of the view hold. A command that blocks has a connection of its own.
   *
   * @returns The reply; its type follows the name, as for `command` of the cluster.
   * @throws {InvalidArgumentError} As `command` of the cluster; nothing was sent. SCAN is accepted: its cursor is this node's.
   * @throws {UnavailableError}     The node has left the topology.
   * @throws {SlotwireError}        Any other failure; `outcome` says whether the command may have run.
   */
  command<T = ByName, const N extends string = string, const A extends CommandArguments = CommandArguments>(
    name: N,
    ...args: A
  ): Promise<CommandResult<T, N, A, S>>;
  async command(name: string, ...given: CommandArguments): Promise<unknown> {
    const args = argumentsOf(given);
    const { client, factory, view } = this.#host;
    client.refuseWhenClosed();
    if (!client.nodes.includes(this.#node)) throw new UnavailableError(`${this.address} has left the cluster`);
    try {
      return await new Promise((resolve, reject) => {
        client.door.send(factory.pinned(this.#node, name, args, resolve, reject), view.signal);
      });
    } catch (error) {
      throw naming(error, name);
    }
  }
}
