import type { ConnectionOptions } from "node:tls";
import type { OpenSocket, SocketEndpoint, SocketOptions } from "./environment.ts";
import { InvalidArgumentError } from "./errors.ts";
import { type CacheOptions, type ResolvedCacheOptions, readCache } from "./options/cache.ts";
import { type Credentials, readCredentials } from "./options/credentials.ts";
import { insteadOf } from "./options/foreign-options.ts";
import { invalid, isPlainObject } from "./options/invalid.ts";
import { type NatMap, readNatMap, readTrusts, type Trusts } from "./options/nat-map.ts";
import { isSocketFile, readDatabase, readSeed, readTls } from "./options/seeds.ts";
import { readSocket } from "./options/socket.ts";
import { kindOf } from "./protocol/encode.ts";
import type { NodeAddress } from "./protocol/node-address.ts";
import { MAX_REPLY_BYTES } from "./protocol/reply-framer.ts";
import type { ReadFrom } from "./routing/call.ts";
import { isLibrary, type Library } from "./scripts/library.ts";
import { isScript, type Script } from "./scripts/script.ts";

export type { CacheOptions, Credentials, NatMap, OpenSocket, SocketEndpoint, SocketOptions, Trusts };

/** The options of `connect`. Times are in milliseconds. */
export interface ConnectOptions {
  /**
   * The seeds, which are the first nodes to be asked for the topology: `"host:port"`, `"redis://user:pass@host:port"`,
   * `"rediss://..."` or `{ host, port }`. `valkey://` and `valkeys://` mean the same as `redis://` and `rediss://`, and
   * a host alone has the port 6379. The credentials, the TLS setting and the database of a URL (`redis://host:6379/3`)
   * hold for every node. `{ path }` is the socket file of a single server, and implies `mode: "single"`.
   */
  readonly nodes: readonly (
    | string
    | { readonly host: string; readonly port: number | string }
    | { readonly path: string }
  )[];
  /**
   * Scripts and libraries to load on every node before `connect` resolves. A node that appears later is loaded before
   * it gets traffic.
   * @default []
   */
  readonly scripts?: readonly (Script | Library)[] | undefined;
  /**
   * The name of an ACL user. It needs `password`. An empty name is none.
   * @default none
   */
  readonly username?: string | undefined;
  /**
   * The password for every node. It replaces the credentials of URLs in `nodes`. An empty password is none.
   * @default none
   */
  readonly password?: string | undefined;
  /**
   * A function that is called for the credentials of every new connection. It replaces `username` and `password`. If its
   * answer has `renewAfter`, in milliseconds, the function is called again after that time, or up to a tenth of it earlier, so
   * that many clients do not come together. Then the open connections log in again.
   * @default `username` and `password`, or those of a URL in `nodes`
   */
  readonly credentials?: (() => Promise<Credentials>) | undefined;
  /**
   * `true`, or Node's `tls.ConnectionOptions`. Certificates are verified unless these options say otherwise.
   * @default false
   */
  readonly tls?: boolean | ConnectionOptions | undefined;
  /**
   * The name of each connection, set by `CLIENT SETNAME`. Printable ASCII without spaces.
   * @default none; CLIENT SETNAME is not sent
   */
  readonly connectionName?: string | undefined;
  /**
   * Milliseconds that one connection may take for TCP, TLS and handshake together. While scripts are loaded, `connect`,
   * `preload` and `refreshTopology` wait for a node until it has given no sign of life for so long: a slow link is waited
   * for, however long the loads take.
   * @default 2000
   */
  readonly connectTimeout?: number | undefined;
  /**
   * Milliseconds that a call may take in all: waiting in the queue, in flight, redirections and retries. With 0 a call
   * in flight has no time limit; a call that is refused, or that waits for a node, is given up after 60 seconds.
   * @default 5000
   */
  readonly commandTimeout?: number | undefined;
  /**
   * The most redirections (MOVED and ASK together) that one call follows.
   * @default 16
   */
  readonly maxRedirections?: number | undefined;
  /**
   * The number of pipelined connections to each node. All calls of a slot use the same connection.
   * @default 1
   */
  readonly connectionsPerNode?: number | undefined;
  /**
   * The most calls that may be queued or in flight for one node. A call past this bound is rejected with `QUEUE_FULL`.
   * @default 10000
   */
  readonly maxPendingPerNode?: number | undefined;
  /**
   * The most bytes that may be queued, or not yet taken by the socket, for one node. A call past this bound is rejected
   * with `QUEUE_FULL`. A single call that is larger than the bound is sent when nothing else waits.
   * @default 16777216
   */
  readonly maxPendingBytesPerNode?: number | undefined;
  /**
   * The most bytes of one reply; each element of an array counts as 8 bytes more. The call of a longer reply is rejected
   * with `PROTOCOL`, outcome `executed`, and its connection is closed, also when the call has settled long since. A reply
   * is kept until its end has come. A string of more than about 512 MiB can only be had with `replies: "buffer"`.
   * @default 536870912
   */
  readonly maxReplyBytes?: number | undefined;
  /**
   * Milliseconds between two background refreshes of the topology; each interval varies by up to a tenth. 0 turns these
   * refreshes off.
   * @default 30000
   */
  readonly topologyRefreshInterval?: number | undefined;
  /**
   * The number of the database of every connection, selected by SELECT. Clusters have several from Valkey 9 on, by
   * `cluster-databases`. Where the servers refuse it, `connect` rejects with their words.
   * @default 0, or the path of a URL in `nodes`
   */
  readonly database?: number | undefined;
  /**
   * `"single"`: one server or proxy, which owns every slot. Nothing is sent to it but what was asked for, besides AUTH,
   * SELECT, CLIENT SETNAME and PING at the beginning of a connection. `"auto"` asks for a cluster, and finds a single
   * server by itself where the server says that it has cluster support disabled, or knows no CLUSTER.
   * @default "auto"
   */
  readonly mode?: "auto" | "single" | undefined;
  /**
   * Milliseconds during which `connect` tries again while no seed answers, or no slot has an owner yet. 0 is one try.
   * Refused credentials, a refused database and a failure of TLS end it at once.
   * @default 0
   */
  readonly startTimeout?: number | undefined;
  /**
   * How sockets are opened: `family`, `lookup`, `localAddress` and `keepAliveInitialDelay` as in Node's `net.connect`;
   * or a function that gets `{ host, port }` and returns a Duplex, for tunnels.
   * @default a TCP connection, or a TLS connection with `tls`
   */
  readonly socket?: SocketOptions | OpenSocket | undefined;
  /**
   * Milliseconds after which a node counts as unavailable that could not be reached, or gave no sign of life while calls
   * waited for it. Calls for it that were not written, queued ones too, are then rejected at once with `UNAVAILABLE`;
   * calls in flight keep their deadlines. It is asked again at least each second, and calls are served as soon as it
   * answers or another node owns their slot. New subscriptions that only such nodes can serve are rejected alike. A replica
   * is passed over instead. With 0 calls wait for their deadlines.
   * @default 0
   */
  readonly unavailableAfter?: number | undefined;
  /**
   * Maps the addresses that nodes announce to addresses that this process can reach: a table by `"host:port"`, or a
   * function.
   * @default none
   */
  readonly natMap?: NatMap | undefined;
  /**
   * A function that is asked, with the announced address, before each connection to a node. Nothing connects, let alone
   * logs in, where it returns anything but `true`, or throws. It is asked about every address that a server announces,
   * also about those in `nodes`. The questions for the topology go to `nodes` in any case, because you named them.
   * @default none; every announced address is trusted
   */
  readonly trusts?: Trusts | undefined;
  /**
   * The nodes on which read-only scripts and commands may run: `"primary"`, `"replica"`, `"any"`, or `{ zone: "a" }`.
   * `"replica"` uses the primary when no replica is usable. `{ zone }` uses the nodes of that availability zone, primary or
   * replica, while one of them can serve, and then any node. Valkey 9.1 names the zones of its nodes (the server's setting
   * `availability-zone`); older servers are asked by INFO. A node whose zone is not known is in another one.
   * @default "primary"
   */
  readonly readFrom?: ReadFrom | undefined;
  /**
   * Keeps replies of views with `cached: true` in memory: `maxBytes`, `maxStaleness` and `maxAge`. Each primary gets two
   * more connections: one that reads, and one on which the server tells of changes.
   * @default none; nothing is kept
   */
  readonly cache?: CacheOptions | undefined;
  /**
   * Whether to measure how long calls take, for `metrics()`. Measuring costs two clock readings and one small object
   * per call.
   * @default false
   */
  readonly durations?: boolean | undefined;
}

