import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "../errors.ts";
import type { ConnectOptions } from "../options.ts";
import { parseAddress } from "../protocol/node-address.ts";
import type { Options, readArguments } from "./arguments.ts";

/** Where the cluster is and who asks, by redis-cli's names. */
export const CONNECTION = {
  host: { type: "string", short: "h", multiple: true, value: "HOST", says: "any node; 127.0.0.1 if not said" },
  port: { type: "string", short: "p", multiple: true, value: "PORT", says: "of that node; 6379 if not said" },
  uri: {
    type: "string",
    short: "u",
    multiple: true,
    value: "URI",
    says: "redis://user:password@host:port, or rediss://",
  },
  pass: { type: "string", short: "a", value: "PASSWORD", says: "in place of REDISCLI_AUTH in the environment" },
  user: { type: "string", value: "NAME", says: "whom the password is of" },
  tls: { type: "boolean", says: "connect by TLS" },
  cacert: { type: "string", value: "FILE", says: "PEM of who vouches for the servers" },
  cert: { type: "string", value: "FILE", says: "PEM of a certificate of one's own, with --key" },
  key: { type: "string", value: "FILE", says: "PEM of its private key" },
  sni: { type: "string", value: "HOST", says: "the name that the servers' certificates are to have" },
  insecure: { type: "boolean", says: "do not verify the servers' certificates" },
} as const satisfies Options;

type Values = ReturnType<typeof readArguments<typeof CONNECTION>>["values"];

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = "6379";

/** Whether the command line says where to connect. */
export function namesCluster({ host, port, uri }: Values): boolean {
  return host !== undefined || port !== undefined || uri !== undefined;
}

/** The options of `connect` that a command line means. The n-th port is of the n-th host, and the last is of all others. */
export function connectionOf(values: Values, environment: NodeJS.ProcessEnv): ConnectOptions {
  const { user } = values;
  const uris = (values.uri ?? []).map(withColon);
  const hosts = values.host ?? [];
  const ports = values.port ?? [];
  const count = Math.max(hosts.length, ports.length, uris.length === 0 ? 1 : 0);
  const seeds = Array.from({ length: count }, (_, index) => {
    return seedOf(hosts[index] ?? hosts.at(-1) ?? DEFAULT_HOST, ports[index] ?? ports.at(-1) ?? DEFAULT_PORT);
  });
  const password = values.pass ?? (uris.some(hasPassword) ? undefined : environment.REDISCLI_AUTH || undefined);
  return {
    nodes: [...uris, ...seeds],
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
    ...tlsOf(values, uris),
  };
}

function seedOf(host: string, port: string) {
  const seed = parseAddress(`${host.includes(":") ? `[${host}]` : host}:${port}`);
  if (seed !== undefined && seed.host !== "") return seed;
  throw new InvalidArgumentError(
    `-h ${JSON.stringify(host)} -p ${JSON.stringify(port)} is no address; accepted are a host or IP address, and a port from 1 to 65535.`,
  );
}

function tlsOf(
  { tls, cacert, cert, key, sni, insecure }: Values,
  uris: readonly string[],
): Pick<ConnectOptions, "tls"> {
  const settings = {
    ...(cacert !== undefined && { ca: contentOf("--cacert", cacert) }),
    ...(cert !== undefined && { cert: contentOf("--cert", cert) }),
    ...(key !== undefined && { key: contentOf("--key", key) }),
    ...(sni !== undefined && { servername: sni }),
    ...(insecure && { rejectUnauthorized: false }),
  };
  const [first] = Object.keys(settings);
  if (tls || uris.some((uri) => uri.startsWith("rediss:"))) return { tls: first === undefined ? true : settings };
  if (first === undefined) return {};
  throw new InvalidArgumentError("--cacert, --cert, --key, --sni and --insecure go with --tls or a rediss:// URI.");
}

function contentOf(option: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InvalidArgumentError(`${option} ${file} cannot be read (${code}); accepted is a PEM file.`);
  }
}

/** In redis-cli's URIs what stands alone in front of the @ is the password. */
function withColon(uri: string): string {
  return uri.replace(/^(rediss?:\/\/)([^:@/]+)@/, "$1:$2@");
}

function hasPassword(uri: string): boolean {
  return URL.canParse(uri) && new URL(uri).password !== "";
}
