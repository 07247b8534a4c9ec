import type { ConnectionOptions } from "node:tls";
import { kindOf } from "../protocol/encode.ts";
import { formatAddress, type NodeAddress, parseAddress } from "../protocol/node-address.ts";
import type { Credentials } from "./credentials.ts";
import { invalid, isPlainObject } from "./invalid.ts";

/** The protocols of URLs, and whether they ask for TLS. */
const TLS_OF: Readonly<Record<string, boolean>> = {
  "redis:": false,
  "rediss:": true,
  "valkey:": false,
  "valkeys:": true,
};
/** The port of an address that names none. */
const DEFAULT_PORT = 6379;

export interface Seed {
  readonly address: NodeAddress;
  readonly credentials: Credentials | undefined;
  /** Undefined when the seed does not say whether to use TLS. */
  readonly tls: boolean | undefined;
  /** The database in the path of a URL. Undefined when the seed names none. */
  readonly database: number | undefined;
}

/** The address of a server's socket file has no port. */
export function isSocketFile({ port }: NodeAddress): boolean {
  return port === 0;
}

/** Reads one element of `nodes`. */
export function readSeed(node: unknown, index: number): Seed {
  const refuse = (why: string) =>
    invalid(
      `nodes[${index}] ${why}; accepted are "host:port", "host", "redis://user:password@host:port/database", "rediss://...", { host, port } and { path }`,
    );
  if (typeof node === "object" && node !== null && "host" in node && "port" in node) {
    const address = readAddress(node);
    if (!address) throw refuse("has no valid host and port");
    return plain(address);
  }
  if (typeof node === "object" && node !== null && "path" in node) {
    const { path } = node;
    if (typeof path !== "string" || path === "" || path.includes("\0")) {
      throw refuse("has no valid path of a socket file");
    }
    return plain({ host: path, port: 0 });
  }
  if (typeof node !== "string") throw refuse(`is ${kindOf(node)}`);
  if (!node.includes("://")) {
    const address = parseAddress(node) ?? withoutPort(node);
    if (!address || address.host === "") throw refuse("is not a valid address");
    return plain(address);
  }
  // No message may quote the URL, because it can contain a password.
  const url = URL.canParse(node) ? new URL(node) : undefined;
  const isTls = TLS_OF[url?.protocol ?? ""];
  if (!url || isTls === undefined || url.hostname === "") {
    throw refuse("is not a valid redis:// or rediss:// URL");
  }
  const [, digits] = /^\/?(\d{0,9})$/.exec(url.pathname) ?? [];
  if (digits === undefined) throw refuse("has a path that is no number of a database");
  const address = parseAddress(`${url.hostname}:${url.port === "" ? DEFAULT_PORT : url.port}`);
  if (!address) throw refuse("has no valid host and port");
  const [username, password] = [url.username, url.password].map(percentDecoded);
  if (username === undefined || password === undefined) throw refuse("has credentials that are not percent-encoded");
  return {
    address,
    credentials: username === "" && password === "" ? undefined : { username, password },
    tls: isTls,
    database: digits === "" ? undefined : Number(digits),
  };
}

/** A seed that says nothing but where it is. */
function plain(address: NodeAddress): Seed {
  return { address, credentials: undefined, tls: undefined, database: undefined };
}

/**
 * The database of every connection.
 * @param given  The option `database`, checked.
 */
export function readDatabase(given: number | undefined, seeds: readonly Seed[]): number {
  const [first = given, ...others] = new Set(seeds.flatMap(({ database }) => database ?? []));
  if (others.length > 0) {
    throw invalid("nodes have URLs with different databases; accepted is one, because it is used for every node");
  }
  if (given !== undefined && first !== given) {
    throw invalid(`database is ${given}, but a URL in nodes names ${first}; accepted is one, for every node`);
  }
  return first ?? 0;
}

/** Whether the seeds and the option `tls` ask for TLS, and how. */
export function readTls(tls: boolean | ConnectionOptions, seeds: readonly Seed[]): ConnectionOptions | undefined {
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

/** The value as an address. Undefined when it is not a valid `{ host, port }`. */
export function readAddress(value: unknown): NodeAddress | undefined {
  if (!isPlainObject(value)) return undefined;
  const { host, port } = value as Partial<NodeAddress>;
  if (typeof host !== "string" || host === "" || !isPort(port)) return undefined;
  // The hostname of a URL has brackets around an IPv6 address.
  return parseAddress(formatAddress({ host: host.replace(/^\[(.*:.*)\]$/, "$1"), port: Number(port) }));
}

/** A number, or its digits: ports often come from the environment, where everything is text. */
function isPort(value: unknown): boolean {
  return typeof value === "number" || (typeof value === "string" && /^\d{1,5}$/.test(value));
}

/** A host alone, which has the default port. An IPv6 address needs brackets, because its end could be a port. */
function withoutPort(text: string): NodeAddress | undefined {
  return text.includes(":") && !/^\[.*\]$/.test(text) ? undefined : parseAddress(`${text}:${DEFAULT_PORT}`);
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