/** `ConnectOptions` with all defaults filled in. Frozen. */
export interface ResolvedOptions {
  readonly seeds: readonly NodeAddress[];
  readonly scripts: readonly (Script | Library)[];
  readonly credentials: () => Promise<Credentials> | Credentials;
  readonly tls: ConnectionOptions | undefined;
  readonly socket: SocketOptions | OpenSocket | undefined;
  readonly database: number;
  readonly mode: "auto" | "single";
  readonly connectionName: string | undefined;
  readonly connectTimeout: number;
  readonly startTimeout: number;
  readonly commandTimeout: number;
  readonly maxRedirections: number;
  readonly connectionsPerNode: number;
  readonly maxPendingPerNode: number;
  readonly maxPendingBytesPerNode: number;
  readonly maxReplyBytes: number;
  readonly topologyRefreshInterval: number;
  readonly unavailableAfter: number;
  readonly natMap: (address: string) => NodeAddress | undefined;
  /** @throws {UntrustedError} Nothing may connect to the announced address. */
  readonly trusts: (address: string) => void;
  readonly readFrom: ReadFrom;
  readonly cache: ResolvedCacheOptions | undefined;
  readonly durations: boolean;
}

/** The numeric options, each with its default and its bounds. */
const NUMBERS = {
  connectTimeout: { fallback: 2000, least: 1, most: 2 ** 31 - 1 },
  startTimeout: { fallback: 0, least: 0, most: 2 ** 31 - 1 },
  commandTimeout: { fallback: 5000, least: 0, most: 2 ** 31 - 1 },
  maxRedirections: { fallback: 16, least: 0, most: 1000 },
  connectionsPerNode: { fallback: 1, least: 1, most: 64 },
  maxPendingPerNode: { fallback: 10_000, least: 1, most: 2 ** 31 - 1 },
  maxPendingBytesPerNode: { fallback: 16 * 1024 * 1024, least: 1, most: Number.MAX_SAFE_INTEGER },
  maxReplyBytes: { fallback: MAX_REPLY_BYTES, least: 1, most: 4_000_000_000 },
  topologyRefreshInterval: { fallback: 30_000, least: 0, most: 2 ** 31 - 1 },
  unavailableAfter: { fallback: 0, least: 0, most: 2 ** 31 - 1 },
} as const;

