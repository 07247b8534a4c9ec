const ON_NODES = 'write { host, port } as an element of nodes: nodes: ["host:port"]';
const ON_VIEWS = "a call's `timeout`, or `commandTimeout`, limits all of its tries together";
const NO_QUEUE = "calls always wait for a connection, until `commandTimeout`; `maxPendingPerNode` bounds how many wait";
const AT_ONCE = "`connect` connects at once, and resolves when the cluster can be used";
const BACKOFF = "slotwire always connects again, with pauses of its own; `commandTimeout` limits how long calls wait";
const PAUSES = "slotwire chooses its pauses; `maxRedirections` and `commandTimeout` limit what one call may take";
const FLAT = "write what is in it as options of `connect` itself";
const ON_SOCKETS = "write socket: { family, lookup, localAddress, keepAliveInitialDelay }";
const DEFINED = "write defineScript({ ... }) or defineLibrary({ ... }), and list the result in `scripts`";

/** What to write in place of an option of another client: ioredis, node-redis or Valkey GLIDE. */
const INSTEAD: ReadonlyMap<string, string> = new Map(
  Object.entries({
    host: ON_NODES,
    port: ON_NODES,
    url: 'write the URL as an element of nodes: nodes: ["redis://..."]',
    rootNodes: "write `nodes`",
    startupNodes: "write `nodes`",
    addresses: "write `nodes`",
    sentinels:
      "slotwire asks the cluster itself, and no sentinels; write the addresses of the cluster's nodes in `nodes`",
    redisOptions: FLAT,
    defaults: FLAT,
    advancedConfiguration: FLAT,
    db: "write `database`",
    databaseId: "write `database`",
    path: 'write { path } as an element of nodes: nodes: [{ path: "/run/redis.sock" }]',
    family: ON_SOCKETS,
    keepAlive: ON_SOCKETS,
    localAddress: ON_SOCKETS,
    lookup: ON_SOCKETS,
    dnsLookup: ON_SOCKETS,
    keyPrefix: "write whole keys, because a script's keys and the slot of a call are computed from what is written",
    lazyConnect: AT_ONCE,
    enableReadyCheck: AT_ONCE,
    retryStrategy: BACKOFF,
    clusterRetryStrategy: BACKOFF,
    reconnectStrategy: BACKOFF,
    reconnectOnError: BACKOFF,
    connectionBackoff: BACKOFF,
    autoResendUnfulfilledCommands:
      "a call whose outcome is unknown is only repeated where it is `idempotent` or `readOnly`",
    maxRetriesPerRequest: ON_VIEWS,
    retryDelayOnMoved: PAUSES,
    retryDelayOnFailover: PAUSES,
    retryDelayOnClusterDown: PAUSES,
    retryDelayOnTryAgain: PAUSES,
    maxCommandRedirections: "write `maxRedirections`",
    scaleReads: "write `readFrom`",
    useReplicas: 'write readFrom: "replica" or readFrom: "any"',
    readOnly: 'write readFrom: "replica"; a script that only reads has `readOnly` in its definition',
    natMapper: "write `natMap`",
    nodeAddressMap: "write `natMap`",
    useTLS: "write `tls`",
    requestTimeout: "write `commandTimeout`",
    socketTimeout: "write `commandTimeout`",
    slotsRefreshTimeout: "write `connectTimeout`",
    slotsRefreshInterval: "write `topologyRefreshInterval`",
    periodicChecks: "write `topologyRefreshInterval`",
    enableOfflineQueue: NO_QUEUE,
    disableOfflineQueue: NO_QUEUE,
    commandsQueueMaxLength: "write `maxPendingPerNode`",
    inflightRequestsLimit: "write `maxPendingPerNode`",
    name: "write `connectionName`",
    clientName: "write `connectionName`",
    credentialsProvider: "write `credentials`, a function that returns a promise of { username, password }",
    enableAutoPipelining: "slotwire always writes the calls of one tick together",
    minimizeConnections: "slotwire has `connectionsPerNode` connections to each node",
    stringNumbers: "integers past 2^53 are bigint without any option",
    RESP: "slotwire speaks RESP2",
    protocol: "slotwire speaks RESP2",
    functions: DEFINED,
    modules: "commands of modules are sent by `command` without any option",
  }),
);

/** What to write in place of an option that other clients have, if slotwire knows it. */
export function insteadOf(option: string): string | undefined {
  return INSTEAD.get(option);
}
