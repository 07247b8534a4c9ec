import type { ConnectionOptions } from "node:tls";
import { letGoOf } from "./given-functions.ts";

/** A certificate that was not trusted. The message and the code are those of the failure, which is the cause. */
class DistrustError extends Error {}

/** The failure of a connection whose certificate was not trusted. */
export function distrust(cause: Error): Error {
  const { code } = cause as NodeJS.ErrnoException;
  return Object.assign(new DistrustError(cause.message, { cause }), code === undefined ? {} : { code });
}

/** Whether a connection failed because a certificate is not trusted: the server's here, or ours at the server. */
export function isDistrust(failure: unknown): boolean {
  if (!(failure instanceof Error)) return false;
  const { code } = failure as NodeJS.ErrnoException;
  if (failure instanceof DistrustError || /^ERR_SSL_.*(CERTIFICATE|UNKNOWN_CA)/.test(code ?? "")) return true;
  return isDistrust(failure.cause);
}

/**
 * Options of TLS whose functions never throw. Node calls them outside of any code that could catch an error, so an
 * error of theirs would end the process.
 * @param onThrown  Takes the error of a function that has no way to report one.
 */
export function guarded(tls: ConnectionOptions, onThrown: (error: Error) => void): ConnectionOptions {
  const { checkServerIdentity: check, pskCallback } = tls;
  const safe: ConnectionOptions = {};
  if (check !== undefined) {
    safe.checkServerIdentity = (...given) => {
      let verdict: unknown;
      try {
        verdict = check(...given);
      } catch (thrown) {
        return asError(thrown, "tls.checkServerIdentity threw");
      }
      if (verdict === undefined || verdict instanceof Error) return verdict;
      letGoOf(verdict);
      return new Error("tls.checkServerIdentity returned neither undefined nor an Error");
    };
  }
  if (pskCallback !== undefined) {
    safe.pskCallback = (hint) => {
      try {
        return pskCallback(hint);
      } catch (thrown) {
        onThrown(asError(thrown, "tls.pskCallback threw"));
        return null;
      }
    };
  }
  return { ...tls, ...safe };
}

function asError(thrown: unknown, what: string): Error {
  return thrown instanceof Error ? thrown : new Error(`${what} ${typeof thrown}`);
}