const DATABASES = { fallback: 0, least: 0, most: 2 ** 31 - 1 };

const OTHERS = [
  "nodes",
  "scripts",
  "username",
  "password",
  "credentials",
  "tls",
  "socket",
  "database",
  "mode",
  "connectionName",
  "natMap",
  "trusts",
  "readFrom",
  "cache",
  "durations",
];

/**
 * Checks the options of `connect` and fills in the defaults.
 * @throws {InvalidArgumentError} when an option is not valid. The message names the option and the accepted values, and
 *   never shows a password.
 */
export function resolveOptions(options: ConnectOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new InvalidArgumentError(`connect takes an object with nodes, not ${kindOf(options)}.`);
  }
  const known = [...OTHERS, ...Object.keys(NUMBERS)];
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw invalid(`there is no option "${option}"; ${insteadOf(option) ?? `accepted are ${known.join(", ")}`}`);
  }
  const { nodes, scripts = [], connectionName, natMap, trusts, credentials, tls = false, durations = false } = options;
  const { mode = "auto", database } = options;
  if (!Array.isArray(nodes) || nodes.length === 0) {
    throw invalid('nodes must be a non-empty array, such as ["127.0.0.1:7000"]');
  }
  const seeds = nodes.map(readSeed);
  if (!Array.isArray(scripts)) throw invalid(`scripts is ${kindOf(scripts)}; accepted is an array`);
  for (const script of scripts) {
    if (!isScript(script) && !isLibrary(script)) {
      throw invalid(
        `scripts has an element that is ${kindOf(script)}; accepted is what defineScript or defineLibrary returns`,
      );
    }
  }
  if (connectionName !== undefined && !(typeof connectionName === "string" && /^[\x21-\x7e]+$/.test(connectionName))) {
    throw invalid("connectionName must be printable ASCII without spaces");
  }
  if (typeof tls !== "boolean" && !isPlainObject(tls)) {
    throw invalid(`tls is ${kindOf(tls)}; accepted are true, false and Node's tls.ConnectionOptions`);
  }
  if (typeof durations !== "boolean") throw invalid(`durations is ${kindOf(durations)}; accepted are true and false`);
  if (mode !== "auto" && mode !== "single") {
    throw invalid(
      `mode is ${typeof mode === "string" ? JSON.stringify(mode) : kindOf(mode)}; accepted are "auto" and "single"`,
    );
  }
  return Object.freeze({
    seeds: seeds.map(({ address }) => address),
    scripts: Object.freeze([...scripts]),
    credentials: readCredentials(options, credentials, seeds),
    tls: readTls(tls, seeds),
    socket: readSocket(options.socket),
    database: readDatabase(database === undefined ? undefined : wholeNumber("database", database, DATABASES), seeds),
    mode: seeds.some(({ address }) => isSocketFile(address)) ? "single" : mode,
    connectionName,
    natMap: readNatMap(natMap),
    trusts: readTrusts(trusts),
    cache: readCache(options.cache),
    durations,
    readFrom: readFrom("connect", options.readFrom) ?? "primary",
    ...(Object.fromEntries(
      Object.entries(NUMBERS).map(([name, bounds]) => [name, wholeNumber(name, options[name as NumberName], bounds)]),
    ) as Record<NumberName, number>),
  });
}

