import { isIPv6 } from "node:net";

/** The most characters of a host name. @see https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4 */
const MAX_HOST_LENGTH = 255;
/** Almost every host, and quickly recognised: a topology can have thousands. */
const PLAIN_HOST = /^[\w.-]*$/;
const NEVER_IN_HOSTS = /[\s/@[\]\p{Cc}\p{Cf}\p{Cs}]/u;

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
 * text: a host has at most 255 characters, none of which is invisible, a space, or a part of a URL.
 */
export function parseAddress(text: string): NodeAddress | undefined {
  if (text.length > MAX_HOST_LENGTH + 9) return undefined;
  const colon = text.lastIndexOf(":");
  const port = text.slice(colon + 1);
  if (colon === -1 || !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535) return undefined;
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  if (host.length > MAX_HOST_LENGTH) return undefined;
  if (PLAIN_HOST.test(host)) return { host, port: Number(port) };
  if (NEVER_IN_HOSTS.test(host) || (host.includes(":") && !isIPv6(host))) return undefined;
  return { host, port: Number(port) };
}

/** The host of a node whose name the server does not know. Never the host that answered. */
export const UNKNOWN_HOST = "?";

/** Whether a server means the host that answered: by null, an empty string, or no host at all. */
export function isHostThatAnswered(host: unknown): host is "" | null | undefined {
  return host === null || host === undefined || host === "";
}
