import type { Cluster, TopologyNode } from "../index.ts";
import { givenTo, withPrefix } from "./arguments.ts";
import { told } from "./chain.ts";
import { addCommand, addCommands } from "./commands.ts";
import { errorOf, shaped } from "./replies.ts";

/** One node, with the commands as methods. A command goes to that node and to no other. */
export interface NodeClient {
  readonly options: { readonly host: string; readonly port: number };
  call(name: string, ...args: unknown[]): Promise<unknown>;
  callBuffer(name: string, ...args: unknown[]): Promise<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: every command is a method
  readonly [command: string]: any;
}

/** @param send  Does it with the client, now or when it is connected. */
export function nodeClient(
  { address, host, port }: TopologyNode,
  send: (ask: (cluster: Cluster) => Promise<unknown>) => Promise<unknown>,
  keyPrefix: string,
): NodeClient {
  const ask = (name: string, values: readonly unknown[], wantsBuffers: boolean) => {
    const lower = name.toLowerCase();
    const { args, callback } = givenTo(lower, values);
    const result = send((cluster) => {
      const view = wantsBuffers ? cluster.with({ replies: "buffer" }) : cluster;
      return view.node(address).command(lower, ...withPrefix(keyPrefix, lower, args));
    }).then(
      (reply) => shaped(lower, reply),
      (error: unknown) => {
        throw errorOf(error, lower, args.length);
      },
    );
    return told(result, callback);
  };
  const node = {
    options: { host, port },
    call: (name: string, ...values: unknown[]) => ask(name, values, false),
    callBuffer: (name: string, ...values: unknown[]) => ask(name, values, true),
  };
  const asked = (_: object, name: string, values: readonly unknown[], wantsBuffers: boolean) =>
    ask(name, values, wantsBuffers);
  const commands = {};
  addCommands(commands, asked);
  addCommand(commands, "scan", asked);
  return Object.setPrototypeOf(node, commands);
}
