import { isIPv6 } from "node:net";

/** The host and port of a node. */
export interface NodeAddress {
  /** A host name or an IP address; IPv6 without brackets. The path of a socket file, where the port is 0. */
  readonly host: string;
  /** The TCP port, 1 to 65535; 0 for a socket file. */
  readonly port: number;
}

/**
 * The address as `host:port`, with brackets around an IPv6 address. The path of a socket file stands alone. Nodes are
 * compared by this text.
 */
export function formatAddress({ host, port }: NodeAddress): string {
  if (port === 0) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Parses `host:port`, `[v6]:port`, or `v6:port` as servers write it. The host may be empty. Undefined for any other
 * text.
 */
export function parseAddress(text: string): NodeAddress | undefined {
  const colon = text.lastIndexOf(":");
  const port = text.slice(colon + 1);
  if (colon === -1 || !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535) return undefined;
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  if (/[\s/@[\]]/.test(host) || (host.includes(":") && !isIPv6(host))) return undefined;
  return { host, port: Number(port) };
}

/** The host of a node whose name the server does not know. Never the host that answered. */
export const UNKNOWN_HOST = "?";

/** Whether a server means the host that answered: by null, an empty string, or no host at all. */
export function isHostThatAnswered(host: string | null | undefined): host is "" | null | undefined {
  return host === null || host === undefined || host === "";
}
