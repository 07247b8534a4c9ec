import { ClosedError, ProtocolError, ReplyError } from "../errors.ts";
import type { DisconnectReason } from "../telemetry/channels.ts";
import { StrangerError } from "./identity.ts";

/** Why this process ends a connection on purpose. */
export class Farewell extends Error {
  readonly reason: DisconnectReason;

  constructor(reason: DisconnectReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * Why a connection ended, by its cause.
 * @param byStream  The stream has ended by itself, or has failed.
 */
export function reasonOf(cause: Error | undefined, byStream: boolean): DisconnectReason {
  if (byStream) return cause !== undefined && "code" in cause ? "broken" : "closed-by-server";
  if (cause instanceof Farewell) return cause.reason;
  if (cause instanceof ClosedError) return "client-closed";
  if (cause instanceof StrangerError) return "stranger";
  if (cause instanceof ProtocolError) return "protocol";
  if (cause instanceof ReplyError) return "closed-by-server";
  return "given-up";
}
