import { AuthError } from "../errors.ts";
import { type BackoffRange, backoffMs } from "./backoff.ts";
import { CredentialsError, RefusedDatabaseError } from "./handshake.ts";

/** A node that restarts is back within a second, so the first tries follow each other quickly. */
const SOON: BackoffRange = { firstMs: 20, mostMs: 500 };
/** Asking often does not make wrong credentials or a missing database right, and servers log each refusal. */
const SELDOM: BackoffRange = { firstMs: 1000, mostMs: 10_000 };

/**
 * Milliseconds from a failed try to connect to the next one.
 *
 *   the try ended with                     between tries, doubling
 *   credentials that the server refused    1 s to 10 s
 *   a credentials' provider that failed    1 s to 10 s
 *   a database that the server refused     1 s to 10 s
 *   anything else                          20 ms to 500 ms
 *
 * @param failures  The tries that failed in a row before this one.
 * @param random    In [0, 1).
 */
export function retryDelayMs(cause: Error, failures: number, random: number): number {
  const isLasting = isRefusal(cause) || cause instanceof CredentialsError || cause instanceof RefusedDatabaseError;
  return backoffMs(failures, isLasting ? SELDOM : SOON, random);
}

/**
 * Whether requests are told of the failure at once, and until the next try, because waiting cannot help them: the server
 * has refused the credentials. Every other failure may pass before their deadlines do.
 */
export function isRefusal(cause: Error): cause is AuthError {
  return cause instanceof AuthError;
}
