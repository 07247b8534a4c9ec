import type { Client } from "../client/client.ts";
import type { CallFactory } from "./call-factory.ts";
import type { OperationLimits } from "./operation.ts";
import type { ViewSettings } from "./view.ts";

/** What everything that a user asks for works with: the client, and what the user's view of it decides. */
export interface Host {
  readonly client: Client;
  readonly factory: CallFactory;
  readonly view: ViewSettings;
}

/** The limits of what has the time of any call. */
export function limitsOf({ timeoutMs, signal }: ViewSettings): OperationLimits {
  return { timeoutMs, signal };
}

/** The limits of what takes as long as the cluster needs, unless `with` was given a timeout. */
export function ownLimitsOf({ timeoutMs, hasOwnTimeout, signal }: ViewSettings): OperationLimits {
  return { timeoutMs: hasOwnTimeout ? timeoutMs : 0, signal };
}
