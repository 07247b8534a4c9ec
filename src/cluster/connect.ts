import { Client } from "../client/client.ts";
import { nodeEnvironment } from "../connection/node-environment.ts";
import type { Environment } from "../environment.ts";
import { type ConnectOptions, resolveOptions } from "../options.ts";
import { Cluster } from "./cluster.ts";

/** What a client may use days later, and has to be there then: the CommonJS build puts here what loads it. */
const later: readonly (() => unknown)[] = [];

/**
 * Connects to a cluster, or to a single server without cluster mode. Resolves when the topology is known and every
 * script in `scripts` is on every node that could be reached. `cluster.scripts()` tells which script failed on which
 * node. A node that is silent is waited for during `connectTimeout`.
 *
 * @throws {InvalidArgumentError} An option is wrong.
 * @throws {AuthError}            The credentials were refused.
 * @throws {UnavailableError}     No seed answered; a cause for each seed.
 * @throws {ReplyError}           A script that no node compiles; the error names its line.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 */
export function connect(options: ConnectOptions): Promise<Cluster> {
  const connecting = connectIn(nodeEnvironment, options);
  for (const load of later) {
    try {
      load();
    } catch {
      // It is told where it is used, if it ever is.
    }
  }
  return connecting;
}

/** @internal `connect` with the given sockets, clock and random numbers. */
export async function connectIn(environment: Environment, options: ConnectOptions): Promise<Cluster> {
  const resolved = resolveOptions(options);
  const client = await Client.connect(resolved, environment);
  const { commandTimeout, readFrom } = resolved;
  return new Cluster(client, { timeoutMs: commandTimeout, signal: undefined, replies: undefined, readFrom });
}
