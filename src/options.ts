import type { ConnectionOptions } from "node:tls";
import { InvalidArgumentError } from "./errors.ts";
import { kindOf } from "./protocol/encode.ts";
import { formatAddress, type NodeAddress, parseAddress } from "./protocol/node-address.ts";
import type { ReadFrom } from "./routing/call.ts";
import { isLibrary, type Library } from "./scripts/library.ts";
import { isScript, type Script } from "./scripts/script.ts";

/** The user name and password with which connections log in. */
export interface Credentials {
  /** The name of an ACL user. Without a name, only the password is sent. */
  readonly username?: string | undefined;
  /** The password. Without a password, connections do not log in. */
  readonly password?: string | undefined;
}

/**
 * Maps announced addresses (`"host:port"`) to addresses that this process can reach: a table, or a function that
 * returns undefined for an address without a mapping. An address without a mapping is used unchanged.
 */
export type NatMap = Readonly<Record<string, NodeAddress>> | ((address: string) => NodeAddress | undefined);

/** The options of `connect`. Times are in milliseconds. */
export interface ConnectOptions {
  /**
   * The seeds, which are the first nodes to be asked for the topology: `"host:port"`, `"redis://user:pass@host:port"`,
   * `"rediss://..."` or `{ host, port }`. The credentials and the TLS setting of a URL hold for every node.
   */
  readonly nodes: readonly (string | NodeAddress)[];
  /**
   * Scripts and libraries to load on every node before `connect` resolves. A node that appears later is loaded before
   * it gets traffic.
   * @default []
   */
  readonly scripts?: readonly (Script | Library)[] | undefined;
  /**
   * The name of an ACL user. It needs `password`.
   * @default none
   */
  readonly username?: string | undefined;
  /**
   * The password for every node. It replaces the credentials of URLs in `nodes`.
   * @default none
   */
  readonly password?: string | undefined;
  /**
   * A function that is called for the credentials of every new connection. It replaces `username` and `password`.
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
   * Milliseconds that one connection may take for TCP, TLS and handshake together.
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
   * Milliseconds between two background refreshes of the topology; each interval varies by up to a tenth. 0 turns these
   * refreshes off.
   * @default 30000
   */
  readonly topologyRefreshInterval?: number | undefined;
  /**
   * Maps the addresses that nodes announce to addresses that this process can reach: a table by `"host:port"`, or a
   * function.
   * @default none
   */
  readonly natMap?: NatMap | undefined;
  /**
   * The nodes on which read-only scripts and commands may run: `"primary"`, `"replica"` or `"any"`. `"replica"` uses
   * the primary when no replica is usable.
   * @default "primary"
   */
  readonly readFrom?: ReadFrom | undefined;
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
  readonly connectionName: string | undefined;
  readonly connectTimeout: number;
  readonly commandTimeout: number;
  readonly maxRedirections: number;
  readonly connectionsPerNode: number;
  readonly maxPendingPerNode: number;
  readonly maxPendingBytesPerNode: number;
  readonly topologyRefreshInterval: number;
  readonly natMap: (address: string) => NodeAddress | undefined;
  readonly readFrom: ReadFrom;
  readonly durations: boolean;
}

/** The numeric options, each with its default and its bounds. */
const NUMBERS = {
  connectTimeout: { fallback: 2000, least: 1, most: 2 ** 31 - 1 },
  commandTimeout: { fallback: 5000, least: 0, most: 2 ** 31 - 1 },
  maxRedirections: { fallback: 16, least: 0, most: 1000 },
  connectionsPerNode: { fallback: 1, least: 1, most: 64 },
  maxPendingPerNode: { fallback: 10_000, least: 1, most: 2 ** 31 - 1 },
  maxPendingBytesPerNode: { fallback: 16 * 1024 * 1024, least: 1, most: Number.MAX_SAFE_INTEGER },
  topologyRefreshInterval: { fallback: 30_000, least: 0, most: 2 ** 31 - 1 },
} as const;

