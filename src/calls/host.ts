import type { Client } from "../client/client.ts";
import type { CallFactory } from "./call-factory.ts";
import type { OperationLimits } from "./operation.ts";
import type { ViewSettings } from "./view.ts";

/** The objects that every call and operation works with: the client, and the user's view of it. */
export interface Host {
  readonly client: Client;
  readonly factory: CallFactory;
  readonly view: ViewSettings;
}

/** The limits of an operation that has the time of any call. */
export function limitsOf({ timeoutMs, signal }: ViewSettings): OperationLimits {
  return { timeoutMs, signal };
}

/** The limits of an operation that takes as long as the cluster needs, unless `with` was given a timeout. */
export function ownLimitsOf({ timeoutMs, hasOwnTimeout, signal }: ViewSettings): OperationLimits {
  return { timeoutMs: hasOwnTimeout ? timeoutMs : 0, signal };
}
