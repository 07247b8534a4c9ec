import type { LookupFunction } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { type ConnectOptions, InvalidArgumentError, type NatMap, type ReadFrom, type SocketOptions } from "../index.ts";

/** A node as ioredis takes it. */
export type StartupNode = string | number | { readonly host?: string | undefined; readonly port?: number | string };

/** What `defineCommand` takes. */
export interface CommandDefinition {
  readonly lua: string | Uint8Array;
  /** The number of keys. Without it, each call gives the number in front of the keys. */
  readonly numberOfKeys?: number | undefined;
  /** The script only reads. */
  readonly readOnly?: boolean | undefined;
}

/** Options of ioredis that are not worth a warning: how it does its work, or what is always so here. */
type Unnoticed =
  | "autoPipeliningIgnoredCommands"
  | "blockingTimeout"
  | "blockingTimeoutGrace"
  | "clientInfoTag"
  | "clusterNodeRetryStrategy"
  | "commandQueue"
  | "disableClientInfo"
  | "disconnectTimeout"
  | "enableAutoPipelining"
  | "enableReadyCheck"
  | "host"
  | "lazyConnect"
  | "maxLoadingRetryTime"
  | "name"
  | "noDelay"
  | "path"
  | "port"
  | "preferredSlaves"
  | "readOnly"
  | "resolveSrv"
  | "role"
  | "shardedSubscribers"
  | "showFriendlyErrorStack"
  | "slotsRefreshTimeout"
  | "socketTimeout"
  | "useSRVRecords";

/** Options of ioredis that have no meaning here. */
type WithoutMeaning = {
  readonly [Name in (typeof WITHOUT_MEANING)[number] | Unnoticed | keyof typeof REFUSED]?: unknown;
};

/** Options of one connection, as ioredis has them. */
export interface RedisOptions extends WithoutMeaning {
  readonly username?: string | null | undefined;
  readonly password?: string | null | undefined;
  readonly tls?: ConnectionOptions | boolean | undefined;
  readonly db?: number | undefined;
  readonly connectTimeout?: number | undefined;
  readonly commandTimeout?: number | undefined;
  /**
   * The name of one connection to each node: packages count clients by it. `slotwire: { connectionName }` names all
   * connections, those of blocked calls and of subscriptions too.
   */
  readonly connectionName?: string | undefined;
  readonly keyPrefix?: string | undefined;
  readonly family?: number | undefined;
  readonly keepAlive?: number | undefined;
  readonly localAddress?: string | undefined;
}

/** The options of the constructor, as ioredis has them. */
export interface ClusterOptions extends WithoutMeaning {
  /** Connects at the first command, or by `connect()`. */
  readonly lazyConnect?: boolean | undefined;
  readonly keyPrefix?: string | undefined;
  readonly redisOptions?: RedisOptions | undefined;
  readonly scaleReads?: "master" | "slave" | "all" | undefined;
  readonly natMap?: NatMap | undefined;
  readonly dnsLookup?:
    | ((host: string, callback: (error: Error | null, address: string, family?: number) => void) => void)
    | undefined;
  readonly maxRedirections?: number | undefined;
  readonly slotsRefreshInterval?: number | undefined;
  /** Milliseconds until the next try to connect; anything else ends the client. */
  readonly clusterRetryStrategy?: ((times: number, reason?: Error) => number | null | undefined) | undefined;
  /** Commands to define, by name. */
  readonly scripts?: Readonly<Record<string, CommandDefinition>> | undefined;
  /**
   * The imported module of ioredis. With it, `instanceof` of its `Cluster` is true of this client.
   * @example import * as ioredis from "ioredis"; new Cluster(nodes, { compatible: ioredis });
   */
  readonly compatible?: { readonly Cluster?: unknown; readonly default?: unknown } | undefined;
  /** Options of `connect` that ioredis has not. They win. */
  readonly slotwire?: Partial<ConnectOptions> | undefined;
}

/** Accepted, but without meaning: what may have run is never sent again, and the rest is always so. */
const WITHOUT_MEANING = [
  "autoResendUnfulfilledCommands",
  "autoResubscribe",
  "enableOfflineQueue",
  "maxRetriesPerRequest",
  "reconnectOnError",
  "retryDelayOnClusterDown",
  "retryDelayOnFailover",
  "retryDelayOnMoved",
  "retryDelayOnTryAgain",
  "retryStrategy",
] as const;
/** Cannot be honoured. */
const REFUSED = {
  sentinels: "slotwire asks the cluster itself, and no sentinels",
  Connector: "streams of one's own are made by slotwire: { socket: (endpoint) => Duplex }",
  stringNumbers: "integers past 2^53 are bigint",
  monitor: "MONITOR needs a connection of its own",
} as const;
const warned = new Set<string>();

