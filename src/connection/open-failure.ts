import { ProtocolError, SlotwireError } from "../errors.ts";

/** How far a connection came that could not be opened. */
export interface OpenCircumstances {
  /** Whether TLS was wanted. */
  readonly tls: boolean;
  /** Whether TCP stood, and TLS where it was wanted: then the handshake failed. */
  readonly wasOpen: boolean;
  /**
   * Nothing but an announcement says that the address can be reached from here.
   * @default false
   */
  readonly isOnlyAnnounced?: boolean;
}

const NO_AUTHORITY = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
];
const NO_TLS_HERE = "this port speaks no TLS; to go without, leave out `tls` and use redis://";
/** The decoder's word for a TLS alert: a server that expects TLS answers plain bytes with one. */
const TLS_ALERT = "byte 21 ";
const NOT_REDIS = "is this the port of a Redis or Valkey server?";
const TLS_HERE = "if this port expects TLS, set `tls` or use rediss://";

const UNREACHABLE = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"];
const NAT_MAP = "the cluster announces this address: if it cannot be reached from here, `natMap` leads to one that can";

/** The server did not accept the connection, or did not answer to the handshake, in the time that it had. */
export class NotInTime extends Error {}

/** Whether the failure to open a connection is that the server said nothing. */
export function isNotInTime(failure: unknown): boolean {
  return failure instanceof NotInTime || (failure instanceof Error && failure.cause instanceof NotInTime);
}

/**
 * The failure to open a connection, with advice where the failure shows a remedy, because the texts of sockets and of
 * OpenSSL rarely name one.
 */
export function explained(failure: Error, circumstances: OpenCircumstances): Error {
  if (failure instanceof ProtocolError) return new ProtocolError(withAdvice(failure, circumstances), failure.outcome);
  if (failure instanceof SlotwireError) return failure;
  const message = withAdvice(failure, circumstances);
  if (message === failure.message) return failure;
  const { code } = failure as NodeJS.ErrnoException;
  return Object.assign(new Error(message, { cause: failure }), code === undefined ? {} : { code });
}

function withAdvice(failure: Error, { tls, wasOpen, isOnlyAnnounced = false }: OpenCircumstances): string {
  const message = failure.message.replace(/\.$/, "");
  const { code = "" } = failure as NodeJS.ErrnoException;
  const isOutOfReach = UNREACHABLE.includes(code) || message.startsWith(NO_CONNECTION);
  if (isOnlyAnnounced && !wasOpen && isOutOfReach) return `${message}; ${NAT_MAP}`;
  if (failure instanceof ProtocolError) return `${message}; ${message.includes(TLS_ALERT) ? TLS_HERE : NOT_REDIS}`;
  const wasEnded = code === "ECONNRESET" || code === "EPIPE" || message === ENDED;
  if (!tls) return wasOpen && wasEnded ? `${message}; ${TLS_HERE}` : failure.message;
  // OpenSSL's texts hold memory addresses and lines of its source, so they stay in the cause.
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code)) return NO_TLS_HERE;
  if (/ALERT_CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE/.test(code)) {
    return `the server wants a certificate of the client (${code}); \`tls.cert\` and \`tls.key\` are for that`;
  }
  if (NO_AUTHORITY.includes(code)) return `${message}; \`tls.ca\` is for the authority that vouches for the server`;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return `${message}; \`tls.servername\` is the name to expect`;
  if (wasOpen) return failure.message;
  if (message.startsWith(NO_CONNECTION)) return `${message.replace("no", "no TLS")}; is this a port for TLS?`;
  return wasEnded ? `the connection ended before TLS was agreed on; is this a port for TLS?` : failure.message;
}

/** Whether the failure to open a connection is one of TLS: the certificate, or no TLS where it was wanted. */
export function isTlsFailure(failure: unknown): boolean {
  if (!(failure instanceof Error)) return false;
  const { code = "" } = failure as NodeJS.ErrnoException;
  if (failure instanceof ProtocolError) return failure.message.includes(TLS_ALERT);
  return failure.message === NO_TLS_HERE || NO_AUTHORITY.includes(code) || /^ERR_(TLS|SSL)_|CERT|^CRL_/.test(code);
}

/** The beginning of the failure when time was up before the stream stood. */
export const NO_CONNECTION = "no connection";
/** The failure of a connection that the server closed in good order. */
export const ENDED = "the server closed the connection";
