import type { ConnectionSettings } from "../connection/connection.ts";
import { openConnection } from "../connection/open-connection.ts";
import type { Environment } from "../environment.ts";
import { AuthError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import { formatAddress, type NodeAddress } from "../protocol/node-address.ts";
import type { Telemetry } from "../telemetry/counters.ts";
import type { Informant } from "../topology/topology-tracker.ts";

/** From a failure of the credentials' provider to the next time that it is asked. */
const CREDENTIALS_REST_MS = 500;
/** From a refusal of the credentials by a seed to the next time that it is asked. */
const REFUSED_REST_MS = 2000;

/** A provider that failed is left alone for a while: every connection that is tried meanwhile fails for the same cause. */
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

/** A seed, asked through a connection for that question only. One that refused the credentials is left in peace for a while. */
export function seedInformant(
  seed: NodeAddress,
  options: ResolvedOptions,
  environment: Environment,
  telemetry: Telemetry,
): Informant {
  const address = formatAddress(seed);
  const { clock } = environment;
  let refused: { readonly cause: AuthError; readonly until: number } | undefined;
  return {
    address,
    answersAs: seed,
    connect: async (onTemporary) => {
      if (refused !== undefined && clock.now() < refused.until) throw refused.cause;
      try {
        return await openConnection(settingsFor(address, seed, options, environment, telemetry), onTemporary);
      } catch (cause) {
        if (cause instanceof AuthError) refused = { cause, until: clock.now() + REFUSED_REST_MS };
        throw cause;
      }
    },
  };
}

/** What connections to one node have in common. */
export function settingsFor(
  address: string,
  { host, port }: NodeAddress,
  options: ResolvedOptions,
  environment: Environment,
  telemetry: Telemetry,
): ConnectionSettings {
  return {
    address,
    endpoint: { host, port, tls: options.tls },
    environment,
    connectTimeoutMs: options.connectTimeout,
    connectionName: options.connectionName,
    credentials: options.credentials,
    readOnly: false,
    telemetry,
  };
}