const OTHERS = [
  "nodes",
  "scripts",
  "username",
  "password",
  "credentials",
  "tls",
  "connectionName",
  "natMap",
  "readFrom",
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
    if (!known.includes(option)) throw invalid(`there is no option "${option}"; accepted are ${known.join(", ")}`);
  }
  const { nodes, scripts = [], connectionName, natMap, credentials, tls = false, durations = false } = options;
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
  return Object.freeze({
    seeds: seeds.map(({ address }) => address),
    scripts: Object.freeze([...scripts]),
    credentials: readCredentials(options, credentials, seeds),
    tls: readTls(tls, seeds),
    connectionName,
    natMap: readNatMap(natMap),
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
  const shown = typeof value === "string" ? JSON.stringify(value) : kindOf(value);
  throw new InvalidArgumentError(`${where}: readFrom is ${shown}; accepted are "primary", "replica" and "any".`);
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

interface Seed {
  readonly address: NodeAddress;
  readonly credentials: Credentials | undefined;
  /** Undefined when the seed does not say whether to use TLS. */
  readonly tls: boolean | undefined;
}

function readSeed(node: unknown, index: number): Seed {
  const refuse = (why: string) =>
    invalid(
      `nodes[${index}] ${why}; accepted are "host:port", "redis://user:password@host:port", "rediss://..." and { host, port }`,
    );
  if (typeof node === "object" && node !== null && "host" in node && "port" in node) {
    const address = readAddress(node);
    if (!address) throw refuse("has no valid host and port");
    return { address, credentials: undefined, tls: undefined };
  }
  if (typeof node !== "string") throw refuse(`is ${kindOf(node)}`);
  if (!node.includes("://")) {
    const address = parseAddress(node);
    if (!address || address.host === "") throw refuse("is not a valid address");
    return { address, credentials: undefined, tls: undefined };
  }
  // No message may quote the URL, because it can contain a password.
  const url = URL.canParse(node) ? new URL(node) : undefined;
  if (!url || (url.protocol !== "redis:" && url.protocol !== "rediss:") || url.hostname === "") {
    throw refuse("is not a valid redis:// or rediss:// URL");
  }
  if (!["", "/", "/0"].includes(url.pathname)) throw refuse("names a database, but a cluster has only database 0");
  const address = parseAddress(`${url.hostname}:${url.port === "" ? 6379 : url.port}`);
  if (!address) throw refuse("has no valid host and port");
  const [username, password] = [url.username, url.password].map(percentDecoded);
  if (username === undefined || password === undefined) throw refuse("has credentials that are not percent-encoded");
  const credentials = username === "" ? { password } : { username, password };
  return {
    address,
    credentials: username === "" && password === "" ? undefined : credentials,
    tls: url.protocol === "rediss:",
  };
}

function readCredentials(
  { username, password }: ConnectOptions,
  provider: (() => Promise<Credentials>) | undefined,
  seeds: readonly Seed[],
): () => Promise<Credentials> | Credentials {
  if (provider !== undefined) {
    if (typeof provider !== "function") throw invalid("credentials must be a function");
    if (username !== undefined || password !== undefined) {
      throw invalid("credentials cannot be combined with username or password");
    }
    return provider;
  }
  for (const [name, value] of Object.entries({ username, password })) {
    if (value !== undefined && typeof value !== "string") throw invalid(`${name} must be a string`);
  }
  if (username !== undefined && password === undefined) throw invalid("username needs a password");
  const inUrls = seeds.flatMap(({ credentials }) => credentials ?? []);
  if (password !== undefined) {
    const own: Credentials = username === undefined ? { password } : { username, password };
    return () => own;
  }
  const [first = {}, ...rest] = inUrls;
  if (rest.some((other) => other.username !== first.username || other.password !== first.password)) {
    throw invalid(
      "nodes have URLs with different credentials; accepted is one login, because it is used for every node",
    );
  }
  return () => first;
}

function readTls(tls: boolean | ConnectionOptions, seeds: readonly Seed[]): ConnectionOptions | undefined {
  const said = new Set(seeds.flatMap((seed) => seed.tls ?? []));
  if (said.size > 1) {
    throw invalid(
      "nodes mix redis:// and rediss:// URLs; accepted is one kind, because TLS is on or off for every node",
    );
  }
  if (tls === false) return said.has(true) ? {} : undefined;
  if (said.has(false)) throw invalid("tls is on, but nodes have a redis:// URL; accepted are rediss:// URLs");
  return tls === true ? {} : tls;
}

function readNatMap(natMap: NatMap | undefined): (address: string) => NodeAddress | undefined {
  if (natMap === undefined) return () => undefined;
  if (typeof natMap === "function") return (address) => mapped(natMap, address);
  if (!isPlainObject(natMap)) throw invalid("natMap must be an object or a function");
  const table = new Map(
    Object.entries(natMap).map(([from, to]) => {
      const [announced, reachable] = [parseAddress(from), readAddress(to)];
      if (!announced || !reachable)
        throw invalid(`natMap[${JSON.stringify(from)}] must map "host:port" to { host, port }`);
      return [formatAddress(announced), reachable];
    }),
  );
  return (address) => table.get(address);
}

function mapped(natMap: (address: string) => NodeAddress | undefined, address: string): NodeAddress | undefined {
  let to: unknown;
  try {
    to = natMap(address);
  } catch (error) {
    throw invalid(`natMap threw for ${address} (${error instanceof Error ? error.message : typeof error})`);
  }
  const reachable = to === undefined ? undefined : readAddress(to);
  if (to !== undefined && !reachable) throw invalid(`natMap returned no { host, port } for ${address}`);
  return reachable;
}

/** The value as an address. Undefined when it is not a valid `{ host, port }`. */
function readAddress(value: unknown): NodeAddress | undefined {
  if (!isPlainObject(value)) return undefined;
  const { host, port } = value as Partial<NodeAddress>;
  if (typeof host !== "string" || host === "" || typeof port !== "number") return undefined;
  return parseAddress(formatAddress({ host, port }));
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function isPlainObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(what: string): InvalidArgumentError {
  return new InvalidArgumentError(`connect: ${what}.`);
}
