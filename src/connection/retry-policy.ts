import { AuthError, InvalidArgumentError } from "../errors.ts";
import { type BackoffRange, backoffMs } from "./backoff.ts";
import { isDistrust } from "./certificates.ts";
import { CredentialsError, RefusedDatabaseError } from "./handshake.ts";

/** The option `trusts` lets nothing connect to an address. */
export class UntrustedError extends Error {}

/** A node that restarts is back within a second, so the first tries follow each other quickly. */
const SOON: BackoffRange = { firstMs: 20, mostMs: 500 };
/** Only people make a certificate trusted again, or mend `trusts` and `natMap`. Then the node is wanted soon. */
const NOW_AND_THEN: BackoffRange = { firstMs: 1000, mostMs: 2000 };
/** Asking often does not make wrong credentials or a missing database right, and servers log each refusal. */
const SELDOM: BackoffRange = { firstMs: 1000, mostMs: 10_000 };

/**
 * Milliseconds from a failed try to connect to the next one.
 *
 *   the try ended with                     between tries, doubling
 *   credentials that the server refused    1 s to 10 s
 *   a credentials' provider that failed    1 s to 10 s
 *   a database that the server refused     1 s to 10 s
 *   a certificate that is not trusted      0.5 s to 2 s
 *   `trusts` or `natMap`                   0.5 s to 2 s
 *   anything else                          20 ms to 500 ms
 *
 * @param failures   The tries that failed in a row before this one.
 * @param random     In [0, 1).
 * @param crowdedMs  The least wait, because many others fail as well; chance takes off up to a quarter of it.
 */
export function retryDelayMs(cause: Error, failures: number, random: number, crowdedMs = 0): number {
  return Math.max(crowdedMs * (0.75 + 0.25 * random), backoffMs(failures, rangeFor(cause), random));
}

function rangeFor(cause: Error): BackoffRange {
  if (isRefusal(cause) || cause instanceof CredentialsError || cause instanceof RefusedDatabaseError) return SELDOM;
  return isDistrust(cause) || isForbidden(cause) ? NOW_AND_THEN : SOON;
}

/**
 * Whether the failure lasts, whatever the topology is: refused credentials or a refused database, or `trusts` and
 * `natMap` of this client.
 */
export function isLasting(cause: unknown): boolean {
  return cause instanceof AuthError || cause instanceof RefusedDatabaseError || isForbidden(cause);
}

/** Whether the options of this client let nothing connect: no server can change that. */
export function isForbidden(cause: unknown): boolean {
  return cause instanceof UntrustedError || cause instanceof InvalidArgumentError;
}

/**
 * Whether requests are told of the failure at once, and until the next try, because waiting cannot help them: the server
 * has refused the credentials. Every other failure may pass before their deadlines do.
 */
export function isRefusal(cause: Error): cause is AuthError {
  return cause instanceof AuthError;
}