/** Checks a `readFrom` option of `connect` or of a view. Undefined when it is not given. */
export function readFrom(where: string, value: unknown): ReadFrom | undefined {
  if (value === undefined || value === "primary" || value === "replica" || value === "any") return value;
  if (isPlainObject(value) && Object.keys(value).every((name) => name === "zone")) {
    const { zone } = value as { readonly zone?: unknown };
    if (typeof zone === "string" && zone !== "") return Object.freeze({ zone });
    const shown = zone === "" ? "empty" : kindOf(zone);
    throw new InvalidArgumentError(
      `${where}: readFrom.zone is ${shown}; accepted is the name of an availability zone.`,
    );
  }
  const shown = typeof value === "string" ? JSON.stringify(value) : kindOf(value);
  throw new InvalidArgumentError(
    `${where}: readFrom is ${shown}; accepted are "primary", "replica", "any" and { zone: "a" }.`,
  );
}

type NumberName = keyof typeof NUMBERS;

/** Checks a whole number of an option or a call. Returns `fallback` when it is not given. */
export function wholeNumber(
  name: string,
  value: unknown,
  { fallback, least, most }: { readonly fallback: number; readonly least: number; readonly most: number },
): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  const shown = typeof value === "number" ? String(value) : kindOf(value);
  throw new InvalidArgumentError(`${name} is ${shown}; accepted is a whole number from ${least} to ${most}.`);
}
