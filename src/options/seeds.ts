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
}

/** Reads one element of `nodes`. */
export function readSeed(node: unknown, index: number): Seed {
  const refuse = (why: string) =>
    invalid(
      `nodes[${index}] ${why}; accepted are "host:port", "host", "redis://user:password@host:port", "rediss://..." and { host, port }`,
    );
  if (typeof node === "object" && node !== null && "host" in node && "port" in node) {
    const address = readAddress(node);
    if (!address) throw refuse("has no valid host and port");
    return { address, credentials: undefined, tls: undefined };
  }
  if (typeof node !== "string") throw refuse(`is ${kindOf(node)}`);
  if (!node.includes("://")) {
    const address = parseAddress(node) ?? withoutPort(node);
    if (!address || address.host === "") throw refuse("is not a valid address");
    return { address, credentials: undefined, tls: undefined };
  }
  // No message may quote the URL, because it can contain a password.
  const url = URL.canParse(node) ? new URL(node) : undefined;
  const isTls = TLS_OF[url?.protocol ?? ""];
  if (!url || isTls === undefined || url.hostname === "") {
    throw refuse("is not a valid redis:// or rediss:// URL");
  }
  if (!["", "/", "/0"].includes(url.pathname)) throw refuse("names a database, but a cluster has only database 0");
  const address = parseAddress(`${url.hostname}:${url.port === "" ? DEFAULT_PORT : url.port}`);
  if (!address) throw refuse("has no valid host and port");
  const [username, password] = [url.username, url.password].map(percentDecoded);
  if (username === undefined || password === undefined) throw refuse("has credentials that are not percent-encoded");
  return {
    address,
    credentials: username === "" && password === "" ? undefined : { username, password },
    tls: isTls,
  };
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
  return parseAddress(formatAddress({ host, port: Number(port) }));
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
