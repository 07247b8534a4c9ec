import { Cache } from "../cache/cache.ts";
import type { OwnWrites } from "../cache/own-writes.ts";
import type { Environment } from "../environment.ts";
import type { ResolvedOptions } from "../options.ts";
import type { NodeDirectory } from "../routing/node-directory.ts";
import { CacheTrace } from "../telemetry/cache-trace.ts";
import type { Telemetry } from "../telemetry/counters.ts";
import type { Topology } from "../topology/topology.ts";
import type { Door } from "./door.ts";
import { settledWithin } from "./settled-within.ts";

/** What of a client its cache works with. */
interface Owner {
  readonly environment: Environment;
  readonly options: ResolvedOptions;
  readonly telemetry: Telemetry;
  readonly topology: Topology;
  readonly door: Door;
}

/**
 * The cache of a client. Undefined unless the option `cache` is set.
 * @param ownWrites  Those that the dispatcher ends. Undefined without that option.
 */
export function cacheOf(
  client: Owner,
  directory: () => NodeDirectory,
  ownWrites: OwnWrites | undefined,
): Cache | undefined {
  const { environment, options, telemetry } = client;
  if (options.cache === undefined || ownWrites === undefined) return undefined;
  return new Cache({
    environment,
    settings: options.cache,
    trace: new CacheTrace(telemetry.client),
    ownWrites,
    nodes: () => directory().nodes,
    ownerOf: (slot) => directory().ownerOf(slot),
    slotOf: ({ address }) => client.topology.ranges.find(({ primary }) => primary.address === address)?.start,
    forward: (call) => client.door.sendAdmitted(call),
    giveUp: (call, why) => client.door.giveUpRead(call, why),
    refuse: (call, text) => client.door.refuse(call, text),
    maxPendingBytes: options.maxPendingBytesPerNode,
  });
}

/**
 * Resolves when the cache has its connections, or `connectTimeout` has passed: then calls pass it by until it has. Nodes that
 * could not be reached, or are silent, have been waited for already.
 */
export async function cacheOpened(
  cache: Cache | undefined,
  { environment, options }: Pick<Owner, "environment" | "options">,
): Promise<void> {
  if (cache === undefined) return;
  cache.follow();
  await settledWithin(
    environment.clock,
    options.connectTimeout,
    cache.firstTries(({ pool }) => pool.ready),
  );
}
