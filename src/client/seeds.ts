import { isDistrust } from "../connection/certificates.ts";
import type { ConnectionSettings } from "../connection/connection.ts";
import { openConnection } from "../connection/open-connection.ts";
import type { Environment, SocketEndpoint } from "../environment.ts";
import { AuthError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import { formatAddress, type NodeAddress } from "../protocol/node-address.ts";
import type { Telemetry } from "../telemetry/counters.ts";
import type { Informant } from "../topology/inquiry.ts";

/** Milliseconds from a failure of the credentials' provider to the next time that the provider is asked. */
const CREDENTIALS_REST_MS = 500;
/** Milliseconds from a refusal of the credentials by a seed to the next time that the seed is asked. */
const REFUSED_REST_MS = 2000;
/** The same for a certificate that is not trusted. The nodes' own connections are tried as well meanwhile. */
const DISTRUST_REST_MS = 5000;

/**
 * Wraps a provider of credentials. After a failure the provider is left alone for a while; every connection that is
 * tried meanwhile fails for the same cause.
 */
export function askedSparingly(
  ask: ResolvedOptions["credentials"],
  { clock }: Environment,
): () => Promise<Awaited<ReturnType<ResolvedOptions["credentials"]>>> {
  let failure: { readonly cause: unknown; readonly until: number } | undefined;
  return async () => {
    if (failure !== undefined && clock.now() < failure.until) throw failure.cause;
    try {
      return await ask();
    } catch (cause) {
      failure = { cause, until: clock.now() + CREDENTIALS_REST_MS };
      throw cause;
    }
  };
}

/**
 * A seed as an informant. Each question to it has a connection of its own. A seed that refused the credentials, or
 * whose certificate is not trusted, is left alone for a while.
 */
export function seedInformant(
  seed: NodeAddress,
  options: ResolvedOptions,
  environment: Environment,
  telemetry: Telemetry,
): Informant {
  const address = formatAddress(seed);
  const { clock } = environment;
  let refused: { readonly cause: unknown; readonly until: number } | undefined;
  return {
    address,
    answersAs: seed,
    connect: async (onTemporary) => {
      if (refused !== undefined && clock.now() < refused.until) throw refused.cause;
      try {
        return await openConnection(settingsFor(address, seed, options, environment, telemetry), onTemporary);
      } catch (cause) {
        const restMs = cause instanceof AuthError ? REFUSED_REST_MS : isDistrust(cause) ? DISTRUST_REST_MS : 0;
        if (restMs > 0) refused = { cause, until: clock.now() + restMs };
        throw cause;
      }
    },
  };
}

/** The way to an address. The port 0 stands for a socket file. */
export function endpointTo({ host, port }: NodeAddress): SocketEndpoint {
  return port === 0 ? { host: "", port, path: host } : { host, port };
}

/**
 * The settings that all connections to one node share.
 * @param telemetry  Undefined for connections that are neither counted nor told of.
 * @param nodeId     The id that the node has by now. Undefined for a seed, which is only an address.
 */
export function settingsFor(
  address: string,
  node: NodeAddress,
  options: ResolvedOptions,
  environment: Environment,
  telemetry: Telemetry | undefined,
  nodeId?: () => string,
): ConnectionSettings {
  const { tls, socket } = options;
  return {
    ...(nodeId === undefined ? {} : { nodeId }),
    address,
    endpoint: { ...endpointTo(node), tls, ...(socket === undefined ? {} : { socket }) },
    environment,
    connectTimeoutMs: options.connectTimeout,
    ...(options.unavailableAfter === 0 ? {} : { silentAfterMs: options.unavailableAfter }),
    maxReplyBytes: options.maxReplyBytes,
    connectionName: options.connectionName,
    database: options.database,
    isPlain: options.mode === "single",
    credentials: options.credentials,
    readOnly: false,
    ...(telemetry === undefined ? {} : { telemetry }),
  };
}