/** The options of slotwire's `connect`. @throws {InvalidArgumentError} for an option that cannot be honoured. */
export function connectOptionsOf(nodes: readonly StartupNode[], options: ClusterOptions): ConnectOptions {
  const { natMap, maxRedirections, slotsRefreshInterval, scaleReads, slotwire } = options;
  const redisOptions = options.redisOptions ?? {};
  for (const given of [options, redisOptions]) {
    for (const [name, why] of Object.entries(REFUSED)) {
      const value = given[name as keyof typeof REFUSED];
      if (isGiven(value) && value !== false) {
        throw new InvalidArgumentError(`slotwire/ioredis: ${name} cannot be honoured: ${why}.`);
      }
    }
    for (const name of WITHOUT_MEANING) if (isGiven(given[name])) warnOnce(name);
  }
  const { username, password, tls, db, connectTimeout } = redisOptions;
  return {
    nodes: nodes.map(nodeOf),
    commandTimeout: redisOptions.commandTimeout ?? 0,
    ...(isGiven(username) && { username }),
    ...(isGiven(password) && { password }),
    ...(isGiven(tls) && tls !== false && { tls }),
    ...(isGiven(db) && { database: db }),
    ...(isGiven(connectTimeout) && { connectTimeout }),
    ...(isGiven(maxRedirections) && { maxRedirections }),
    ...(isGiven(slotsRefreshInterval) && { topologyRefreshInterval: Math.max(0, slotsRefreshInterval) }),
    ...(isGiven(natMap) && { natMap: natMapOf(natMap) }),
    ...(isGiven(scaleReads) && { readFrom: readFromOf(scaleReads) }),
    ...socketOf(redisOptions, options.dnsLookup),
    ...slotwire,
  };
}

/** Null is what many configurations have for "none". */
function isGiven<T>(value: T): value is NonNullable<T> {
  return value !== undefined && value !== null;
}

function nodeOf(node: StartupNode): ConnectOptions["nodes"][number] {
  if (typeof node === "number") return `127.0.0.1:${node}`;
  if (typeof node === "string") return /^\d+$/.test(node) ? `127.0.0.1:${node}` : withPort(node);
  return { host: node.host ?? "127.0.0.1", port: Number(node.port ?? 6379) };
}

/** `"host"` is the host with the usual port. */
function withPort(node: string): string {
  return node.includes("://") || /:\d+$/.test(node) ? node : `${node}:6379`;
}

/** ioredis takes null for "no mapping" as well. */
function natMapOf(natMap: NatMap): NatMap {
  if (typeof natMap !== "function") return natMap;
  return (address) => natMap(address) ?? undefined;
}

function readFromOf(scaleReads: unknown): ReadFrom {
  if (scaleReads === "master") return "primary";
  if (scaleReads === "slave") return "replica";
  if (scaleReads === "all") return "any";
  throw new InvalidArgumentError(
    'slotwire/ioredis: scaleReads is no known text; accepted are "master", "slave", "all".',
  );
}

function socketOf(
  { family, keepAlive, localAddress }: RedisOptions,
  dnsLookup: ClusterOptions["dnsLookup"],
): { readonly socket?: SocketOptions } {
  const socket: SocketOptions = {
    ...(isGiven(family) && { family: family as 0 | 4 | 6 }),
    ...(isGiven(keepAlive) && keepAlive > 0 && { keepAliveInitialDelay: keepAlive }),
    ...(isGiven(localAddress) && { localAddress }),
    ...(isGiven(dnsLookup) && { lookup: lookupBy(dnsLookup) }),
  };
  return Object.keys(socket).length === 0 ? {} : { socket };
}

function lookupBy(dnsLookup: NonNullable<ClusterOptions["dnsLookup"]>): LookupFunction {
  return (host, options, callback) => {
    dnsLookup(host, (error, address, family) => {
      const version = family ?? (address?.includes(":") ? 6 : 4);
      if (options.all === true) callback(error, [{ address, family: version }]);
      else callback(error, address, version);
    });
  };
}

function warnOnce(name: string): void {
  if (warned.has(name)) return;
  warned.add(name);
  process.emitWarning(
    `slotwire/ioredis: the option ${name} has no meaning here; see src/MIGRATION.md`,
    "SlotwireWarning",
  );
}
