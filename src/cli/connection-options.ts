import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "../errors.ts";
import type { ConnectOptions } from "../options.ts";
import { parseAddress } from "../protocol/node-address.ts";
import type { Options, readArguments } from "./arguments.ts";
import type { Terminal } from "./terminal.ts";

/** The options that say where the cluster is and how to log in, with the names that redis-cli uses. */
export const CONNECTION = {
  host: {
    type: "string",
    short: "h",
    multiple: true,
    value: "HOST",
    says: "any node of the cluster; default 127.0.0.1",
  },
  port: { type: "string", short: "p", multiple: true, value: "PORT", says: "the node's port; default 6379" },
  uri: {
    type: "string",
    short: "u",
    multiple: true,
    value: "URI",
    says: "redis://user:password@host:port/database, or rediss://",
  },
  database: { type: "string", short: "n", value: "DB", says: "the number of the database; default 0" },
  pass: {
    type: "string",
    short: "a",
    value: "PASSWORD",
    says: "the password; default: the environment's REDISCLI_AUTH",
  },
  user: { type: "string", value: "NAME", says: "the ACL user to log in as" },
  tls: { type: "boolean", says: "connect by TLS" },
  cacert: { type: "string", value: "FILE", says: "PEM file of the authority that signs the servers' certificates" },
  cert: { type: "string", value: "FILE", says: "PEM file of a client certificate; needs --key" },
  key: { type: "string", value: "FILE", says: "PEM file of the client certificate's private key" },
  sni: { type: "string", value: "HOST", says: "the name that the servers' certificates must have" },
  insecure: { type: "boolean", says: "do not verify the servers' certificates" },
} as const satisfies Options;

type Values = ReturnType<typeof readArguments<typeof CONNECTION>>["values"];

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = "6379";

/** Whether the command line names a node to connect to. */
export function namesCluster({ host, port, uri }: Values): boolean {
  return host !== undefined || port !== undefined || uri !== undefined;
}

/**
 * The options of `connect` for a command line. The n-th port belongs to the n-th host. The last port also belongs to
 * all further hosts, and the last host to all further ports.
 */
export function connectionOf(
  values: Values,
  environment: NodeJS.ProcessEnv,
  { warn }: Pick<Terminal, "warn">,
): ConnectOptions {
  if (values.insecure) {
    warn("--insecure: nobody's certificate is verified, so whoever is on the way can read the password and all data.");
  }
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
    ...databaseOf(values),
    ...tlsOf(values, uris),
  };
}

function databaseOf({ database }: Values): Pick<ConnectOptions, "database"> {
  if (database === undefined) return {};
  if (/^\d{1,9}$/.test(database)) return { database: Number(database) };
  throw new InvalidArgumentError("-n is not the number of a database; accepted is a whole number from 0.");
}

function seedOf(host: string, port: string) {
  const seed = parseAddress(`${host.includes(":") ? `[${host}]` : host}:${port}`);
  if (seed !== undefined && seed.host !== "") return seed;
  // A word that cannot be a host or a port is not shown, because it can be a password, or a URL with one.
  const named = /^[\w.:-]*$/.test(host) && /^\d*$/.test(port) ? `-h "${host}" -p "${port}"` : "what -h or -p names";
  throw new InvalidArgumentError(
    `${named} is not an address; accepted are a host name or IP address, and a port from 1 to 65535.`,
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
  if (tls || uris.some((uri) => /^(rediss|valkeys):/.test(uri))) return { tls: first === undefined ? true : settings };
  if (first === undefined) return {};
  throw new InvalidArgumentError("--cacert, --cert, --key, --sni and --insecure need --tls or a rediss:// URI.");
}

function contentOf(option: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InvalidArgumentError(`${option} ${file} cannot be read (${code}); accepted is a PEM file.`);
  }
}

/** Adds the colon in front of the password. In a URI of redis-cli, a single word in front of the @ is the password. */
function withColon(uri: string): string {
  return uri.replace(/^((?:redis|valkey)s?:\/\/)([^:@/]+)@/, "$1:$2@");
}

function hasPassword(uri: string): boolean {
  return URL.canParse(uri) && new URL(uri).password !== "";
}
