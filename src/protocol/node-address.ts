import { isIPv6 } from "node:net";

/** Where a node listens, as the cluster announces it. */
export interface NodeAddress {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** `host:port`, with brackets around an IPv6 address. The key by which nodes are compared. */
export function formatAddress({ host, port }: NodeAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Reads `host:port`, `[v6]:port` or, as servers write it, `v6:port`. The host may be empty. Undefined when it is none of
 * these.
 */
export function parseAddress(text: string): NodeAddress | undefined {
  const colon = text.lastIndexOf(":");
  const port = text.slice(colon + 1);
  if (colon === -1 || !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535) return undefined;
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  if (/[\s/@[\]]/.test(host) || (host.includes(":") && !isIPv6(host))) return undefined;
  return { host, port: Number(port) };
}

/** A node that does not know its own name announces null, an empty string or `?`: it means the host that answered. */
export function isUnknownHost(host: string | null | undefined): boolean {
  return host === null || host === undefined || host === "" || host === "?";
}
